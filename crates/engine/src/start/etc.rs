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

/// Writes the files into the container's folder. Containers that share a network share its files, too.
pub(super) fn prepare(core: &Core, container: &Container, spec: &ContainerSpec, dir: &Path) -> Result<EtcFiles> {
    if let Sharing::Container(reference) = Sharing::of(&spec.host.network_mode) {
        let peer = core.containers().find(reference)?;
        return Ok(files(&core.store.snapshots().dir(&peer.id)));
    }
    let files = files(dir);
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

/// Where the files are.
pub(crate) fn files(dir: &Path) -> EtcFiles {
    EtcFiles { hostname: dir.join("hostname"), hosts: dir.join("hosts"), resolv_conf: dir.join("resolv.conf") }
}
