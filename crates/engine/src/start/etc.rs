//! /etc/hostname, /etc/hosts and /etc/resolv.conf of a container.

mod hosts;
mod resolv;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_network::model::Endpoint;

use crate::container::Container;
use crate::core::Core;
use crate::launch::{EtcFiles, Sharing, hostname};
use crate::spec::ContainerSpec;

pub(crate) use resolv::name_servers;

/// Bytes of a file that is read to be changed.
const LONGEST: u64 = 1 << 20;

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
    let _changing = changing();
    write(&files.hosts, &hosts::text(core, spec, container, &connection)?)?;
    write(&files.resolv_conf, &resolv::text(&spec.host, &connection))
}

/// Writes the lines of a link again, into the file of a container that may run, and leaves the others as they are.
pub(crate) fn renew_link(
    core: &Core,
    container: &str,
    (peer, alias): (&Container, &str),
    endpoint: &Endpoint,
) -> Result<()> {
    let path = files(&core.store.snapshots().dir(container)).hosts;
    let _changing = changing();
    // It has never run.
    let Some(text) = read(&path)? else { return Ok(()) };
    write(&path, &hosts::relinked(&text, &hosts::Link::new(peer, alias, endpoint)))
}

/// Two who change a file at once would each lose what the other has written.
fn changing() -> MutexGuard<'static, ()> {
    static CHANGING: Mutex<()> = Mutex::new(());
    CHANGING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What there is; the container may have written anything into it, and as much as it likes.
fn read(path: &Path) -> Result<Option<String>> {
    let step = || format!("read {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.context(step)?,
    };
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text).context(step)?;
    if length as u64 > LONGEST {
        return Err(Error::invalid(format!("{} is too long", path.display())));
    }
    Ok(Some(text))
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
