//! What has to be looked up before a container can be started.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt, message};
use dhow_store::Overlay;
use rustix::fs::{AtFlags, StatxFlags};

use crate::container::{Container, Process, View, shareable};
use crate::core::Core;
use crate::create::{Mount, Source};
use crate::launch::{HostDevice, HostDevices, IdMap, Identity, Peers, Sharing};
use crate::rootfs::Root;
use crate::spec::{ContainerSpec, DeviceMapping, HostSpec};

/// Makes the sources of `-v` that are missing; those of `--mount` have to be there.
pub(crate) fn bind_sources(mounts: &[Mount]) -> Result<()> {
    for mount in mounts {
        let Source::Bind { path, create, .. } = &mount.source else { continue };
        match exists(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && *create => {
                fs::create_dir_all(path)
                    .context(|| format!("error while creating mount source path '{path}': mkdir {path}"))?;
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(
                    Error::invalid(format!("invalid mount config for type \"bind\": stat {path}")).with_cause(error)
                );
            }
            Err(_) => {
                let text = format!("invalid mount config for type \"bind\": bind source path does not exist: {path}");
                return Err(Error::invalid(text));
            }
        }
    }
    Ok(())
}

/// How the ids of binds are mapped for which that was asked, by their place in the container.
pub(super) fn id_maps(mounts: &[Mount], user: &Identity) -> Result<BTreeMap<String, IdMap>> {
    let mut maps = BTreeMap::new();
    for mount in mounts {
        if let Source::Bind { path, id_map: true, .. } = &mount.source {
            let metadata = fs::metadata(path).context(|| format!("bind source {path}"))?;
            maps.insert(mount.destination.clone(), IdMap::new((metadata.uid(), metadata.gid()), user));
        }
    }
    Ok(maps)
}

/// Whether there is something, without asking the file server that it may be on: a dead one would not answer.
fn exists(path: &str) -> io::Result<()> {
    rustix::fs::statx(rustix::fs::CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::empty())?;
    Ok(())
}

/// Who the first process runs as. Looked up once per image, as long as the container has not changed its own /etc.
pub(super) fn user(core: &Core, container: &Container, spec: &ContainerSpec, overlay: &Overlay) -> Result<Identity> {
    let groups = spec.host.group_add.clone().unwrap_or_default();
    let find = || Root::of_overlay(overlay)?.accounts()?.resolve(&spec.user, &groups);
    match &container.layer {
        Some(layer) if !overlay.upper.join("etc").exists() => {
            core.identities.get((layer.to_string(), spec.user.clone(), groups.clone()), find)
        }
        _ => find(),
    }
}

/// Who a further process runs as, looked up in the running container.
pub(crate) fn of_process(view: &View, wanted: &str, groups: &[String]) -> Result<Identity> {
    Process::of(view)?.look(Root::of_process)?.accounts()?.resolve(wanted, groups)
}

/// Docker's words, and its classes.
fn not_joined(what: &str, id: &str, view: &View) -> Error {
    if what == "network" {
        let (name, state) = (&view.name, view.state().status.as_str());
        let text = format!("cannot join network namespace of a non running container: container {name} is {state}");
        return Error::conflict(text);
    }
    Error::internal(format!("failed to join {what} namespace: {}", message::not_running(id)))
}

/// The namespaces of other containers that a container lives in. Their paths are good as long as this is kept.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub peers: Peers,
    _open: Vec<OwnedFd>,
}

impl Shared {
    /// Finds the containers and opens their namespaces: by number, somebody else's could be found later.
    pub(super) fn with(core: &Core, spec: &ContainerSpec) -> Result<Self> {
        let mut shared = Self::default();
        shared.peers.pid = shared.open(core, "PID", "pid", &spec.host.pid_mode)?;
        shared.peers.ipc = shared.open(core, "IPC", "ipc", &spec.host.ipc_mode)?;
        shared.peers.network = shared.open(core, "network", "net", &spec.host.network_mode)?;
        Ok(shared)
    }

    fn open(&mut self, core: &Core, what: &str, file: &str, mode: &str) -> Result<Option<PathBuf>> {
        let Sharing::Container(reference) = Sharing::of(mode) else { return Ok(None) };
        let peer = core.containers().find(reference)?;
        let view = peer.view();
        let not_running = || not_joined(what, &peer.id, &view);
        if !shareable(&view) {
            return Err(not_running());
        }
        let namespace = Process::of(&view).and_then(|process| process.namespace(file)).map_err(|_| not_running())?;
        // The shim opens it by this path.
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        self._open.push(namespace);
        Ok(Some(PathBuf::from(path)))
    }
}

/// The devices that were asked for; all of the host's for a privileged container.
pub(super) fn devices(host: &HostSpec) -> Result<HostDevices> {
    let mut found = Vec::new();
    if host.privileged {
        below("/dev", &mut found);
    }
    for mapping in &host.resources.devices {
        requested(mapping, &mut found)?;
    }
    Ok(HostDevices(found))
}

/// Every device node below a folder, without what the runtime makes or mounts itself.
fn below(folder: &str, found: &mut Vec<HostDevice>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Some(name) = path.to_str() else { continue };
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            if !matches!(name, "/dev/pts" | "/dev/shm" | "/dev/fd" | "/dev/mqueue" | "/dev/.lxc" | "/dev/.lxd-mounts") {
                below(name, found);
            }
        } else if name != "/dev/console" {
            found.extend(device(&metadata, name, "rwm"));
        }
    }
}

/// One `--device`: a node, or a folder of nodes.
fn requested(mapping: &DeviceMapping, found: &mut Vec<HostDevice>) -> Result<()> {
    let source = &mapping.path_on_host;
    let target = if mapping.path_in_container.is_empty() { source } else { &mapping.path_in_container };
    let access = if mapping.cgroup_permissions.is_empty() { "rwm" } else { &mapping.cgroup_permissions };
    let step = || format!("error gathering device information while adding custom device \"{source}\"");
    let metadata = fs::metadata(source).context(step)?;
    if let Some(device) = device(&metadata, target, access) {
        found.push(device);
        return Ok(());
    }
    if !metadata.is_dir() {
        return Err(Error::invalid("not a device node").context(step()));
    }
    let mut inside = Vec::new();
    below(source, &mut inside);
    if inside.is_empty() {
        return Err(Error::invalid("not a device node").context(step()));
    }
    for device in inside {
        let relative = Path::new(&device.path).strip_prefix(source).ok().map(|path| Path::new(target).join(path));
        let Some(path) = relative.and_then(|path| path.to_str().map(str::to_owned)) else { continue };
        found.push(HostDevice { path, access: access.to_owned(), ..device });
    }
    Ok(())
}

fn device(metadata: &fs::Metadata, path: &str, access: &str) -> Option<HostDevice> {
    let kind = metadata.file_type();
    if !kind.is_block_device() && !kind.is_char_device() {
        return None;
    }
    let number = metadata.rdev();
    Some(HostDevice {
        path: path.to_owned(),
        block: kind.is_block_device(),
        major: i64::from(rustix::fs::major(number)),
        minor: i64::from(rustix::fs::minor(number)),
        mode: metadata.mode(),
        uid: metadata.uid(),
        gid: metadata.gid(),
        access: access.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(path: &str, create: bool) -> Mount {
        let source = Source::Bind {
            path: path.into(),
            create,
            propagation: "rprivate".into(),
            recursive: true,
            only_itself: false,
            id_map: false,
        };
        Mount { source, destination: "/x".into(), read_only: false, mode: String::new() }
    }

    #[test]
    fn a_missing_source_is_made_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let path = path.to_str().unwrap();
        assert_eq!(
            bind_sources(&[bind(path, false)]).unwrap_err().to_string(),
            format!("invalid mount config for type \"bind\": bind source path does not exist: {path}")
        );
        bind_sources(&[bind(path, true)]).unwrap();
        bind_sources(&[bind(path, false)]).unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let below = file.join("below").display().to_string();
        for create in [true, false] {
            let error = bind_sources(&[bind(&below, create)]).unwrap_err().to_string();
            assert_eq!(error, format!("invalid mount config for type \"bind\": stat {below}: not a directory"));
        }
    }

    #[test]
    fn a_device_is_described_and_anything_else_refused() {
        let mapping = |path: &str| DeviceMapping { path_on_host: path.into(), ..DeviceMapping::default() };
        let mut found = Vec::new();
        requested(&mapping("/dev/null"), &mut found).unwrap();
        assert_eq!((found[0].major, found[0].minor, found[0].access.as_str()), (1, 3, "rwm"));
        let error = requested(&mapping("/etc/passwd"), &mut found).unwrap_err().to_string();
        assert!(error.ends_with("\"/etc/passwd\": not a device node"), "{error}");
        let error = requested(&mapping("/dev/missing"), &mut found).unwrap_err().to_string();
        assert!(error.contains("while adding custom device \"/dev/missing\""), "{error}");
    }
}
