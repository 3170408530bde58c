//! What an engine is given when it opens.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use dhow_image::{Policy, RegistrySettings};

use crate::spec::LogSpec;
use crate::{PluginSettings, Usual};

/// Who decides about what goes through the host to containers and from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FirewallPolicy {
    /// The engine: published ports are open.
    #[default]
    Own,
    /// The host's input policy, too.
    RespectHost,
    /// Somebody else: the engine makes no rules on the host.
    None,
}

/// Why an engine without root has nothing that connects its networks with the outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoOutlet {
    /// What is missing, as in `/dev/net/tun cannot be opened`.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

/// What a person without root should know who has only one user id.
pub const ONE_ID: &str = "containers have only one user id: install newuidmap and newgidmap (Debian: uidmap), and give this \
                          user a range in /etc/subuid and /etc/subgid, to have all";

/// Names of the built-in runtime: its own, and those of Docker's, by which clients mean the engine's own.
pub const BUILT_IN_RUNTIMES: [&str; 3] = ["dhow", "runc", "io.containerd.runc.v2"];

/// Everything an engine has to know. It reads no environment variables and no configuration files.
#[derive(Debug, Clone)]
pub struct Config {
    /// Data: images, containers, volumes.
    pub data_root: PathBuf,
    /// Live facts: sockets and state of shims. A tmpfs is expected, not required.
    pub exec_root: PathBuf,
    /// Our own sealed executable, run as `shim` and `init` and `runtime`.
    pub executable: Arc<OwnedFd>,
    /// Runtimes other than the built-in `dhow`, by name.
    pub runtimes: BTreeMap<String, PathBuf>,
    /// The runtime of containers that name none.
    pub default_runtime: String,
    /// Log driver and options of containers that name none.
    pub log: LogSpec,
    /// The cgroup under which every container gets its own, as in `/dhow`.
    pub cgroup_parent: String,
    /// The engine runs as an ordinary user, inside a user namespace of its own.
    pub rootless: bool,
    /// What connects the networks of an engine without root with the outside: `pasta` or `slirp4netns`; or why there is
    /// none, and so no bridges. With root nobody asks.
    pub outlet: Result<PathBuf, NoOutlet>,
    /// Who decides about what comes to published ports, and goes out.
    pub firewall: FirewallPolicy,
    /// The host may be told to pass packets on between its networks.
    pub forwarding: bool,
    /// Run an init process in containers that do not say.
    pub init: bool,
    /// Limits of containers that name none.
    pub default_ulimits: Vec<crate::spec::Ulimit>,
    /// Bytes of `/dev/shm` where a container does not say; 0: 64 MiB.
    pub default_shm_size: i64,
    /// Where volume plugins are found, and how long they are waited for.
    pub plugins: PluginSettings,
    /// Labels of this engine, shown by `info`.
    pub labels: Vec<String>,
    /// Images that are part of the program, by the name under which they are asked for, as in `hello-world:latest`.
    pub embedded: BTreeMap<String, fn() -> dhow_image::Embedded>,
    /// How registries are reached.
    pub registries: RegistrySettings,
    /// Which images may be used.
    pub policy: Arc<Policy>,
    /// What containers and networks get that do not say.
    pub usual: Usual,
    /// Folders with files that describe devices, the last of which wins; `None`: nobody may ask for such devices.
    pub device_folders: Option<Vec<PathBuf>>,
    /// Version of the product, shown by `info` and in logs.
    pub version: String,
}

impl Config {
    /// Why containers can be in no networks of bridges.
    pub(crate) fn no_bridges(&self) -> Option<&NoOutlet> {
        self.outlet.as_ref().err().filter(|_| self.rootless)
    }

    /// Containers can be in networks of bridges.
    #[must_use]
    pub fn has_bridges(&self) -> bool {
        self.no_bridges().is_none()
    }
}
