//! What part of the cgroup trees this process may use.

use std::os::fd::AsFd as _;

use dhow_errdefs::Result;
use rustix::fs::{Access, AtFlags};

use crate::cgroup::gone_is_none;
use crate::file::Directory;
use crate::hierarchy::{Hierarchy, Tree, Version};
use crate::{Controllers, subtree};

/// The part of the trees in which this process may make cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegation {
    /// The cgroup below which to make others, without a slash at its end: empty for the root.
    pub parent: String,
    /// The controllers that work there.
    pub controllers: Controllers,
}

impl Hierarchy {
    /// Where this process may make cgroups: root everywhere, anybody else on v2 in the cgroup that was delegated to
    /// it (its own or one above that; cgroup-v2.rst, "Delegation"). `None` means no limits for this user.
    ///
    /// # Errors
    /// What reading `/proc/self/cgroup` and the trees gives.
    pub fn delegated(&self) -> Result<Option<Delegation>> {
        // Without controllers a v1 tree limits nothing.
        let mut wanted =
            self.inner.trees.iter().filter(|tree| tree.version == Version::V2 || !tree.controllers.is_empty());
        if wanted.all(|tree| may_make_cgroups(&tree.root)) {
            return Ok(Some(Delegation { parent: String::new(), controllers: self.controllers() }));
        }
        match self.inner.trees.as_slice() {
            // A user's v2 tree beside v1 trees of root's is of no use: the limits are in the others.
            [unified] if self.mode() == crate::Mode::V2 => search(unified, &subtree::own_path()?),
            _ => Ok(None),
        }
    }
}

/// Climbs from a cgroup as far as it is ours. The lowest one without processes of its own is best, because it can hand
/// controllers down at once; else the lowest, whose processes will be moved into a leaf.
fn search(tree: &Tree, own: &str) -> Result<Option<Delegation>> {
    let mut found = None;
    let mut path = own.trim_end_matches('/');
    loop {
        let directory = match path.trim_start_matches('/') {
            "" => Some(tree.root.duplicate()?),
            relative => tree.root.child(relative).map(Some).or_else(gone_is_none)?,
        };
        let Some(directory) = directory.filter(may_delegate) else { return Ok(found) };
        let controllers = subtree::listed(&directory, "cgroup.controllers")?;
        let delegation = Delegation { parent: path.to_owned(), controllers };
        if directory.read_if_there("cgroup.procs")?.is_none_or(|text| text.trim().is_empty()) {
            return Ok(Some(delegation));
        }
        found = found.or(Some(delegation));
        match path.rsplit_once('/') {
            Some((parent, _)) => path = parent,
            None => return Ok(found),
        }
    }
}

/// All of what delegation gives: the directory and the two files.
fn may_delegate(directory: &Directory) -> bool {
    let files = ["cgroup.procs", "cgroup.subtree_control"];
    may_make_cgroups(directory) && files.iter().all(|file| subtree::is_writable(directory, file))
}

fn may_make_cgroups(directory: &Directory) -> bool {
    rustix::fs::accessat(directory.as_fd(), ".", Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn cgroup(path: &Path, processes: &str) {
        fs::create_dir_all(path).unwrap();
        fs::write(path.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        fs::write(path.join("cgroup.subtree_control"), "").unwrap();
        fs::write(path.join("cgroup.procs"), processes).unwrap();
    }

    #[test]
    fn the_lowest_cgroup_without_processes_is_taken() {
        let root = tempfile::tempdir().unwrap();
        cgroup(root.path(), "1\n");
        cgroup(&root.path().join("user"), "");
        cgroup(&root.path().join("user/session"), "7\n");
        let hierarchy = Hierarchy::at(root.path()).unwrap();
        let found = search(hierarchy.tree(0), "/user/session").unwrap().unwrap();
        assert_eq!(found.parent, "/user");
        assert_eq!(found.controllers.iter().count(), 3);
        fs::write(root.path().join("user/cgroup.procs"), "8\n").unwrap();
        assert_eq!(search(hierarchy.tree(0), "/user/session").unwrap().unwrap().parent, "/user/session");
    }
}
