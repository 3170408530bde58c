//! Facts about the host that do not change while the engine runs.

use std::fs;
use std::path::{Path, PathBuf};

use dhow_cgroups::{Cgroup, Controllers, Hierarchy, Mode};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_runtime::SecurityModules;

use crate::launch::{Platform, capabilities_of_mask};
use crate::{Config, Limits};

/// What was found when the engine opened.
#[derive(Debug)]
pub(crate) struct Host {
    /// The cgroup trees; `None` where this engine may not make cgroups.
    pub cgroups: Option<Hierarchy>,
    /// The cgroup under which every container gets its own.
    pub cgroup_parent: String,
    pub cgroup_version: u8,
    pub limits: Limits,
    pub platform: Platform,
    pub cpus: usize,
    /// Its last node of memory.
    pub last_node: usize,
    /// Our own binary, to be bound into containers as their init.
    pub binary: PathBuf,
    pub operating_system: String,
    pub os_version: String,
}

impl Host {
    pub(crate) fn detect(config: &Config) -> Result<Self> {
        let trees = Hierarchy::detect().ok();
        let delegation = match &trees {
            Some(trees) => trees.delegated().context(|| "see which cgroups may be used")?,
            None => None,
        };
        let unified = trees.as_ref().is_some_and(|trees| trees.mode() == Mode::V2);
        let controllers = delegation.as_ref().map_or(Controllers::NONE, |delegation| delegation.controllers);
        let limits = trees.as_ref().map_or_else(Limits::default, |trees| limits(trees, controllers));
        let base = delegation.as_ref().map_or("", |delegation| delegation.parent.as_str());
        let (operating_system, os_version) = distribution();
        Ok(Self {
            cgroup_parent: format!("{base}/{}", config.cgroup_parent.trim_matches('/')),
            cgroups: trees.filter(|_| delegation.is_some()),
            cgroup_version: if unified { 2 } else { 1 },
            limits,
            platform: platform(config, unified),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            last_node: last_node(),
            binary: fs::read_link("/proc/self/exe").context(|| "find our own binary")?,
            operating_system,
            os_version,
        })
    }

    /// Takes the cgroup of all containers away, if none has one in it: nobody else would.
    pub(crate) fn leave(&self) {
        let Some(hierarchy) = &self.cgroups else { return };
        let deleted = Cgroup::delete_bare(hierarchy, &self.bare_cgroup());
        if let Err(error) = deleted.and_then(|()| Cgroup::delete_empty(hierarchy, &self.cgroup_parent)) {
            tracing::debug!(%error, "the cgroup of the containers is left");
        }
    }

    /// The cgroup that containers are shown of the trees that theirs have not joined.
    pub(crate) fn bare_cgroup(&self) -> String {
        format!("{}/bare", self.cgroup_parent)
    }

    /// Refuses a parent of containers' cgroups that no process may be in.
    pub(crate) fn check_parent(&self, parent: &str) -> Result<()> {
        let bare = self.bare_cgroup();
        if Path::new("/").join(inside(parent)).starts_with(&bare) {
            let hint = format!("{bare} is what containers are shown where they have no cgroup");
            return Err(Error::invalid(format!("invalid cgroup parent: {parent:?}")).with_hint(hint));
        }
        Ok(())
    }

    /// The cgroup of a container, if it can have one.
    pub(crate) fn cgroup(&self, parent: &str, id: &str) -> Option<String> {
        self.cgroups.as_ref()?;
        let parent = inside(parent);
        Some(if parent.is_empty() { format!("{}/{id}", self.cgroup_parent) } else { format!("/{parent}/{id}") })
    }
}

/// Of the nodes of memory that are online; a kernel without NUMA has one (sysfs, `devices/system/node`).
fn last_node() -> usize {
    let online = fs::read_to_string("/sys/devices/system/node/online").unwrap_or_default();
    crate::create::highest(online.trim()).flatten().unwrap_or_default()
}

/// A path without its outer slashes and without ways out: above the root there is the root, as in Docker.
fn inside(path: &str) -> String {
    crate::create::clean_path(path).split_off(1)
}

fn limits(trees: &Hierarchy, controllers: Controllers) -> Limits {
    let support = trees.support(controllers);
    Limits {
        memory: support.memory,
        swap: support.swap,
        kernel_memory_tcp: false,
        oom_kill_disable: support.oom_kill_disable,
        cpu_cfs: support.cpu_cfs,
        cpu_shares: support.cpu_shares,
        cpuset: support.cpuset,
        pids: support.pids,
        blkio_weight: support.blkio_weight,
        blkio_throttle: support.blkio_throttle,
    }
}

fn platform(config: &Config, unified: bool) -> Platform {
    let ipv4 = Path::new("/proc/sys/net/ipv4");
    Platform {
        capabilities: capabilities_of_mask(bounding_set().unwrap_or(u64::MAX)),
        unified_cgroups: unified,
        rootless: config.rootless,
        mqueue: Path::new("/dev/mqueue").is_dir(),
        chooses_groups: !fs::read_to_string("/proc/self/setgroups").is_ok_and(|word| word.trim() == "deny"),
        tty_group: maps_group(5),
        modules: SecurityModules::of_this_host(),
        network_sysctls: ["ip_unprivileged_port_start", "ping_group_range"].iter().all(|name| ipv4.join(name).exists()),
    }
}

/// The capabilities that a child of ours can have at all (proc_pid_status(5)).
fn bounding_set() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Whether a group exists in our user namespace (user_namespaces(7)).
fn maps_group(gid: u64) -> bool {
    let map = fs::read_to_string("/proc/self/gid_map").unwrap_or_default();
    map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().filter_map(|word| word.parse::<u64>().ok());
        let (Some(first), Some(count)) = (numbers.next(), numbers.nth(1)) else { return false };
        (first..first + count).contains(&gid)
    })
}

/// Name and version of the distribution (os-release(5)).
fn distribution() -> (String, String) {
    let text = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release"));
    let text = text.unwrap_or_default();
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.trim_matches(['"', '\'']).to_owned())
    };
    (field("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()), field("VERSION_ID").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_leads_nowhere_else() {
        for (given, meant) in [("/a//b/", "a/b"), ("../x", "x"), ("a/../../b/.", "b"), ("/..", "")] {
            assert_eq!(inside(given), meant, "{given}");
        }
    }
}
