//! How a command ends when it does not end well.

use std::io;

use dhow_errdefs::Error;

/// What a command gives back: an exit code, or a failure to report.
pub(crate) type Outcome = Result<u8, Failure>;

/// The exit code of a process that wrote into a closed pipe, as the shell shows it for SIGPIPE.
const BROKEN_PIPE: u8 = 128 + 13;

/// A failure.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Shown as it is (with its hint); the exit code is 1.
    Error(Error),
    /// A finished text for standard error and the exit code.
    Text(String, u8),
    /// Whoever read our output went away: nobody is left to be told.
    Pipe,
}

impl Failure {
    /// A text that ends with exit code 1.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into(), 1)
    }

    /// An error of `run` or `create`, with the program's name and the word about help. The exit codes are a shell's: 127
    /// for a command that is not there, 126 for one that cannot be run; 125 for everything else.
    pub(crate) fn of_run(program: &str, name: &str, error: &Error) -> Self {
        let text = error.to_string();
        let says = |words: &[&str]| words.iter().any(|words| text.contains(words));
        // Docker judges by the text of whatever went wrong before there was a container.
        let counts = text.starts_with("Error response from daemon: ") || text.contains("the container ID file");
        let code = match counts {
            true if says(&["executable file not found", "no such file or directory"]) => 127,
            true if says(&["permission denied", "is a directory"]) => 126,
            _ => 125,
        };
        let text = with_hint(error);
        Self::Text(format!("{program}: {text}\n\nRun '{program} {name} --help' for more information"), code)
    }

    /// An error of the template of `info` or `version`, which Docker calls by a name: one that cannot be read ends with 64,
    /// one that does not fit with 1 and without the words about parsing.
    pub(crate) fn of_template(error: &Error, name: &str) -> Self {
        let text = error.to_string().replace("template: :", &format!("template: {name}:"));
        match text.strip_prefix("template parsing error: ").filter(|rest| rest.contains("executing \"\"")) {
            Some(rest) => Self::text(rest.replace("executing \"\"", &format!("executing {name:?}"))),
            None => Self::Text(text, 64),
        }
    }

    /// Tells the person; returns the exit code.
    pub(crate) fn report(&self) -> u8 {
        match self {
            Self::Error(error) => {
                crate::output::note(&with_hint(error));
                1
            }
            Self::Text(text, code) => {
                if !text.is_empty() {
                    crate::output::note(text);
                }
                *code
            }
            Self::Pipe => BROKEN_PIPE,
        }
    }
}

/// Its text, and behind it what can be done.
pub(crate) fn with_hint(error: &Error) -> String {
    match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Only writing to our own output gives bare I/O errors.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Pipe,
            _ => Self::Error(Error::internal("write the output").with_cause(error)),
        }
    }
}
