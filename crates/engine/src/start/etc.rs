//! /etc/hostname, /etc/hosts and /etc/resolv.conf of a container.

mod hosts;
mod resolv;

use std::fs;
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};

use crate::container::Container;
use crate::core::Core;
use crate::launch::{EtcFiles, Sharing, hostname};
use crate::spec::ContainerSpec;

pub(crate) use resolv::name_servers;

/// Writes the files into the container's folder, unless they are another's.
pub(super) fn prepare(core: &Core, container: &Container, spec: &ContainerSpec) -> Result<EtcFiles> {
    let files = place(core, &container.id, spec);
    if matches!(Sharing::of(&spec.host.network_mode), Sharing::Container(_)) {
        return Ok(files);
    }
    let connection = core.kernel.connection(&container.id).unwrap_or_default();
    for (path, text) in [
        (&files.hostname, format!("{}\n", hostname(spec, &container.id))),
        (&files.hosts, hosts::text(core, spec, &container.id, &connection)?),
        (&files.resolv_conf, resolv::text(&spec.host, &connection)),
    ] {
        write(path, &text)?;
    }
    Ok(files)
}

/// Writes those again that depend on the networks of a container that runs. In place: the container has them mounted.
pub(crate) fn renew(core: &Core, container: &str, spec: &ContainerSpec) -> Result<()> {
    let files = files(&core.store.snapshots().dir(container));
    let connection = core.kernel.connection(container).unwrap_or_default();
    write(&files.hosts, &hosts::text(core, spec, container, &connection)?)?;
    write(&files.resolv_conf, &resolv::text(&spec.host, &connection))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).context(|| format!("write {}", path.display()))
}

/// Where the files of a container are. Containers that share a network share its files, too: those of the one who has it for
/// its own, at the end of the row.
pub(crate) fn place(core: &Core, container: &str, spec: &ContainerSpec) -> EtcFiles {
    let peer = |spec: &ContainerSpec| match Sharing::of(&spec.host.network_mode) {
        Sharing::Container(peer) => Some(peer.to_owned()),
        _ => None,
    };
    let mut owner = container.to_owned();
    let mut next = peer(spec);
    while let Some(peer_id) = next {
        next = core.containers().find(&peer_id).ok().and_then(|it| peer(&it.view().spec));
        owner = peer_id;
    }
    files(&core.store.snapshots().dir(&owner))
}

fn files(dir: &Path) -> EtcFiles {
    EtcFiles { hostname: dir.join("hostname"), hosts: dir.join("hosts"), resolv_conf: dir.join("resolv.conf") }
}
