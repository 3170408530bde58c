//! Counts what ran: steps, and the tests that cargo's and our own runners report.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::shell::Result;

/// How many tests passed, failed and were left out so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Tests that found out themselves that this machine cannot do what they need: their runner takes them for passed.
    excused: u64,
}

impl Tally {
    /// A check that counts as one test.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result) {
        println!("\n== {name}");
        let begin = Instant::now();
        match step() {
            Ok(()) => self.passed += 1,
            Err(error) => {
                self.failed += 1;
                println!("FAILED: {name}: {error}");
            }
        }
        println!("-- {name}: {:.0} s", begin.elapsed().as_secs_f64());
    }

    /// A test runner: its closing lines are counted, and a bad exit code without a counted failure is a failure.
    pub(crate) fn tests(&mut self, name: &str, command: &mut Command) {
        println!("\n== {name}");
        let begin = Instant::now();
        let mut counted = Self::default();
        let good = counted.watch(command);
        if counted.failed == 0 && good != Ok(true) {
            println!("FAILED: {name}: {command:?} ended badly: {good:?}");
            counted.failed += 1;
        }
        if counted.passed + counted.failed == 0 {
            println!("FAILED: {name}: not one test ran");
            counted.failed += 1;
        }
        self.passed += counted.passed;
        self.failed += counted.failed;
        self.skipped += counted.skipped;
        self.excused += counted.excused;
        println!("-- {name}: {:.0} s", begin.elapsed().as_secs_f64());
    }

    /// Failures so far.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    fn watch(&mut self, command: &mut Command) -> Result<bool> {
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|error| error.to_string())?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            self.count(&line);
        }
        Ok(child.wait().map_err(|error| error.to_string())?.success())
    }

    /// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; …`, the closing line of cargo's runner, and what tests say
    /// that leave themselves out.
    fn count(&mut self, line: &str) {
        if line.starts_with("SKIPPED: ") {
            self.excused += 1;
            return;
        }
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        let Some((_, counts)) = rest.split_once(". ") else { return };
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let (Some(number), Some(word)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.passed.saturating_sub(self.excused);
        write!(f, "{passed} passed, {} failed, {} skipped", self.failed, self.skipped + self.excused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell;

    #[test]
    fn closing_lines_add_up() {
        let mut tally = Tally::default();
        tally.count("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.10s");
        tally.count("test result: FAILED. 1 passed; 2 failed; 0 ignored");
        tally.count("test a::b ... ok");
        tally.count("SKIPPED: this kernel has no such thing");
        assert_eq!(tally.to_string(), "12 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn a_runner_that_runs_nothing_or_dies_has_failed() {
        let mut tally = Tally::default();
        tally.tests("nothing", &mut shell::command("true"));
        assert_eq!(tally.failed(), 1);
        let mut tally = Tally::default();
        tally.tests("dies", shell::command("sh").args(["-c", "echo 'test result: ok. 0 passed; 0 failed'; exit 3"]));
        assert_eq!(tally.failed(), 1);
    }
}
