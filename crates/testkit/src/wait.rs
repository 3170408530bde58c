//! Waiting for a condition of another process, without guessing how long that takes.

use std::thread;
use std::time::{Duration, Instant};

/// Far above what any machine needs: it only turns a hang into a failure that names what was awaited.
const HANG: Duration = Duration::from_secs(120);

/// Looks until the condition holds; panics with `what` when it never does.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_none(what, || if condition() { Vec::new() } else { vec![String::new()] });
}

/// Looks until nothing is left; panics with `what` and the rest when something stays.
pub fn eventually_none(what: &str, mut left: impl FnMut() -> Vec<String>) {
    let begin = Instant::now();
    loop {
        let left = left();
        if left.is_empty() {
            return;
        }
        assert!(begin.elapsed() < HANG, "never happened: {what}\n{}", left.join("\n"));
        thread::sleep(Duration::from_millis(5));
    }
}
