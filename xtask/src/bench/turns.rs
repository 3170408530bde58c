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
///
/// Each round has an order of its own: what one leaves running when it has ended (dockerd removes containers for a long
/// time) would otherwise always be paid by the same one.
pub(crate) fn medians(contestants: &[Contestant<'_>], rounds: usize) -> Result<Vec<(&'static str, Duration)>> {
    let mut times = vec![Vec::with_capacity(rounds); contestants.len()];
    let mut order: Vec<usize> = (0..contestants.len()).collect();
    let mut dice = Dice(1);
    for round in 0..=rounds {
        dice.shuffle(&mut order);
        for &turn in &order {
            let taken = (contestants[turn].once)()?;
            if round > 0 {
                times[turn].push(taken);
            }
        }
    }
    Ok(contestants.iter().zip(times).map(|(contestant, times)| (contestant.name, median(times))).collect())
}

/// Numbers that look random and are the same in each run (a linear congruential generator, Knuth's constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % limit
    }

    fn shuffle(&mut self, order: &mut [usize]) {
        for end in (1..order.len()).rev() {
            order.swap(end, self.below(end + 1));
        }
    }
}

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
