//! Signals to every process of a cgroup.

use std::collections::HashSet;
use std::os::fd::OwnedFd;

use dhow_errdefs::{Error, Result};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use crate::cgroup::Cgroup;
use crate::{Controller, freezer};

/// Rounds of looking for processes that were forked while we signalled; with the cgroup frozen one is enough.
const ROUNDS: usize = 64;

const KILL: i32 = Signal::KILL.as_raw();

/// The highest real-time signal (signal(7)).
const LAST: i32 = 64;

/// Descriptors that are open at the same time.
const AT_ONCE: usize = 256;

impl Cgroup {
    /// Sends a signal to every process in the cgroup and below it, with the number as in `signal(7)`.
    ///
    /// SIGKILL reaches also what is forked meanwhile: through `cgroup.kill` on v2 (Linux 5.14), by freezing first
    /// elsewhere. It returns when the signals are sent, not when the processes have ended.
    ///
    /// # Errors
    /// `InvalidArgument` for a number that is no signal, `PermissionDenied` when this process may not signal them.
    pub fn kill(&self, signal: i32) -> Result<()> {
        if !(1..=LAST).contains(&signal) {
            return Err(Error::invalid(format!("invalid signal number {signal}")));
        }
        if signal != KILL {
            return self.send_to(&self.pids()?, signal);
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
            outcome = outcome.and(self.send_to(&found, KILL));
        }
        let _ = self.thaw();
        outcome
    }

    /// A signal to those of the processes that are in the cgroup; tells the first failure when all have got it.
    fn send_to(&self, pids: &[i32], signal: i32) -> Result<()> {
        pids.chunks(AT_ONCE).map(|pids| self.send_to_some(pids, signal)).fold(Ok(()), Result::and)
    }

    /// They are listed once more when a descriptor of each is there: a number that was another process' by then is not in
    /// the list, and one that is in the list is the descriptor's process, or that has ended.
    fn send_to_some(&self, pids: &[i32], signal: i32) -> Result<()> {
        let open = |pid: &i32| Some((*pid, pidfd_open(Pid::from_raw(*pid)?, PidfdFlags::empty())));
        let opened: Vec<_> = pids.iter().filter_map(open).collect();
        let members: HashSet<i32> = self.pids()?.into_iter().collect();
        let members = opened.into_iter().filter(|(pid, _)| members.contains(pid));
        members.map(|(pid, process)| send(pid, process, signal)).fold(Ok(()), Result::and)
    }

    fn thaw_v1(&self) -> Result<()> {
        match self.member(Controller::Freezer) {
            Some(member) if member.version == crate::hierarchy::Version::V1 => freezer::thaw(member),
            _ => Ok(()),
        }
    }
}

/// One signal. Who has ended needs none.
fn send(pid: i32, process: Result<OwnedFd, Errno>, signal: i32) -> Result<()> {
    let sent = process.and_then(|process| {
        let sent = dhow_sys::signal::send(process, signal);
        sent.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    });
    match sent {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(crate::file::failure(errno, format!("send signal {signal} to process {pid}"))),
    }
}
