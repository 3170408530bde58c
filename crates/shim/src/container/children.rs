//! The shim's children: it is a subreaper, so that what outlives its parent in the container becomes the shim's child.

use std::fs;
use std::time::{Duration, Instant};

use dhow_sys::process::{self, has_ended};

/// As for a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends every child, and their children as they become ours: without a cgroup there is no other list of them. They are left
/// to be reaped, because how an exec ended is asked later.
pub(super) fn end_all() {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let children: Vec<_> = pids().into_iter().filter_map(process::open).filter(|child| !has_ended(child)).collect();
        if children.is_empty() || Instant::now() >= deadline {
            return;
        }
        process::end(&children, deadline);
    }
}

fn pids() -> Vec<i32> {
    let list = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
