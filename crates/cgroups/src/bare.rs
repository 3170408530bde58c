//! A cgroup that nobody is in: what a container is shown in the v1 trees that it has not joined, where its own is whatever
//! its creator is in.

use dhow_errdefs::Result;

use crate::cgroup::{Cgroup, gone_is_none};
use crate::file::failure;
use crate::hierarchy::{Hierarchy, Version};
use crate::{path, removal, subtree};

impl Cgroup {
    /// Makes a cgroup without processes and limits in every v1 tree where it is not there yet.
    ///
    /// # Errors
    /// `InvalidArgument` for a path that is the root or leaves it, `PermissionDenied` where this process may not make cgroups.
    pub fn make_bare(hierarchy: &Hierarchy, path: &str) -> Result<()> {
        let path = path::normalise(path)?;
        for tree in hierarchy.inner.trees.iter().filter(|tree| tree.version == Version::V1) {
            subtree::open_or_make(tree, &path[1..])?;
        }
        Ok(())
    }

    /// Takes it away, with what somebody may have made below it, unless another cgroup beside it says that it may still be
    /// shown to somebody.
    ///
    /// # Errors
    /// What listing and `rmdir(2)` give.
    pub fn delete_bare(hierarchy: &Hierarchy, path: &str) -> Result<()> {
        let path = path::normalise(path)?;
        let (parent, name) = path::split(&path[1..]);
        for tree in &hierarchy.inner.trees {
            let parent = tree.root.child(parent).map(Some).or_else(gone_is_none)?;
            let beside = parent.map_or_else(|| Ok(Vec::new()), |parent| parent.children())?;
            if beside.iter().any(|other| other != name) {
                return Ok(());
            }
        }
        for tree in hierarchy.inner.trees.iter().filter(|tree| tree.version == Version::V1) {
            if let Some(parent) = tree.root.child(parent).map(Some).or_else(gone_is_none)? {
                match removal::remove_tree(&parent, name) {
                    Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                    Err(errno) => return Err(failure(errno, format!("remove cgroup {}:{path}", tree.label))),
                }
            }
        }
        Ok(())
    }
}
