//! What programs say of their tests that cannot have the usual runner.

use std::panic::{UnwindSafe, catch_unwind};
use std::process::ExitCode;

/// How many tests passed and failed so far.
#[derive(Debug, Default)]
pub struct Results {
    passed: usize,
    failed: usize,
}

impl Results {
    /// Runs a test and says how it went.
    pub fn of(&mut self, name: &str, test: impl FnOnce() + UnwindSafe) {
        let passed = catch_unwind(test).is_ok();
        println!("test {name} ... {}", if passed { "ok" } else { "FAILED" });
        *if passed { &mut self.passed } else { &mut self.failed } += 1;
    }

    /// Whether a test has failed.
    #[must_use]
    pub fn are_bad(&self) -> bool {
        self.failed > 0
    }

    /// The closing line of the usual runner, by which tests are counted, and the exit code.
    pub fn tell(&self) -> ExitCode {
        let verdict = if self.are_bad() { "FAILED" } else { "ok" };
        println!("test result: {verdict}. {} passed; {} failed", self.passed, self.failed);
        ExitCode::from(u8::from(self.are_bad()))
    }
}
