//! Signals to every process of a cgroup.

use std::collections::HashSet;

use dhow_errdefs::{Error, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::cgroup::Cgroup;
use crate::{Controller, freezer};

/// Rounds of looking for processes that were forked while we signalled; with the cgroup frozen one is enough.
const ROUNDS: usize = 64;

impl Cgroup {
    /// Sends a signal to every process in the cgroup and below it, with the number as in `signal(7)`.
    ///
    /// SIGKILL reaches also what is forked meanwhile: through `cgroup.kill` on v2 (Linux 5.14), by freezing first
    /// elsewhere. It returns when the signals are sent, not when the processes have ended.
    ///
    /// # Errors
    /// `InvalidArgument` for a number that is no signal, `PermissionDenied` when this process may not signal them.
    pub fn kill(&self, signal: i32) -> Result<()> {
        let signal =
            Signal::from_named_raw(signal).ok_or_else(|| Error::invalid(format!("invalid signal number {signal}")))?;
        if signal != Signal::KILL {
            return self.pids()?.into_iter().try_for_each(|pid| send(pid, signal));
        }
        if let Some(member) = self.v2()
            && !member.directory.is_plain()
            && member.directory.write_raw("cgroup.kill", "1").is_ok()
        {
            // A paused container dies too: v2 lets frozen processes be killed, the v1 freezer does not.
            return self.thaw_v1();
        }
        self.kill_frozen()
    }

    fn kill_frozen(&self) -> Result<()> {
        // Freezing may fail (no freezer on the host); then the rounds below have to be enough.
        let _ = self.freeze();
        let mut seen = HashSet::new();
        let mut outcome = Ok(());
        for _ in 0..ROUNDS {
            let mut found = self.pids()?;
            found.retain(|pid| seen.insert(*pid));
            if found.is_empty() {
                break;
            }
            outcome = found.into_iter().map(|pid| send(pid, Signal::KILL)).fold(outcome, Result::and);
        }
        let _ = self.thaw();
        outcome
    }

    fn thaw_v1(&self) -> Result<()> {
        match self.member(Controller::Freezer) {
            Some(member) if member.version == crate::hierarchy::Version::V1 => freezer::thaw(member),
            _ => Ok(()),
        }
    }
}

/// One signal, through a pidfd: a number that was reused since the listing belongs to a process that is not ours.
fn send(pid: i32, signal: Signal) -> Result<()> {
    use rustix::io::Errno;
    let Some(id) = Pid::from_raw(pid) else { return Ok(()) };
    match pidfd_open(id, PidfdFlags::empty()).and_then(|fd| pidfd_send_signal(fd, signal)) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(crate::file::failure(errno, format!("send signal {} to process {pid}", signal.as_raw()))),
    }
}
