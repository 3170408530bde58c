//! Contestants that take turns.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::shell::Result;

/// A named way to do the measured thing once.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) once: Box<dyn Fn() -> Result<Duration> + 'a>,
}

impl<'a> Contestant<'a> {
    /// A contestant that is one command.
    pub(crate) fn command(name: &'static str, make: impl Fn() -> Command + 'a) -> Self {
        Self { name, once: Box::new(move || time(&mut make())) }
    }
}

/// Runs a command to its end and returns how long that took, from before its start.
pub(crate) fn time(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begin = Instant::now();
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let taken = begin.elapsed();
    if output.status.success() {
        return Ok(taken);
    }
    Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Lets each contestant run `rounds` times in turn, once more before as a warm-up, and returns the medians in order.
pub(crate) fn medians(contestants: &[Contestant<'_>], rounds: usize) -> Result<Vec<(&'static str, Duration)>> {
    let mut times = vec![Vec::with_capacity(rounds); contestants.len()];
    for round in 0..=rounds {
        for (contestant, times) in contestants.iter().zip(&mut times) {
            let taken = (contestant.once)()?;
            if round > 0 {
                times.push(taken);
            }
        }
    }
    Ok(contestants.iter().zip(times).map(|(contestant, times)| (contestant.name, median(times))).collect())
}

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
