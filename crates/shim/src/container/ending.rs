//! Ending what is left of a container when its first process has ended: execs, and with the host's process namespace
//! everything it ever started.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use dhow_cgroups::Cgroup;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal};

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
        let left: Vec<OwnedFd> = cgroup.pids().unwrap_or_default().into_iter().filter_map(open).collect();
        for process in &left {
            wait(Some(process), deadline.saturating_duration_since(Instant::now()));
        }
        wait(None, PAUSE);
    }
}

/// A descriptor of a process; `None` when it is gone.
pub(super) fn open(pid: i32) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Waits for the end of a process, or just so long.
pub(crate) fn wait(process: Option<&OwnedFd>, at_most: Duration) {
    let mut fds: Vec<PollFd<'_>> = process.iter().map(|fd| PollFd::new(*fd, PollFlags::IN)).collect();
    let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
    // An interruption counts as an answer: the callers look again.
    let _ = poll(&mut fds, Some(&timeout));
}
