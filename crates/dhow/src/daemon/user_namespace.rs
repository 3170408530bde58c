//! Without root, the engine lives in a user namespace in which it is root (user_namespaces(7)).
//!
//! With `newuidmap` and a range in `/etc/subuid` all ids of an image exist there; without, only one. The helper that
//! calls the set-user-ID programs must stay outside of the new namespace, so it is started before and told when to act.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dhow_engine::ONE_ID;
use dhow_errdefs::{Error, Result, ResultExt};
use rustix::process::{Gid, Uid, getegid, geteuid};
use rustix::thread::{set_thread_gid, set_thread_uid};

/// One line of an id map: first id inside, first outside, how many.
type Range = (u32, u32, u32);

/// Where the engine came to live.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entered {
    /// In a user namespace of its own, because it is not root.
    pub(crate) rootless: bool,
    /// What is missing there, for whoever starts the engine.
    pub(crate) note: Option<&'static str>,
}

/// Enters a user namespace if this process is not root.
///
/// Containers of an engine that ended live on in its namespace; only there has a successor any right over them, so it
/// goes into theirs instead of making one.
pub(crate) fn enter_unless_root(exec_root: &Path) -> Result<Entered> {
    if geteuid().is_root() {
        return Ok(Entered::default());
    }
    let mut entered = Entered { rootless: true, note: None };
    if join_predecessor(exec_root) {
        become_root()?;
        return Ok(entered);
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    match subordinate_ranges(uid) {
        Some((uids, gids)) => enter_with_ranges(&[(0, uid, 1), uids], &[(0, gid, 1), gids])?,
        None => {
            enter_with_one_id(uid, gid)?;
            tracing::warn!("{ONE_ID}");
            entered.note = Some(ONE_ID);
        }
    }
    become_root()?;
    Ok(entered)
}

fn become_root() -> Result<()> {
    set_thread_gid(Gid::ROOT).map_err(io::Error::from).context(|| "become group 0 in the user namespace")?;
    set_thread_uid(Uid::ROOT).map_err(io::Error::from).context(|| "become user 0 in the user namespace")
}

/// Goes into the namespace of the networks' holder or of a shim that lives; the kernel tells who listens at its socket (unix(7), SO_PEERCRED).
fn join_predecessor(exec_root: &Path) -> bool {
    let holder = dhow_network::connect_holder(&exec_root.join(dhow_engine::NETWORK_HOLDER));
    if holder.is_ok_and(|connection| join(&connection)) {
        return true;
    }
    let Ok(containers) = fs::read_dir(exec_root.join("containers")) else { return false };
    containers
        .flatten()
        .any(|container| dhow_shim::connect(&container.path()).is_ok_and(|connection| join(&connection)))
}

fn join(connection: &UnixStream) -> bool {
    let Ok(peer) = rustix::net::sockopt::socket_peercred(connection) else { return false };
    let namespace = |kind: &str| File::open(format!("/proc/{}/ns/{kind}", peer.pid.as_raw_nonzero()));
    let (Ok(user), Ok(mount)) = (namespace("user"), namespace("mnt")) else { return false };
    dhow_sys::userns::enter(user, mount).is_ok()
}

/// The ids given to a user beside the own one, as far as the programs that map them are installed.
fn subordinate_ranges(uid: u32) -> Option<(Range, Range)> {
    if !["newuidmap", "newgidmap"].iter().all(|program| installed(program)) {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then_some(name)
    })?;
    let range = |path: &str| range_of(&fs::read_to_string(path).unwrap_or_default(), name, uid);
    Some((range("/etc/subuid")?, range("/etc/subgid")?))
}

/// The first range of a user in a file like `/etc/subuid`: `name:first:count` (subuid(5)).
fn range_of(table: &str, name: &str, uid: u32) -> Option<Range> {
    table.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let first = fields.next()?.trim().parse().ok()?;
        let count = fields.next()?.trim().parse().ok()?;
        (owner == name || owner == uid.to_string()).then_some((1, first, count))
    })
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn enter_with_one_id(uid: u32, gid: u32) -> Result<()> {
    unshare()?;
    // Dropping groups would allow what a negative permission forbids (CVE-2014-8989), so it has to be given up first.
    fs::write("/proc/self/setgroups", "deny").context(|| "write /proc/self/setgroups")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context(|| "write /proc/self/gid_map")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1")).context(|| "write /proc/self/uid_map")
}

fn enter_with_ranges(uids: &[Range], gids: &[Range]) -> Result<()> {
    let mappers = [Mapper::start("newuidmap", uids)?, Mapper::start("newgidmap", gids)?];
    unshare()?;
    mappers.into_iter().try_for_each(Mapper::map)
}

fn unshare() -> Result<()> {
    dhow_sys::userns::unshare().map_err(|error| {
        Error::denied("create a user namespace, which dhow needs to run without root").with_cause(error).with_hint(
            "allow it: sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces above 0, or on Ubuntu \
             kernel.apparmor_restrict_unprivileged_userns=0",
        )
    })
}

/// A shell outside of the new namespace, which waits for a line and then becomes `newuidmap` or `newgidmap`.
struct Mapper {
    program: &'static str,
    child: Child,
}

impl Mapper {
    fn start(program: &'static str, ranges: &[Range]) -> Result<Self> {
        let numbers = ranges.iter().flat_map(|&(inside, outside, count)| [inside, outside, count]);
        let child = Command::new("/bin/sh")
            .args(["-c", "read go && exec \"$@\"", "sh", program])
            .arg(std::process::id().to_string())
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .spawn()
            .context(|| format!("start {program}"))?;
        Ok(Self { program, child })
    }

    fn map(mut self) -> Result<()> {
        let step = || format!("map ids with {}", self.program);
        if let Some(mut stdin) = self.child.stdin.take() {
            stdin.write_all(b"go\n").context(step)?;
        }
        let status = self.child.wait().context(step)?;
        if status.success() {
            return Ok(());
        }
        let hint = "check this user's ranges in /etc/subuid and /etc/subgid";
        Err(Error::denied(format!("{}: it ended with {status}", step())).with_hint(hint))
    }
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn ranges_are_found_by_name_or_number() {
        let table = "other:100000:65536\n# note\nalice:165536:65536\n1001:231072:10\n";
        assert_eq!(range_of(table, "alice", 1000), Some((1, 165_536, 65_536)));
        assert_eq!(range_of(table, "bob", 1001), Some((1, 231_072, 10)));
        assert_eq!(range_of(table, "carol", 1002), None);
    }
}
