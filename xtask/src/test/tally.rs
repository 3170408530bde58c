//! Counts what ran: steps, and the tests that cargo's and our own runners report.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::shell::Result;

/// So many lines of what a runner said of its failures are repeated: the first of each say what was wrong, and whoever
/// sees but the end of a long output is to see them.
const REPEATED: usize = 120;

/// How many tests passed, failed and were left out so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Tests that found out themselves that this machine cannot do what they need: their runner takes them for passed.
    excused: u64,
    /// What is said of the failures, to be repeated at the end.
    failures: Vec<String>,
}

impl Tally {
    /// A check that counts as one test.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result) {
        println!("\n== {name}");
        let begin = Instant::now();
        match step() {
            Ok(()) => self.passed += 1,
            Err(error) => {
                self.fail(format!("{name}: {error}"));
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
            counted.fail(format!("{name}: {command:?} ended badly: {good:?}"));
        }
        if counted.passed + counted.failed == 0 {
            counted.fail(format!("{name}: not one test ran"));
        }
        self.passed += counted.passed;
        self.failed += counted.failed;
        self.skipped += counted.skipped;
        self.excused += counted.excused;
        self.failures.append(&mut counted.failures);
        println!("-- {name}: {:.0} s", begin.elapsed().as_secs_f64());
    }

    fn fail(&mut self, what: String) {
        println!("FAILED: {what}");
        self.failed += 1;
        self.failures.push(what);
    }

    /// Failures so far.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    fn watch(&mut self, command: &mut Command) -> Result<bool> {
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let mut repeated = Repeated::default();
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.map_err(|error| error.to_string())?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            self.hear(&line, &mut repeated);
        }
        Ok(child.wait().map_err(|error| error.to_string())?.success())
    }

    fn hear(&mut self, line: &str, repeated: &mut Repeated) {
        self.count(line);
        self.failures.extend(repeated.of(line));
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
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        write!(f, "{passed} passed, {} failed, {} skipped", self.failed, self.skipped + self.excused)
    }
}

/// Finds what runners say of failures: those of cargo between a line `failures:` and their closing line, ours in a line each.
#[derive(Default)]
struct Repeated {
    lines: Option<usize>,
}

impl Repeated {
    fn of(&mut self, line: &str) -> Option<String> {
        if line == "failures:" {
            // It stands there twice: the second list is the names alone, and always wanted.
            self.lines = Some(0);
        } else if line.starts_with("test result: ") {
            self.lines = None;
        }
        let Some(lines) = self.lines.as_mut() else {
            return (line.starts_with("test ") && line.ends_with("... FAILED")).then(|| line.to_owned());
        };
        *lines += 1;
        (*lines <= REPEATED && !line.is_empty()).then(|| line.to_owned())
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
    fn failures_are_repeated_before_the_counts() {
        let said = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nsuccesses:\n---- a stdout ----\nfine\n\n\
            failures:\n\n---- b stdout ----\nit is broken\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed";
        // Heard and not printed: who counts the tests of this program would take them for its own.
        let (mut tally, mut repeated) = (Tally::default(), Repeated::default());
        said.lines().for_each(|line| tally.hear(line, &mut repeated));
        let end = "test b ... FAILED\nfailures:\n---- b stdout ----\nit is broken\nfailures:\n    b\n1 passed, 1 failed, 0 skipped";
        assert_eq!(tally.to_string(), end);
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
