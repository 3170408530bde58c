//! From what a container is asked to be to what a runtime is told: an OCI runtime configuration.
//!
//! [`configuration`] is pure: everything it has to know about the host, the image's users and other containers is looked
//! up before and given to it.

mod capabilities;
mod devices;
mod environment;
mod mounts;
mod namespaces;
mod paths;
mod process;
mod resources;
mod security;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dhow_errdefs::Result;
use dhow_oci::runtime::{self, Linux, LinuxIdMapping, Spec};
use dhow_runtime::SecurityModules;

use crate::create::Mount;
use crate::spec::ContainerSpec;

pub(crate) use capabilities::{capabilities, of_mask as capabilities_of_mask};
pub(crate) use devices::{HostDevice, HostDevices};
pub(crate) use environment::{hostname, merge as merge_environment};
pub(crate) use mounts::shm_size;
pub(crate) use namespaces::{Peers, Sharing};
pub(crate) use paths::{masked as default_masked_paths, read_only as default_readonly_paths};
pub(crate) use process::{exec as exec_process, rlimit};
pub(crate) use resources::linux as linux_resources;
pub(crate) use security::{SeccompChoice, SecurityOptions};

/// What the configuration depends on beside the container's own spec.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings<'a> {
    pub id: &'a str,
    /// What the engine and its host can do.
    pub host: &'a Platform,
    /// Who the process runs as.
    pub user: &'a Identity,
    /// Containers whose namespaces are shared.
    pub peers: &'a Peers,
    /// Its network namespace, where the engine has made one.
    pub sandbox: Option<&'a Path>,
    /// Devices that were asked for, looked up.
    pub devices: &'a HostDevices,
    /// Files that are mounted over the image's.
    pub files: &'a EtcFiles,
    /// The folder behind /dev/shm of a container that shares it.
    pub shm: Option<&'a Path>,
    /// Where the content of volumes is, by name.
    pub volumes: &'a BTreeMap<String, PathBuf>,
    /// How the ids of binds are mapped for which that was asked, by their place in the container.
    pub id_maps: &'a BTreeMap<String, IdMap>,
    /// Where images that are mounted are, by their place in the container.
    pub images: &'a BTreeMap<String, PathBuf>,
    /// The cgroup, as in `/dhow/<id>`.
    pub cgroup: &'a str,
}

/// The only user and the only group whom files on an id-mapped mount belong to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IdMap {
    pub user: LinuxIdMapping,
    pub group: LinuxIdMapping,
}

impl IdMap {
    /// The owner on the disk (user and group) is shown as the container's user (mount_setattr(2), `MOUNT_ATTR_IDMAP`).
    pub(crate) fn new((uid, gid): (u32, u32), shown: &Identity) -> Self {
        let map = |on_disk, shown| LinuxIdMapping { container_id: on_disk, host_id: shown, size: 1 };
        Self { user: map(uid, shown.uid), group: map(gid, shown.gid) }
    }
}

/// What the engine and its host can do, as far as configurations depend on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Platform {
    /// Capabilities the engine can hand on.
    pub capabilities: Vec<&'static str>,
    /// There is one cgroup tree, so that a cgroup namespace hides everything else.
    pub unified_cgroups: bool,
    /// The engine runs in a user namespace.
    pub rootless: bool,
    /// The host has a file system at /dev/mqueue, for containers that live in its IPC namespace.
    pub mqueue: bool,
    /// setgroups(2) is allowed in that user namespace.
    pub chooses_groups: bool,
    /// Group 5 (`tty`) exists in that user namespace.
    pub tty_group: bool,
    /// Security modules that enforce something.
    pub modules: SecurityModules,
    /// The kernel knows `net.ipv4.ip_unprivileged_port_start` and `net.ipv4.ping_group_range`.
    pub network_sysctls: bool,
}

/// A user of the container, looked up in its /etc/passwd and /etc/group.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// Home directory; empty: unknown.
    pub home: String,
}

/// Files the engine makes for a container and mounts over the image's.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct EtcFiles {
    pub hostname: PathBuf,
    pub hosts: PathBuf,
    pub resolv_conf: PathBuf,
}

/// The configuration of a container's first process and its surroundings.
///
/// # Errors
/// What contradicts itself and could not be seen before.
pub(crate) fn configuration(spec: &ContainerSpec, mounts: &[Mount], around: &Surroundings<'_>) -> Result<Spec> {
    let host = &spec.host;
    let own_uts = host.uts_mode != "host";
    let security = SecurityOptions::parse(host.security_opt.as_deref().unwrap_or_default())?;
    if around.host.rootless && security.writable_cgroups.is_some() {
        return Err(dhow_errdefs::Error::invalid(
            "option WritableCgroups conflicts with user namespaces and rootless mode",
        ));
    }
    let writable_cgroups = security.writable_cgroups.unwrap_or(host.privileged);
    Ok(Spec {
        oci_version: runtime::VERSION.to_owned(),
        root: Some(runtime::Root { path: PathBuf::from("rootfs"), readonly: host.readonly_rootfs }),
        process: Some(process::first(spec, around)?),
        hostname: own_uts.then(|| hostname(spec, around.id)),
        domainname: (own_uts && !spec.domainname.is_empty()).then(|| spec.domainname.clone()),
        mounts: mounts::all(spec, mounts, around, writable_cgroups),
        hooks: None,
        annotations: host.annotations.clone(),
        linux: Some(linux(spec, mounts, around, &security)?),
    })
}

fn linux(
    spec: &ContainerSpec,
    mounts: &[Mount],
    around: &Surroundings<'_>,
    security: &SecurityOptions,
) -> Result<Linux> {
    let host = &spec.host;
    resources::check_devices(&host.resources)?;
    let open = host.privileged || security.system_paths_unconfined;
    let paths = |given: &Option<Vec<String>>, default: fn() -> Vec<String>| match given {
        _ if open => Vec::new(),
        Some(given) => given.clone(),
        None => default(),
    };
    Ok(Linux {
        sysctl: namespaces::sysctls(host, around.host),
        resources: Some(resources::linux(&host.resources, devices::rules(host, around.devices)?)),
        cgroups_path: Some(around.cgroup.to_owned()),
        namespaces: namespaces::all(spec, around),
        devices: around.devices.nodes(),
        rootfs_propagation: mounts::propagation(mounts),
        masked_paths: paths(&host.masked_paths, paths::masked),
        readonly_paths: paths(&host.readonly_paths, paths::read_only),
        ..Linux::default()
    })
}

#[cfg(test)]
mod tests;
