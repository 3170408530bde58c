//! The first process of a running container, for those who look into it from outside.

use std::io;
use std::os::fd::OwnedFd;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::process::{Stat, field, has_ended};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::View;

/// A first process that cannot be taken for another one. Its number was read earlier, and may have become another
/// process' since; so it is opened first and looked at then: only its shim has it for a child, and its shim does not change.
#[derive(Debug)]
pub(crate) struct Process {
    pid: i32,
    pidfd: OwnedFd,
}

impl Process {
    /// The first process of a container as its view shows it.
    ///
    /// # Errors
    /// `Conflict` when it has ended.
    pub(crate) fn of(view: &View) -> Result<Self> {
        let shim = view.link.as_ref().and_then(crate::link::Link::shim);
        let opened = Pid::from_raw(view.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        match opened {
            Some(pidfd) if shim.is_some() && parent(view.pid) == shim => Ok(Self { pid: view.pid, pidfd }),
            _ => Err(ended()),
        }
    }

    /// Does something with its files below `/proc`; what comes of it counts only if the process still runs afterwards.
    ///
    /// # Errors
    /// `Conflict` when it has ended, or what is done gives.
    pub(crate) fn look<T>(&self, work: impl FnOnce(i32) -> Result<T>) -> Result<T> {
        let done = work(self.pid);
        if has_ended(&self.pidfd) { Err(ended()) } else { done }
    }

    /// A descriptor of it.
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.pidfd
    }

    /// One of its namespaces, by the name of the file.
    ///
    /// # Errors
    /// `Conflict` when it has ended, or why the namespace cannot be opened.
    pub(crate) fn namespace(&self, name: &str) -> Result<OwnedFd> {
        self.look(|pid| {
            let path = format!("/proc/{pid}/ns/{name}");
            let file = openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
            file.map_err(io::Error::from)
                .context(|| format!("open the namespace {name:?} of the container's first process"))
        })
    }
}

fn ended() -> Error {
    Error::conflict("the container's first process has ended")
}

fn parent(pid: i32) -> Option<i32> {
    Stat::of(pid).ok()?.get(field::PARENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_of_a_process_that_has_ended_does_not_count() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id() as i32;
        assert_eq!(parent(pid), Some(std::process::id() as i32));
        let process = Process { pid, pidfd: pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap() };
        process.namespace("net").unwrap();
        let seen = process.look(|_| {
            child.kill().unwrap();
            child.wait().unwrap();
            Ok(())
        });
        assert!(seen.is_err() && process.namespace("net").is_err());
    }
}
