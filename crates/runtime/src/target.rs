//! A running container as somebody enters it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Result, ResultExt};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::ThreadNameSpaceType as Namespaces;

/// A process whose namespaces can be entered, pinned by its pidfd.
#[derive(Debug)]
pub struct Target {
    pid: i32,
    pidfd: OwnedFd,
    namespaces: Namespaces,
}

impl Target {
    /// The process with that id; the caller knows that it is still the one it means.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub fn open(pid: i32) -> Result<Self> {
        let pidfd = Pid::from_raw(pid)
            .ok_or(rustix::io::Errno::SRCH)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
            .map_err(std::io::Error::from)
            .context(|| format!("open process {pid}"))?;
        Self::of(pid, pidfd)
    }

    /// The process behind a descriptor that the caller has already.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub fn of(pid: i32, pidfd: OwnedFd) -> Result<Self> {
        Ok(Self { pid, pidfd, namespaces: Namespaces::empty() })
    }

    /// The process id on the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The namespaces in which the process differs from the caller.
    #[must_use]
    pub fn namespaces(&self) -> Namespaces {
        self.namespaces
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
