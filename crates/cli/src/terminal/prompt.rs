//! Questions to the person at the terminal.

use std::io::{self, Read, Write, stdin, stdout};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

const INTERRUPT: u8 = 3;
const END: u8 = 4;
const BACKSPACE: [u8; 2] = [8, 127];

/// The terminal as it was, again when this is dropped.
struct Silent(Termios);

impl Silent {
    /// No echo; and keys that end programs come to us, so that we do not end with the echo off.
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // The terminal may be gone; then nothing is left to restore.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Asks for one line, whether it is shown while it is typed or not.
pub(crate) fn ask(question: &str, shown: bool) -> Result<String> {
    let step = || "ask at the terminal";
    let mut out = stdout();
    out.write_all(question.as_bytes()).and_then(|()| out.flush()).context(step)?;
    if shown {
        let mut line = String::new();
        stdin().read_line(&mut line).context(step)?;
        return Ok(line.trim().to_owned());
    }
    let silent = Silent::enter().context(step)?;
    let typed = read_unseen(&mut stdin().lock());
    drop(silent);
    out.write_all(b"\n").context(step)?;
    typed
}

fn read_unseen(from: &mut impl Read) -> Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while from.read(&mut byte).context(|| "ask at the terminal")? > 0 {
        match byte[0] {
            b'\n' | b'\r' | END => break,
            INTERRUPT => return Err(Error::cancelled("interrupted")),
            key if BACKSPACE.contains(&key) => drop(line.pop()),
            key => line.push(key),
        }
    }
    String::from_utf8(line).map_err(|_| Error::invalid("what was typed is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_gathered_until_the_line_ends() {
        assert_eq!(read_unseen(&mut &b"sec\x7fcret\nmore"[..]).unwrap(), "secret");
        assert_eq!(read_unseen(&mut &b""[..]).unwrap(), "");
        assert!(read_unseen(&mut &b"se\x03"[..]).is_err());
    }
}
