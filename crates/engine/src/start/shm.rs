//! /dev/shm of containers that let others into it (`--ipc shareable`).
//!
//! An ordinary container has a tmpfs of its own, which exists in its mount namespace alone and so cannot be given to
//! another one. A shareable one gets a tmpfs that is mounted in the exec root while it runs, and bound from there into it
//! and into those that join. An engine that was killed leaves it to the next one.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::mount::{MountFlags, mount};

use crate::container::Container;
use crate::core::Core;
use crate::launch::{Sharing, shm_size};
use crate::spec::ContainerSpec;

/// The folder for this container: its own, mounted and empty, or the one of the container whose IPC namespace it joins.
pub(super) fn prepare(core: &Core, container: &Container, spec: &ContainerSpec) -> Result<Option<PathBuf>> {
    if let Sharing::Container(reference) = Sharing::of(&spec.host.ipc_mode) {
        let peer = core.containers().find(reference)?;
        if !peer.view().spec.host.shares_ipc() {
            let text = format!(
                "cannot join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                peer.id
            );
            return Err(Error::conflict(text));
        }
        return Ok(Some(core.shm_dir(&peer.id)));
    }
    if !spec.host.shares_ipc() {
        return Ok(None);
    }
    let dir = core.shm_dir(&container.id);
    // What a start that was given up has left.
    remove(core, &container.id)?;
    make(&dir, shm_size(&spec.host)).context(|| format!("mount {}", dir.display()))?;
    Ok(Some(dir))
}

fn make(dir: &Path, size: i64) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let options = CString::new(format!("mode=1777,size={size}"))?;
    mount("shm", dir, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV, options.as_c_str())?;
    Ok(())
}

/// Takes it away from a container that does not run. Who has joined keeps it.
pub(crate) fn remove(core: &Core, id: &str) -> Result<()> {
    let dir = core.shm_dir(id);
    crate::volumes::unmount_all(&dir)?;
    dhow_store::delete_tree(&dir).map(drop).context(|| format!("remove {}", dir.display()))
}
