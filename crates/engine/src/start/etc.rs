//! /etc/hostname, /etc/hosts and /etc/resolv.conf of a container.

mod hosts;
mod resolv;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

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
    let door = door(&files.hosts);
    let _changing = door.lock().unwrap_or_else(PoisonError::into_inner);
    let connection = core.kernel.connection(&container.id).unwrap_or_default();
    for (path, text) in [
        (&files.hostname, format!("{}\n", hostname(spec, &container.id))),
        (&files.hosts, hosts::text(core, spec, &container.id, &connection)?),
        (&files.resolv_conf, resolv::text(&spec.host, &connection)),
    ] {
        match write(path, text.as_bytes()) {
            // Somebody in the same network runs on and holds it: that one keeps the old file, and the start gets a new one.
            Err(error) if is_held(&error) => {
                fs::remove_file(path).context(|| format!("remove {}", path.display()))?;
                write(path, text.as_bytes())?;
            }
            written => written?,
        }
    }
    Ok(files)
}

/// Writes those again that depend on the networks of a container that runs. In place: the container has them mounted.
pub(crate) fn renew(core: &Core, container: &str, spec: &ContainerSpec) -> Result<()> {
    let files = files(&core.store.snapshots().dir(container));
    let door = door(&files.hosts);
    let _changing = door.lock().unwrap_or_else(PoisonError::into_inner);
    let connection = core.kernel.connection(container).unwrap_or_default();
    for (path, text) in [
        (&files.hosts, hosts::text(core, spec, container, &connection)?),
        (&files.resolv_conf, resolv::text(&spec.host, &connection)),
    ] {
        match write(path, text.as_bytes()) {
            // Its own loss; what it has of networks is another matter.
            Err(error) if is_held(&error) => tracing::warn!(container, %error, "a file of a container is not renewed"),
            written => written?,
        }
    }
    Ok(())
}

/// Writes the lines of a link again, into the file of a container that may run, and leaves the others as they are.
pub(crate) fn renew_link(core: &Core, container: &str, peer: &Container, alias: &str) -> Result<()> {
    let path = files(&core.store.snapshots().dir(container)).hosts;
    let door = door(&path);
    let _changing = door.lock().unwrap_or_else(PoisonError::into_inner);
    // Looked up behind the door: whoever comes last writes what is true last. The other one may have gone again by now.
    let Some(link) = hosts::Link::now(core, peer, alias) else { return Ok(()) };
    // It has never run.
    let Some(file) = read(&path)? else { return Ok(()) };
    write(&path, &hosts::relinked(&file, &link))
}

/// What is held while the files of a container are changed, by the path of the first: two who change a file at once would
/// each lose what the other has written. The files of another container are never waited for.
fn door(hosts: &Path) -> Arc<Mutex<()>> {
    static DOORS: Mutex<BTreeMap<PathBuf, Weak<Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut doors = DOORS.lock().unwrap_or_else(PoisonError::into_inner);
    doors.retain(|_, door| door.strong_count() > 0);
    if let Some(door) = doors.get(hosts).and_then(Weak::upgrade) {
        return door;
    }
    let door = Arc::default();
    doors.insert(hosts.to_owned(), Arc::downgrade(&door));
    door
}

/// The container may hold a lease on its file (fcntl(2), `F_SETLEASE`), for which the kernel would let us wait for
/// `/proc/sys/fs/lease-break-time`.
fn is_held(error: &Error) -> bool {
    error.os_error() == Some(Errno::WOULDBLOCK.raw_os_error())
}

/// What there is; the container may have written anything into it, and as much as it likes.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let step = || format!("read {}", path.display());
    let file = match open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => File::from(file.map_err(io::Error::from).context(step)?),
    };
    let mut content = Vec::new();
    let length = file.take(LONGEST + 1).read_to_end(&mut content).context(step)?;
    if length as u64 > LONGEST {
        return Err(Error::invalid(format!("{} is too long", path.display())));
    }
    Ok(Some(content))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let step = || format!("write {}", path.display());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::from_raw_mode(0o666)).map_err(io::Error::from).context(step)?;
    File::from(file).write_all(content).context(step)
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
