//! /dev/shm of containers that let others into it (`--ipc shareable`).
//!
//! An ordinary container has a tmpfs of its own, which exists in its mount namespace alone and so cannot be given to
//! another one. A shareable one gets a folder in the exec root instead, bound into it and into those that join: a tmpfs,
//! too, but the host's `/run`, so that `--shm-size` does not bound it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use dhow_errdefs::{Error, Result, ResultExt};

use crate::container::Container;
use crate::core::Core;
use crate::launch::Sharing;
use crate::spec::ContainerSpec;

/// The folder for this container: its own, made empty, or the one of the container whose IPC namespace it joins.
pub(super) fn prepare(core: &Core, container: &Container, spec: &ContainerSpec) -> Result<Option<PathBuf>> {
    if let Sharing::Container(reference) = Sharing::of(&spec.host.ipc_mode) {
        let peer = core.containers().find(reference)?;
        if peer.view().spec.host.ipc_mode != "shareable" {
            let text = format!(
                "cannot join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                peer.id
            );
            return Err(Error::conflict(text));
        }
        return Ok(Some(core.shm_dir(&peer.id)));
    }
    if spec.host.ipc_mode != "shareable" {
        return Ok(None);
    }
    let dir = core.shm_dir(&container.id);
    remove(core, &container.id)?;
    fs::create_dir_all(&dir)
        .and_then(|()| fs::set_permissions(&dir, fs::Permissions::from_mode(0o1777)))
        .context(|| format!("create {}", dir.display()))?;
    Ok(Some(dir))
}

/// Removes the folder of a container that has one.
pub(crate) fn remove(core: &Core, id: &str) -> Result<()> {
    let dir = core.shm_dir(id);
    dhow_store::delete_tree(&dir).map(drop).context(|| format!("remove {}", dir.display()))
}
