//! Removing a cgroup: it always ends, with the cgroup gone or with an error that names who is still in it.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result};
use dhow_sys::process;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::cgroup::{Cgroup, gone_is_none};
use crate::file::{Directory, failure};
use crate::hierarchy::{Hierarchy, Tree, Version};
use crate::{Controller, path, pids};

/// How long processes that were sent SIGKILL may take. Longer than any exit that makes progress; a process that the
/// kernel cannot end (waiting for a dead NFS server) must not hold up its caller for ever.
const PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Removes the cgroup from every tree, also from those that this value did not join, with the cgroups that the
    /// container made below it. Processes that are still in it are killed. It is no failure if it is gone already.
    ///
    /// Waits for the ends of the killed processes (`cgroup.events` on v2, their pidfds on v1), at most 10 s.
    ///
    /// # Errors
    /// `Unavailable` when a process does not end, and what `rmdir(2)` gives otherwise.
    pub fn delete(&self) -> Result<()> {
        let mut left = self.remove_where_empty()?;
        let deadline = Instant::now() + PATIENCE;
        while !left.is_empty() {
            self.thaw_all()?;
            for tree in &left {
                self.clear(tree, deadline)?;
            }
            left = self.remove_where_empty()?;
            if !left.is_empty() && Instant::now() >= deadline {
                return Err(self.still_used(&left));
            }
        }
        Ok(())
    }

    /// Removes a cgroup in every tree where it has neither processes nor cgroups below it, and leaves it alone in the others.
    ///
    /// # Errors
    /// `InvalidArgument` for a path that is the root or leaves it; what `rmdir(2)` gives otherwise.
    pub fn delete_empty(hierarchy: &Hierarchy, path: &str) -> Result<()> {
        Self::unjoined(hierarchy, path)?.remove_where_empty().map(drop)
    }

    /// Removes the cgroup in every tree where nothing is in it, and gives the trees where something is. One call by
    /// tree in the ordinary case.
    fn remove_where_empty(&self) -> Result<Vec<&Tree>> {
        let mut left = Vec::new();
        for tree in &self.hierarchy().inner.trees {
            match tree.root.remove(self.relative()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::BUSY | Errno::NOTEMPTY) => left.push(tree),
                Err(errno) => return Err(failure(errno, format!("remove cgroup {}:{}", tree.label, self.path()))),
            }
        }
        Ok(left)
    }

    /// Thaws the cgroup and those below it in a v1 freezer, which would keep its dead: there SIGKILL takes effect when
    /// the process runs again.
    fn thaw_all(&self) -> Result<()> {
        let Some(tree) = self.hierarchy().tree_of(Controller::Freezer).map(|index| self.hierarchy().tree(index)) else {
            return Ok(());
        };
        match tree.root.child(self.relative()).map(Some).or_else(gone_is_none)? {
            Some(directory) if tree.version == Version::V1 => thaw_below(&directory),
            _ => Ok(()),
        }
    }

    /// Kills what is in one tree, waits for it and removes the cgroups below ours.
    fn clear(&self, tree: &Tree, deadline: Instant) -> Result<()> {
        let (parent, name) = path::split(self.relative());
        let parent = if parent.is_empty() { tree.root.duplicate() } else { tree.root.child(parent) };
        let Some(parent) = parent.map(Some).or_else(gone_is_none)? else { return Ok(()) };
        let Some(directory) = parent.child(name).map(Some).or_else(gone_is_none)? else { return Ok(()) };
        end_processes(tree.version, &directory, deadline)?;
        match remove_tree(&parent, name) {
            Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => Ok(()),
            Err(errno) => Err(failure(errno, format!("remove cgroup {}", directory.name()))),
        }
    }

    fn still_used(&self, left: &[&Tree]) -> Error {
        let directory = left.iter().find_map(|tree| tree.root.child(self.relative()).ok());
        let pids = directory.and_then(|directory| pids::recursive(&directory).ok()).unwrap_or_default();
        let who: Vec<String> = pids.iter().map(i32::to_string).collect();
        Error::unavailable(format!(
            "cgroup {} is still in use after SIGKILL, by process {}",
            self.path(),
            who.join(", ")
        ))
        .with_hint("a process in uninterruptible sleep ends when its device or file server answers")
    }
}

/// Removes a directory with everything below it, deepest first.
pub(crate) fn remove_tree(parent: &Directory, name: &str) -> Result<(), Errno> {
    match parent.remove(name) {
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        other => return other,
    }
    let directory = match parent.child(name) {
        Ok(directory) => directory,
        Err(_) => return Err(Errno::NOENT),
    };
    for child in directory.children().unwrap_or_default() {
        match remove_tree(&directory, &child) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    parent.remove(name)
}

fn thaw_below(directory: &Directory) -> Result<()> {
    directory.write_if_there("freezer.state", "THAWED").map(Some).or_else(gone_is_none)?;
    for name in directory.children()? {
        if let Some(child) = directory.child(&name).map(Some).or_else(gone_is_none)? {
            thaw_below(&child)?;
        }
    }
    Ok(())
}

fn end_processes(version: Version, directory: &Directory, deadline: Instant) -> Result<()> {
    if version == Version::V2 && directory.write_raw("cgroup.kill", "1").is_ok() {
        return wait_until(directory, "populated", 0, deadline).map(drop);
    }
    let mut seen = HashSet::new();
    loop {
        let found = pids::recursive(directory)?;
        if found.is_empty() || Instant::now() >= deadline {
            return Ok(());
        }
        // Somebody who was killed in an earlier round and is listed still is about to leave the list: waiting on its
        // pidfd returns at once, so give the kernel the moment it needs.
        if found.iter().all(|pid| !seen.insert(*pid)) {
            wait(&mut [], Duration::from_millis(1).min(remaining(deadline)));
        }
        let found: Vec<OwnedFd> = found.into_iter().filter_map(process::open).collect();
        process::end(&found, deadline);
    }
}

/// Waits until `cgroup.events` tells that; the kernel marks the file with POLLPRI when it changes. Says whether it does: a
/// kernel without the file tells nothing, and is believed to have done it.
pub(crate) fn wait_until(directory: &Directory, key: &str, value: u64, deadline: Instant) -> Result<bool> {
    let Some(events) = directory.open("cgroup.events", rustix::fs::OFlags::RDONLY)? else { return Ok(true) };
    loop {
        // Read before each wait: only a change after the last read is reported.
        let mut buffer = [0_u8; 128];
        let length = rustix::io::pread(&events, &mut buffer, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&buffer[..length]);
        let told = crate::file::keyed(&text, key);
        // A cgroup that is gone tells nothing any more.
        if told == Some(value) || length == 0 {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        wait(&mut [PollFd::from_borrowed_fd(events.as_fd(), PollFlags::PRI)], remaining(deadline));
    }
}

pub(crate) fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

/// One `poll(2)`; an interruption counts as an answer, the callers look again.
pub(crate) fn wait(fds: &mut [PollFd<'_>], at_most: Duration) {
    let timeout = Timespec { tv_sec: at_most.as_secs().cast_signed(), tv_nsec: at_most.subsec_nanos().into() };
    let _ = poll(fds, Some(&timeout));
}
