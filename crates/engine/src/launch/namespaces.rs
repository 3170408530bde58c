//! What a container has for itself and what it shares.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dhow_oci::runtime::LinuxNamespace;

use super::{Platform, Surroundings};
use crate::spec::{ContainerSpec, HostSpec};

/// Whose namespace of a kind a container lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing<'a> {
    Own,
    Host,
    /// That container's.
    Container(&'a str),
}

impl<'a> Sharing<'a> {
    /// Reads a mode that was checked before.
    pub(crate) fn of(mode: &'a str) -> Self {
        match mode.strip_prefix("container:") {
            Some(id) => Self::Container(id),
            None if mode == "host" => Self::Host,
            None => Self::Own,
        }
    }
}

/// Namespaces of other containers that are shared, as paths that can be opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Peers {
    pub pid: Option<PathBuf>,
    pub ipc: Option<PathBuf>,
    pub network: Option<PathBuf>,
}

/// The list of the runtime-spec: one that is missing is shared with the host.
pub(super) fn all(spec: &ContainerSpec, around: &Surroundings<'_>) -> Vec<LinuxNamespace> {
    let host = &spec.host;
    let peers = around.peers;
    let network = if spec.network_disabled { Sharing::Own } else { Sharing::of(&host.network_mode) };
    [
        ("mount", Sharing::Own, &None),
        ("network", network, &peers.network),
        ("uts", Sharing::of(&host.uts_mode), &None),
        ("pid", Sharing::of(&host.pid_mode), &peers.pid),
        ("ipc", Sharing::of(&host.ipc_mode), &peers.ipc),
        ("cgroup", Sharing::of(&host.cgroupns_mode), &None),
    ]
    .into_iter()
    .filter_map(|(kind, sharing, peer)| {
        let path = match sharing {
            Sharing::Host => return None,
            Sharing::Own if kind == "network" => around.sandbox.map(Path::to_owned),
            Sharing::Own => None,
            Sharing::Container(_) => peer.clone(),
        };
        Some(LinuxNamespace { kind: kind.to_owned(), path })
    })
    .collect()
}

/// Kernel parameters: those asked for, and Docker's two that let ordinary users of a container with a network of its own
/// listen on low ports and ping.
pub(super) fn sysctls(host: &HostSpec, platform: &Platform) -> BTreeMap<String, String> {
    let mut sysctls = host.sysctls.clone();
    if platform.network_sysctls && Sharing::of(&host.network_mode) == Sharing::Own {
        sysctls.entry("net.ipv4.ip_unprivileged_port_start".to_owned()).or_insert_with(|| "0".to_owned());
        if !platform.rootless {
            sysctls.entry("net.ipv4.ping_group_range".to_owned()).or_insert_with(|| "0 2147483647".to_owned());
        }
    }
    sysctls
}
