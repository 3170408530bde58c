//! The first process of a container that has no cgroup, written down in its run directory.
//!
//! A cgroup lists what a shim that was killed has left; without one (an engine without root to which nothing was
//! delegated) nothing would, and a next run would mount the container's writable layer a second time under processes that
//! still write to it. So the process is written down before its program runs, and ended before anything is mounted again.
//! `PR_SET_PDEATHSIG` would not do: the program can take it back, and loses it where it changes its rights.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::process::{self, Stat, field, has_ended};

use super::family;

/// Its name in the run directory.
const NAME: &str = "first";

/// How long processes that got SIGKILL may take, as with a cgroup.
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes a process down.
pub(super) fn record(run_dir: &Path, pid: i32) -> Result<()> {
    let path = run_dir.join(NAME);
    let who = identity(pid).ok_or_else(|| Error::internal("the container's first process has ended"))?;
    fs::write(&path, who).context(|| format!("write {}", path.display()))
}

/// Ends the process that is written down in a run directory, if it still runs, and every other one in its mount namespace.
/// Blocks until they have ended.
///
/// # Errors
/// `DeadlineExceeded` when one does not end.
pub fn end(run_dir: &Path) -> Result<()> {
    let Some((first, pid)) = find(run_dir) else { return Ok(()) };
    // Held open, the namespace's number belongs to nobody else, whoever of its processes ends.
    let namespace = File::open(format!("/proc/{pid}/ns/mnt")).ok().filter(|file| !is_ours(file));
    // One that ended in between may have left its number to somebody else, whose namespace that is.
    let namespace = namespace.filter(|_| !has_ended(&first));
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut left = namespace.as_ref().map(members).unwrap_or_default();
        if !has_ended(&first) {
            left.push(first.try_clone().context(|| "copy a descriptor")?);
        }
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error::deadline(format!("process {pid} of the container's last run does not end")));
        }
        process::end(&left, deadline);
    }
}

/// The process that is written down, if it is still the same.
fn find(run_dir: &Path) -> Option<(OwnedFd, i32)> {
    let who = fs::read_to_string(run_dir.join(NAME)).ok()?;
    let pid = who.split(' ').next()?.parse().ok()?;
    // First the descriptor, then the look: what is seen is of the process that it is a descriptor of, or of a later one,
    // which has begun later.
    let process = process::open(pid)?;
    (identity(pid)? == who).then_some((process, pid))
}

/// What no other process ever has: number, when it began in ticks since the boot, and which boot that was.
fn identity(pid: i32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let began: u64 = Stat::of(pid).ok()?.get(field::BEGAN)?;
    Some(format!("{pid} {began} {}", boot.trim()))
}

/// Every process in a mount namespace.
fn members(namespace: &File) -> Vec<OwnedFd> {
    let Ok(wanted) = namespace.metadata() else { return Vec::new() };
    let inside = |pid: i32| {
        let process = process::open(pid)?;
        let found = fs::metadata(format!("/proc/{pid}/ns/mnt")).ok()?;
        (same(&found, &wanted) && !has_ended(&process)).then_some(process)
    };
    family::all_processes().into_iter().filter_map(inside).collect()
}

fn is_ours(namespace: &File) -> bool {
    let ours: io::Result<bool> =
        namespace.metadata().and_then(|theirs| Ok(same(&theirs, &fs::metadata("/proc/self/ns/mnt")?)));
    ours.unwrap_or(true)
}

fn same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn sleeper(program: &str) -> std::process::Child {
        Command::new(program).args(["sleep", "1000"]).stdout(Stdio::null()).spawn().unwrap()
    }

    #[test]
    fn a_process_that_was_left_is_ended_and_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let (mut left, mut other) = (sleeper("env"), sleeper("env"));
        end(folder.path()).unwrap();
        record(folder.path(), left.id() as i32).unwrap();
        end(folder.path()).unwrap();
        assert!(!left.wait().unwrap().success());
        end(folder.path()).unwrap();
        assert!(other.try_wait().unwrap().is_none(), "in the same mount namespace as we are");
        // Another process that has the number now.
        let who = identity(other.id() as i32).unwrap();
        let (pid, rest) = who.split_once(' ').unwrap();
        fs::write(folder.path().join(NAME), format!("{pid} 1{rest}")).unwrap();
        end(folder.path()).unwrap();
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
