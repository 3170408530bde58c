//! What a command did.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::thread;

/// Exit code and output of a finished command, with assertions that show everything when they fail.
#[derive(Debug)]
pub struct Outcome {
    shown: String,
    output: Output,
}

/// Runs a command to its end without input.
pub fn finish(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output();
    Outcome { shown: format!("{command:?}"), output: output.unwrap_or_else(|error| panic!("{command:?}: {error}")) }
}

/// Runs a command to its end and feeds its standard input.
pub fn finish_with_input(command: &mut Command, input: Vec<u8>) -> Outcome {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{shown}: {error}"));
    let mut stdin = child.stdin.take().expect("the input is a pipe");
    // A program that does not read its input to the end is no fault of the test's.
    let feeder = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("{shown}: {error}"));
    feeder.join().expect("the feeder does not panic");
    Outcome { shown, output }
}

impl Outcome {
    /// The exit code; -1 when a signal ended the command.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.output.status.code().unwrap_or(-1)
    }

    /// Standard output as text.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Standard output as it is.
    #[must_use]
    pub fn stdout_bytes(&self) -> &[u8] {
        &self.output.stdout
    }

    /// Standard error as text.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Asserts exit code 0 and returns standard output without the final newline.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.exits(0);
        self.stdout().trim_end_matches('\n').to_owned()
    }

    /// Asserts an exit code.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code(), code, "{} ended otherwise than with {code}:\n{}", self.shown, self.transcript());
        self
    }

    /// Asserts that standard error has these words.
    #[track_caller]
    pub fn says(&self, words: &str) -> &Self {
        assert!(self.stderr().contains(words), "{} does not say {words:?}:\n{}", self.shown, self.transcript());
        self
    }

    fn transcript(&self) -> String {
        format!("code {}\n--- stdout\n{}\n--- stderr\n{}", self.code(), self.stdout(), self.stderr())
    }
}
