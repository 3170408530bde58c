//! A running container as somebody enters it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use dhow_errdefs::{Class, Error, Result};
use rustix::io::Errno;
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
            .ok_or(Errno::SRCH)
            .and_then(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
            .map_err(|errno| gone(pid, errno.into()))?;
        Self::of(pid, pidfd)
    }

    /// The process behind a descriptor that the caller has already.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub fn of(pid: i32, pidfd: OwnedFd) -> Result<Self> {
        let mut namespaces = Namespaces::empty();
        for (name, kind) in KINDS {
            if !is_shared(pid, name).map_err(|error| gone(pid, error))? {
                namespaces |= kind;
            }
        }
        Ok(Self { pid, pidfd, namespaces })
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

const KINDS: [(&str, Namespaces); 8] = [
    ("user", Namespaces::USER),
    ("mnt", Namespaces::MOUNT),
    ("pid", Namespaces::PROCESS_ID),
    ("net", Namespaces::NETWORK),
    ("ipc", Namespaces::INTER_PROCESS_COMMUNICATION),
    ("uts", Namespaces::HOST_NAME_AND_NIS_DOMAIN_NAME),
    ("cgroup", Namespaces::CONTROL_GROUP),
    ("time", Namespaces::TIME),
];

/// A process that has ended has no namespaces any more, whatever number the kernel says that with.
fn gone(pid: i32, error: std::io::Error) -> Error {
    let class = match Errno::from_io_error(&error) {
        Some(Errno::SRCH | Errno::NOENT) => Class::NotFound,
        _ => error.kind().into(),
    };
    Error::new(class, format!("enter process {pid}")).with_cause(error)
}

/// Whether the caller and the process are in the same namespace of a kind; a kind that the kernel lacks counts as shared.
fn is_shared(pid: i32, kind: &str) -> std::io::Result<bool> {
    let theirs = match std::fs::metadata(format!("/proc/{pid}/ns/{kind}")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && kind == "time" => return Ok(true),
        result => result?,
    };
    let ours = std::fs::metadata(format!("/proc/thread-self/ns/{kind}"))?;
    Ok((theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()))
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}
