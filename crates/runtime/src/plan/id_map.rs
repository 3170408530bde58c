//! Ids of a user namespace: which maps, and writing them (user_namespaces(7)).

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::runtime::{LinuxIdMapping, Spec};
use dhow_sys::clone::{Fork, Request, fork};
use dhow_sys::signal::Blocked;
use dhow_sys::{exec, mount};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getegid, geteuid, getpid, getppid, pidfd_send_signal,
    set_parent_process_death_signal, waitid,
};
use rustix::thread::ThreadNameSpaceType as Flags;

/// The maps of a new user namespace.
#[derive(Debug, Clone)]
pub(crate) struct IdMaps {
    users: Vec<LinuxIdMapping>,
    groups: Vec<LinuxIdMapping>,
}

impl IdMaps {
    /// The maps of a container's spec.
    pub(crate) fn of(spec: &Spec) -> Result<Self> {
        let linux = spec.linux.as_ref();
        let users = linux.map(|linux| linux.uid_mappings.clone()).unwrap_or_default();
        let groups = linux.map(|linux| linux.gid_mappings.clone()).unwrap_or_default();
        Self::new(users, groups)
    }

    /// These maps; both have to say something.
    pub(crate) fn new(users: Vec<LinuxIdMapping>, groups: Vec<LinuxIdMapping>) -> Result<Self> {
        if users.is_empty() || groups.is_empty() {
            return Err(Error::invalid("a user namespace needs uidMappings and gidMappings"));
        }
        Ok(Self { users, groups })
    }

    /// The user and group that set the container up: root, or the first there is.
    pub(crate) fn first_ids(&self) -> (u32, u32) {
        (first(&self.users), first(&self.groups))
    }

    /// Writes the maps of the process' user namespace: directly where this process may, through newuidmap(1) and
    /// newgidmap(1) where an ordinary user has more than one id.
    pub(crate) fn write(&self, pid: i32) -> Result<()> {
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        if uid == 0 {
            write_file(pid, "uid_map", &lines(&self.users))?;
            return write_file(pid, "gid_map", &lines(&self.groups));
        }
        if is_own(&self.users, uid) {
            write_file(pid, "uid_map", &lines(&self.users))?;
        } else {
            run_helper("newuidmap", pid, &self.users)?;
        }
        if is_own(&self.groups, gid) {
            // An unprivileged process must give up setgroups(2) first, lest it drop a group that denies it something.
            write_file(pid, "setgroups", "deny")?;
            write_file(pid, "gid_map", &lines(&self.groups))
        } else {
            run_helper("newgidmap", pid, &self.groups)
        }
    }

    /// Shows the files of a detached mount, `shown` to people, under other ids.
    pub(crate) fn apply(&self, tree: impl AsFd, recursive: bool, shown: &str) -> Result<()> {
        mount::set_id_map(tree, self.namespace()?, recursive).map_err(|error| not_mapped(shown, error))
    }

    /// A user namespace with these maps and nobody in it, for id-mapped mounts.
    fn namespace(&self) -> Result<OwnedFd> {
        let request = Request { namespaces: Flags::USER, cgroup: None, sibling: false };
        let blocked = Blocked::all();
        let parent = getpid();
        let holder = fork(&request).context(|| "make a user namespace for an id-mapped mount")?;
        let Fork::Parent { pid, pidfd } = holder else { wait_to_be_killed(parent) };
        drop(blocked);
        let namespace = self.write(pid).and_then(|()| open_namespace(pid));
        // It only sleeps; both can fail only if it is gone already.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        namespace
    }
}

/// Shows the files of a detached mount under other ids, as the runtime does for a mount with `idmap`: the same maps, for who
/// looks into a container that does not run. The mount is called `shown` in errors.
///
/// # Errors
/// Invalid where the file system of the mount cannot do that (mount_setattr(2), "ID-mapped mounts"), or denied.
pub fn map_ids(tree: impl AsFd, users: Vec<LinuxIdMapping>, groups: Vec<LinuxIdMapping>, shown: &str) -> Result<()> {
    IdMaps::new(users, groups)?.apply(tree, false, shown)
}

/// Says what it is that cannot be done, because the kernel does not (mount_setattr(2), "ID-mapped mounts").
fn not_mapped(shown: &str, error: std::io::Error) -> Error {
    let why = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::INVAL) => ": its file system cannot show files under other ids",
        Some(Errno::NOSYS) => ": this kernel cannot (5.12 and later can)",
        _ => "",
    };
    Error::new(error.kind().into(), format!("map the ids of {shown}{why}")).with_cause(error)
}

/// Sleeps, with nothing in its hands: locks and sockets of a parent that is killed meanwhile are nobody's then, and this goes
/// with it.
fn wait_to_be_killed(parent: Pid) -> ! {
    let _ = exec::close_range(0, u32::MAX);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // In this namespace of users its number is the same; it may have died before.
    while getppid() == Some(parent) {
        // All signals but SIGKILL are blocked.
        let _ = rustix::event::poll(&mut [], None);
    }
    exec::exit(0)
}

fn open_namespace(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/user");
    openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(std::io::Error::from)
        .context(|| format!("open {path}"))
}

fn first(mappings: &[LinuxIdMapping]) -> u32 {
    mappings.iter().map(|map| map.container_id).min().unwrap_or(0)
}

/// Whether the map is the one that needs no privilege: the caller's own id alone.
fn is_own(mappings: &[LinuxIdMapping], id: u32) -> bool {
    matches!(mappings, [map] if map.size == 1 && map.host_id == id)
}

fn lines(mappings: &[LinuxIdMapping]) -> String {
    mappings.iter().map(|map| format!("{} {} {}\n", map.container_id, map.host_id, map.size)).collect()
}

fn write_file(pid: i32, name: &str, contents: &str) -> Result<()> {
    let path = format!("/proc/{pid}/{name}");
    std::fs::write(&path, contents).context(|| format!("write {path}"))
}

fn run_helper(name: &str, pid: i32, mappings: &[LinuxIdMapping]) -> Result<()> {
    let program = find(name).ok_or_else(|| {
        Error::new(Class::PermissionDenied, format!("this user may map only its own id, and {name} is not installed"))
            .with_hint("install the package uidmap and give the user ranges in /etc/subuid and /etc/subgid")
    })?;
    let ids = mappings.iter().flat_map(|map| [map.container_id, map.host_id, map.size]);
    let output = Command::new(program)
        .arg(pid.to_string())
        .args(ids.map(|id| id.to_string()))
        .stdin(Stdio::null())
        .output()
        .context(|| format!("run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::denied(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(container_id: u32, host_id: u32, size: u32) -> LinuxIdMapping {
        LinuxIdMapping { container_id, host_id, size }
    }

    #[test]
    fn lines_are_what_the_kernel_reads() {
        assert_eq!(lines(&[map(0, 1000, 1), map(1, 100_000, 65536)]), "0 1000 1\n1 100000 65536\n");
    }

    #[test]
    fn only_the_own_single_id_needs_no_privilege() {
        assert!(is_own(&[map(0, 1000, 1)], 1000));
        assert!(!is_own(&[map(0, 1000, 2)], 1000));
        assert!(!is_own(&[map(0, 1001, 1)], 1000));
        assert!(!is_own(&[map(0, 1000, 1), map(1, 2000, 1)], 1000));
    }

    #[test]
    fn the_setup_runs_as_root_or_the_lowest_id() {
        let maps = IdMaps::new(vec![map(5, 1, 1), map(0, 2, 1)], vec![map(7, 1, 1)]).unwrap();
        assert_eq!(maps.first_ids(), (0, 7));
        assert!(IdMaps::new(vec![], vec![map(0, 0, 1)]).is_err());
    }
}
