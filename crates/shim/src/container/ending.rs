//! Ending what is left of a container when its first process has ended: execs, and with the host's process namespace
//! everything it ever started.

use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use dhow_cgroups::Cgroup;
use dhow_sys::process;
use rustix::process::Signal;

/// How long processes that got SIGKILL may take. One that the kernel cannot end (it waits for a dead file server) must
/// not keep the container's end from being told.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between looks at processes that are about to leave the cgroup; the kernel tells of that moment nowhere.
const PAUSE: Duration = Duration::from_millis(1);

/// Ends every process in the cgroup.
pub(super) fn end_cgroup(cgroup: &Cgroup) {
    let deadline = Instant::now() + PATIENCE;
    while !cgroup.is_empty().unwrap_or(true) && Instant::now() < deadline {
        // Again in each round: a process may be forked while another is signalled.
        let _ = cgroup.kill(Signal::KILL.as_raw());
        let left: Vec<OwnedFd> = cgroup.pids().unwrap_or_default().into_iter().filter_map(process::open).collect();
        process::end(&left, deadline);
        thread::sleep(PAUSE);
    }
}
