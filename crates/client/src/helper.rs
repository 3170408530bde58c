//! What stands between a connection and the engine, and what it has to say when the connection breaks.

use std::io::{self, Read};
use std::process::{Child, ChildStderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use dhow_errdefs::Error;

/// Most bytes that are kept of what a helper says.
const KEPT: usize = 4096;

/// A note about what went wrong, written by whoever sees it first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<String>>);

impl Trouble {
    pub(crate) fn note(&self, text: &str) {
        let mut note = self.lock();
        note.push_str(text);
        // The last words are those that count.
        let cut = note.len().saturating_sub(KEPT);
        let cut = (cut..=note.len()).find(|&at| note.is_char_boundary(at)).unwrap_or(0);
        note.drain(..cut);
    }

    fn take(&self) -> Option<String> {
        let text = std::mem::take(&mut *self.lock());
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nothing, a TLS relay, or a program that carries the bytes.
#[derive(Debug)]
pub(crate) enum Helper {
    None,
    Relay(Trouble),
    Program(Program),
}

/// A program whose standard input and output are the connection.
#[derive(Debug)]
pub(crate) struct Program {
    command: String,
    child: Child,
    listener: Option<JoinHandle<()>>,
    trouble: Trouble,
}

impl Program {
    pub(crate) fn new(command: String, mut child: Child) -> Self {
        let trouble = Trouble::default();
        let listener = child.stderr.take().map(|stderr| {
            let trouble = trouble.clone();
            std::thread::spawn(move || listen(stderr, &trouble))
        });
        Self { command, child, listener, trouble }
    }
}

fn listen(mut stderr: ChildStderr, trouble: &Trouble) {
    let mut block = [0; 1024];
    loop {
        match stderr.read(&mut block) {
            Ok(0) => return,
            Ok(length) => trouble.note(&String::from_utf8_lossy(&block[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

impl Helper {
    /// The error of a connection that broke, in the words of whoever knows why.
    pub(crate) fn explain(&mut self, error: Error) -> Error {
        match self {
            Self::None => error,
            Self::Relay(trouble) => match trouble.take() {
                Some(why) => Error::unavailable(format!("error during connect: {why}")).with_hint(
                    "check --tlscacert, --tlscert and --tlskey: the engine lets only those in whom it knows",
                ),
                None => error,
            },
            Self::Program(program) => program.explain(error),
        }
    }
}

impl Program {
    fn explain(&mut self, error: Error) -> Error {
        // The far end of its standard input is closed by now, so it ends; if it does not, it has nothing to say.
        let Ok(status) = self.child.wait() else { return error };
        if let Some(listener) = self.listener.take() {
            // It cannot panic, and if it did, its words would only be missing.
            drop(listener.join());
        }
        let said = self.trouble.take().unwrap_or_default();
        Error::unavailable(format!(
            "error during connect: command [{}] has exited with {status}, make sure the URL is valid, and dhow or Docker \
             is installed on the remote host: stderr={said}",
            self.command
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_words_are_kept() {
        let trouble = Trouble::default();
        trouble.note(&"é".repeat(KEPT));
        trouble.note("end");
        let kept = trouble.take().expect("something");
        assert!(kept.len() <= KEPT && kept.ends_with("éend"));
        assert_eq!(trouble.take(), None);
    }
}
