//! The way from a tree's root down to a cgroup: parents made, and on v2 controllers switched on in each.
//!
//! On v2 a cgroup has the controllers that its parent lists in `cgroup.subtree_control`, and a cgroup other than the
//! real root may list some only while no process is in it ("no internal processes", cgroup-v2.rst).

use std::fs;
use std::os::fd::AsFd as _;

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{Access, AtFlags};
use rustix::io::Errno;

use crate::cgroup::gone_is_none;
use crate::file::{Directory, failure};
use crate::hierarchy::{Tree, Version};
use crate::{Controller, Controllers, cpuset, path};

/// Where the processes of a cgroup go that must not have any: ours, when the engine runs in a container or in a
/// delegated cgroup.
const LEAF: &str = "init";
const SUBTREE_CONTROL: &str = "cgroup.subtree_control";

/// Opens the parent of a path, made with its own parents where they are missing, and gives the last component.
pub(crate) fn open_parent<'a>(tree: &Tree, relative: &'a str) -> Result<(Directory, &'a str)> {
    let (parent, name) = path::split(relative);
    Ok((open_or_make(tree, parent)?, name))
}

/// Opens a cgroup, made with its parents where they are missing. An empty path is the root's.
pub(crate) fn open_or_make(tree: &Tree, relative: &str) -> Result<Directory> {
    if relative.is_empty() {
        return tree.root.duplicate();
    }
    match tree.root.child(relative) {
        Err(error) if error.class() == dhow_errdefs::Class::NotFound => {}
        found => return found,
    }
    let mut directory = tree.root.duplicate()?;
    for component in relative.split('/') {
        directory.make(component)?;
        let child = directory.child(component)?;
        if tree.version == Version::V1 && tree.controllers.contains(Controller::CpuSet) {
            cpuset::inherit(&directory, &child)?;
        }
        directory = child;
    }
    Ok(directory)
}

/// Switches on, from the root down, every controller the tree has, so that the cgroup at `relative` gets their files.
/// A controller that a cgroup on the way refuses stays off: the limit that needs it will say so.
pub(crate) fn enable(tree: &Tree, relative: &str) -> Result<()> {
    let mut directory = tree.root.duplicate()?;
    for component in relative.split('/') {
        switch_on(tree, &directory)?;
        directory = directory.child(component)?;
    }
    Ok(())
}

fn switch_on(tree: &Tree, directory: &Directory) -> Result<()> {
    if !is_writable(directory, SUBTREE_CONTROL) {
        return Ok(());
    }
    let there = listed(directory, "cgroup.controllers")?;
    let wanted = tree.controllers.intersection(there).difference(listed(directory, SUBTREE_CONTROL)?);
    if wanted.is_empty() {
        return Ok(());
    }
    let line: Vec<String> = wanted.iter().filter_map(|c| Some(format!("+{}", c.v2_name()?))).collect();
    let mut answer = directory.write_raw(SUBTREE_CONTROL, &line.join(" "));
    if answer == Err(Errno::BUSY) && is_own(tree, directory)? {
        evacuate(directory)?;
        answer = directory.write_raw(SUBTREE_CONTROL, &line.join(" "));
    }
    // All or nothing: one refused controller (cpu with real-time tasks, say) must not cost the others. A busy cgroup
    // is left alone: it would take the controllers that go by threads and its children could not hold processes.
    if answer.is_err() && answer != Err(Errno::BUSY) {
        for one in line {
            let _ = directory.write_raw(SUBTREE_CONTROL, &one);
        }
    }
    Ok(())
}

/// The controllers in a file that lists them.
pub(crate) fn listed(directory: &Directory, file: &str) -> Result<Controllers> {
    Ok(Controllers::from_v2_line(&directory.read_if_there(file)?.unwrap_or_default()))
}

/// Whether this process itself lives in the directory.
fn is_own(tree: &Tree, directory: &Directory) -> Result<bool> {
    let path = own_path()?;
    if path.starts_with("/..") {
        return Ok(false);
    }
    let own = match path.trim_start_matches('/') {
        "" => tree.root.duplicate()?,
        relative => match tree.root.child(relative).map(Some).or_else(gone_is_none)? {
            Some(own) => own,
            None => return Ok(false),
        },
    };
    let same = |a: rustix::fs::Stat, b: rustix::fs::Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
    Ok(match (rustix::fs::fstat(own.as_fd()), rustix::fs::fstat(directory.as_fd())) {
        (Ok(a), Ok(b)) => same(a, b),
        _ => false,
    })
}

/// The v2 path of this process, as its cgroup namespace shows it.
pub(crate) fn own_path() -> Result<String> {
    let text = fs::read_to_string("/proc/self/cgroup").context(|| "read /proc/self/cgroup")?;
    Ok(v2_path(&text).unwrap_or("/").to_owned())
}

/// The path in the line of the v2 tree, whose number is 0 and which names no controller; cgroups(7).
fn v2_path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Moves the processes of a cgroup into a leaf below it.
fn evacuate(directory: &Directory) -> Result<()> {
    directory.make(LEAF)?;
    let leaf = directory.child(LEAF)?;
    loop {
        let here = directory.read("cgroup.procs")?;
        let mut moved = false;
        for pid in here.split_ascii_whitespace().filter(|pid| *pid != "0") {
            match leaf.write_raw("cgroup.procs", pid) {
                Ok(()) => moved = true,
                Err(Errno::SRCH) => {}
                Err(errno) => return Err(failure(errno, format!("move process {pid} into cgroup {}", leaf.name()))),
            }
        }
        if !moved {
            return Ok(());
        }
    }
}

/// Whether this process may write a control file.
pub(crate) fn is_writable(directory: &Directory, file: &str) -> bool {
    rustix::fs::accessat(directory, file, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_path_is_in_the_line_without_controllers() {
        assert_eq!(v2_path("8:pids:/a\n0::/user.slice/x.scope\n"), Some("/user.slice/x.scope"));
        assert_eq!(v2_path("8:pids:/a\n"), None);
    }
}
