//! A container's first process, before and after its start.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use dhow_errdefs::{Error, Result};

/// A container that is made and waits to be started. Dropping it ends and reaps the process.
#[derive(Debug)]
pub struct Init {
    pid: i32,
    pidfd: OwnedFd,
    pty: Option<OwnedFd>,
    seccomp_listener: Option<OwnedFd>,
    warnings: Vec<String>,
}

/// A running first process. It is a child of the caller, who has to reap it.
#[derive(Debug)]
pub struct Started {
    /// Its process id on the host.
    pub pid: i32,
    /// A descriptor of it; polls readable when it ends.
    pub pidfd: OwnedFd,
    /// The terminal's master, if it has a terminal and nobody took it before.
    pub pty: Option<OwnedFd>,
}

impl Init {
    /// The process id on the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A descriptor of the process.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The terminal's master, once.
    pub fn take_pty(&mut self) -> Option<OwnedFd> {
        self.pty.take()
    }

    /// The listener of a seccomp filter with notifications, once.
    pub fn take_seccomp_listener(&mut self) -> Option<OwnedFd> {
        self.seccomp_listener.take()
    }

    /// What the host could not do and the spec did not insist on.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Runs the hook `startContainer`, executes the program, runs `poststart`.
    ///
    /// # Errors
    /// Why the program could not be executed; the process has then ended and is reaped.
    pub fn start(self) -> Result<Started> {
        Err(Error::not_implemented("start"))
    }

    /// Lets the process live on without this value, for a start through the [`Gate::Socket`](crate::Gate::Socket).
    #[must_use]
    pub fn detach(self) -> Started {
        Started { pid: self.pid, pidfd: self.pidfd, pty: self.pty }
    }

    /// Starts a detached container through its socket.
    ///
    /// # Errors
    /// As [`Init::start`]; `Conflict` when nobody waits there any more.
    pub fn start_at(gate: &Path) -> Result<()> {
        Err(Error::not_implemented(format!("start at {}", gate.display())))
    }
}
