//! Which processes are in a cgroup, and the limit on their number.

use std::os::fd::AsFd as _;

use dhow_errdefs::Result;

use crate::cgroup::gone_is_none;
use crate::file::Directory;

/// The processes of a cgroup and of all below it.
pub(crate) fn recursive(directory: &Directory) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    collect(directory, "cgroup.procs", &mut found)?;
    Ok(found)
}

/// How many threads there are in a cgroup and in all below it; `file` lists those of one.
pub(crate) fn count_threads(directory: &Directory, file: &str) -> Result<u64> {
    let mut found = Vec::new();
    collect(directory, file, &mut found)?;
    Ok(found.len() as u64)
}

fn collect(directory: &Directory, file: &str, found: &mut Vec<i32>) -> Result<()> {
    // A threaded cgroup (v2) does not answer cgroup.procs; its domain, which is above it, lists its processes.
    let text = directory.read_if_there(file).or_else(gone_is_none)?.unwrap_or_default();
    // 0 stands for a process that this PID namespace does not see.
    found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).filter(|pid: &i32| *pid > 0));
    if may_have_children(directory) {
        for name in directory.children()? {
            if let Some(child) = directory.child(&name).map(Some).or_else(gone_is_none)? {
                collect(&child, file, found)?;
            }
        }
    }
    Ok(())
}

/// The link count of a cgroup directory is 2 and one for each child: one call instead of a listing.
fn may_have_children(directory: &Directory) -> bool {
    rustix::fs::fstat(directory.as_fd()).map_or(true, |stat| stat.st_nlink != 2)
}

/// `pids.max`, the same on v1 and v2. Zero and less mean no limit, as in Docker.
pub(crate) fn set_limit(directory: &Directory, limit: i64) -> Result<()> {
    let value = if limit > 0 { limit.to_string() } else { "max".to_owned() };
    directory.write("pids.max", &value)
}
