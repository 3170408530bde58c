//! Kills for lack of memory: how many there were, and a descriptor that tells of new ones.

use std::os::fd::{AsRawFd as _, OwnedFd};

use dhow_errdefs::{Error, Result};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{OFlags, inotify};

use crate::Controller;
use crate::cgroup::{Cgroup, Member};
use crate::file::failure;
use crate::hierarchy::Version;

/// The file with the counts of memory events on v2.
pub(crate) const EVENTS_V2: &str = "memory.events";

impl Cgroup {
    /// How many processes the kernel has killed because the cgroup was at its memory limit; 0 where nobody counts.
    ///
    /// # Errors
    /// What reading the counter gives.
    pub fn oom_kills(&self) -> Result<u64> {
        let Some(member) = self.member(Controller::Memory) else { return Ok(0) };
        Ok(member.directory.read_keyed(counter(member), "oom_kill")?.unwrap_or(0))
    }

    /// A descriptor that becomes readable (`POLLIN`) when the kernel may have killed for lack of memory. The reader
    /// empties it with one `read(2)` of at least 4 KiB and asks [`Cgroup::oom_kills`], which knows: the descriptor
    /// also wakes when the limit was met without a kill, and when the cgroup is removed.
    ///
    /// # Errors
    /// `NotImplemented` where the cgroup has no memory controller.
    pub fn oom_watch(&self) -> Result<OwnedFd> {
        match self.member(Controller::Memory) {
            Some(member) if member.version == Version::V1 => watch_v1(member),
            Some(member) if member.directory.has(counter(member)) => watch_v2(member),
            _ => Err(Error::not_implemented(format!("cgroup {} has no memory controller", self.path()))),
        }
    }
}

fn counter(member: &Member) -> &'static str {
    match member.version {
        Version::V1 => "memory.oom_control",
        Version::V2 => EVENTS_V2,
    }
}

/// An eventfd, made known to the kernel by a line in `cgroup.event_control` (cgroup-v1/memory.rst, section 9).
fn watch_v1(member: &Member) -> Result<OwnedFd> {
    let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|errno| failure(errno, "make an eventfd for OOM events".to_owned()))?;
    let control = member.directory.open(counter(member), OFlags::RDONLY)?;
    let control = control.ok_or_else(|| Error::not_implemented("the kernel does not tell of OOM events"))?;
    let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
    // The kernel keeps its own reference to the file; ours may close.
    member.directory.write("cgroup.event_control", &line)?;
    Ok(event)
}

/// An inotify watch: the kernel reports a modification of `memory.events` whenever a count in it changes.
fn watch_v2(member: &Member) -> Result<OwnedFd> {
    let watch = || {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        // inotify takes a path, and the descriptor of the directory gives a short one that cannot have moved.
        let path =
            format!("/proc/self/fd/{}/{}", std::os::fd::AsFd::as_fd(&member.directory).as_raw_fd(), counter(member));
        inotify::add_watch(&fd, path, inotify::WatchFlags::MODIFY)?;
        Ok(fd)
    };
    watch().map_err(|errno| failure(errno, format!("watch memory.events of cgroup {}", member.directory.name())))
}
