//! Waiting for a condition of another process, without guessing how long that takes.

use std::thread;
use std::time::{Duration, Instant};

/// Far above what any machine needs: it only turns a hang into a failure that names what was awaited.
const HANG: Duration = Duration::from_secs(120);

/// Looks until the condition holds; panics with `what` when it never does.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < HANG, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
