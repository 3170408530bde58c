//! The shim's children: it is a subreaper, so that what outlives its parent in the container becomes the shim's child.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Signal, WaitOptions};

use super::ending;

/// As for a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends and reaps every child, and their children as they become ours: without a cgroup there is no other list of them.
pub(super) fn end_all() {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let children: Vec<_> = pids().into_iter().filter_map(ending::open).collect();
        if children.is_empty() || Instant::now() >= deadline {
            return;
        }
        for child in &children {
            // Who has ended meanwhile needs no signal.
            let _ = rustix::process::pidfd_send_signal(child, Signal::KILL);
        }
        for child in &children {
            ending::wait(Some(child), deadline.saturating_duration_since(Instant::now()));
        }
        while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    }
}

fn pids() -> Vec<i32> {
    let list = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}
