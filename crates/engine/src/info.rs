//! `docker info`.

use std::ffi::CStr;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use rustix::system::{sysinfo, uname};

use crate::container::State;
use crate::core::Core;
use crate::host::Host;
use crate::inspect::STORAGE_DRIVER;
use crate::{Engine, EventKind, Info, Kernel, Limits, NoOutlet, ONE_ID};

const NO_CGROUPS: &str = "WARNING: Running in rootless-mode without cgroups. To enable cgroups in rootless-mode, you need \
                          to boot the system in cgroup v2 mode";

impl Core {
    /// Facts about the engine and its host. Blocks a little.
    pub(crate) fn info(&self) -> Info {
        let config = &self.config;
        let states: Vec<State> = self.containers().all().map(|container| container.view().condition.state).collect();
        let count = |state: State| states.iter().filter(|other| **other == state).count();
        let (running, paused) = (count(State::Running) + count(State::Restarting), count(State::Paused));
        let device_folders = config.device_folders.clone().unwrap_or_default();
        let described = crate::cdi::list(&device_folders);
        Info {
            id: self.identity(),
            containers: states.len(),
            containers_running: running,
            containers_paused: paused,
            containers_stopped: states.len() - running - paused,
            images: self.images.count().unwrap_or_default(),
            storage_driver: STORAGE_DRIVER,
            storage_status: storage_status(&config.data_root),
            data_root: config.data_root.clone(),
            log_driver: if config.log.driver.is_empty() { "local".to_owned() } else { config.log.driver.clone() },
            log_drivers: dhow_logs::Driver::ALL.map(|driver| driver.as_str().to_owned()).to_vec(),
            volume_drivers: self.volumes.drivers(),
            network_drivers: ["bridge", "host", "macvlan", "null"].map(str::to_owned).to_vec(),
            runtimes: self.runtimes(),
            default_runtime: config.default_runtime.clone(),
            security_options: self.security_options(),
            tasks: tokio::runtime::Handle::try_current().map_or(0, |runtime| runtime.metrics().num_alive_tasks()),
            fds: entries("/proc/self/fd"),
            event_listeners: self.events.listeners(),
            device_folders,
            described_devices: described.devices,
            warnings: [self.warnings(), described.warnings].concat(),
            rootless: config.rootless,
            system_time: Timestamp::now(),
            ..of_host(&self.host)
        }
    }

    fn runtimes(&self) -> std::collections::BTreeMap<String, Option<std::path::PathBuf>> {
        let mut runtimes: std::collections::BTreeMap<_, _> =
            self.config.runtimes.iter().map(|(name, path)| (name.clone(), Some(path.clone()))).collect();
        runtimes.entry(self.config.default_runtime.clone()).or_insert(None);
        runtimes
    }

    fn security_options(&self) -> Vec<String> {
        let mut options = vec!["name=seccomp,profile=builtin"];
        if self.config.rootless {
            options.push("name=rootless");
        }
        if self.host.platform.unified_cgroups {
            options.push("name=cgroupns");
        }
        options.into_iter().map(str::to_owned).collect()
    }

    /// What the host lacks, in Docker's words.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = match &self.host.cgroups {
            Some(_) => lacking(self.host.limits, self.host.cgroup_version == 2),
            None => vec![NO_CGROUPS.to_owned()],
        };
        if self.config.rootless && has_one_id(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default()) {
            warnings.push(format!("WARNING: {ONE_ID}"));
        }
        if let Some(NoOutlet { why, remedy }) = self.config.no_bridges() {
            warnings.push(format!("WARNING: containers have no bridges and publish no ports: {why}; {remedy}"));
        }
        warnings
    }

    /// Tells those who listen to events that the configuration was read again, with what of it concerns them.
    fn tell_reloaded(&self) {
        let config = &self.config;
        let labels = serde_json::to_string(&config.labels).unwrap_or_default();
        let attributes = [
            ("name", text(uname().nodename())),
            ("default-ipc-mode", config.usual.ipc_mode.clone()),
            ("default-runtime", config.default_runtime.clone()),
            ("default-shm-size", config.default_shm_size.to_string()),
            ("labels", labels),
            ("live-restore", true.to_string()),
        ];
        let attributes = attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        self.events.tell(EventKind::Daemon, "reload".to_owned(), &self.identity(), attributes);
    }

    /// A name of this data root, made when it is first asked for.
    fn identity(&self) -> String {
        let path = self.config.data_root.join("engine-id");
        if let Ok(id) = fs::read_to_string(&path) {
            return id.trim_end().to_owned();
        }
        let digits = crate::create::random_id();
        let id = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..32]].join("-");
        let written = dhow_sys::atomic::write(&path, format!("{id}\n").as_bytes(), 0o644, dhow_sys::atomic::Sync::No);
        if let Err(error) = written {
            tracing::warn!(%error, "the engine's id could not be kept");
        }
        id
    }
}

impl Engine {
    /// Tells that the configuration was read again, as dockerd does.
    pub fn tell_reloaded(&self) {
        self.core.tell_reloaded();
    }
}

impl Kernel {
    /// The one that runs.
    #[must_use]
    pub fn running() -> Self {
        let names = uname();
        Self { release: text(names.release()), architecture: text(names.machine()) }
    }
}

/// What is so without the engine, too.
fn of_host(host: &Host) -> Info {
    let kernel = Kernel::running();
    let memory = sysinfo();
    Info {
        cgroup_driver: if host.cgroups.is_some() { "cgroupfs" } else { "none" }.to_owned(),
        cgroup_version: host.cgroup_version.to_string(),
        kernel_version: kernel.release,
        operating_system: host.operating_system.clone(),
        os_version: host.os_version.clone(),
        architecture: kernel.architecture,
        cpus: host.cpus,
        memory: memory.totalram as u64 * u64::from(memory.mem_unit),
        name: text(uname().nodename()),
        limits: host.limits,
        ipv4_forwarding: is_on("/proc/sys/net/ipv4/ip_forward"),
        ..Info::default()
    }
}

fn text(name: &CStr) -> String {
    name.to_string_lossy().into_owned()
}

/// A warning for each limit there is not.
fn lacking(limits: Limits, unified: bool) -> Vec<String> {
    let Limits { memory, swap, cpu_cfs, cpu_shares, cpuset, pids, blkio_weight, blkio_throttle, .. } = limits;
    let throttle = |v1: &'static str, v2: &'static str| (blkio_throttle, if unified { v2 } else { v1 });
    let all = [
        (memory, "memory limit"),
        (swap, "swap limit"),
        (limits.oom_kill_disable || unified, "oom kill disable"),
        (cpu_cfs, "cpu cfs quota"),
        (cpu_cfs, "cpu cfs period"),
        (cpu_shares, "cpu shares"),
        (cpuset, "cpuset"),
        (pids, "pids limit"),
        // Version 1 has had no weights since Linux 5.0, which is nothing to warn of.
        (blkio_weight || !unified, "io.weight"),
        (blkio_weight || !unified, "io.weight (per device)"),
        throttle("blkio throttle.read_bps_device", "io.max (rbps)"),
        throttle("blkio throttle.write_bps_device", "io.max (wbps)"),
        throttle("blkio throttle.read_iops_device", "io.max (riops)"),
        throttle("blkio throttle.write_iops_device", "io.max (wiops)"),
    ];
    all.into_iter().filter(|(there, _)| !there).map(|(_, what)| format!("WARNING: No {what} support")).collect()
}

/// Whether an id map has a single id; its lines are first id inside, first outside, how many (user_namespaces(7)).
fn has_one_id(map: &str) -> bool {
    map.split_ascii_whitespace().collect::<Vec<_>>().chunks(3).map(|range| range[range.len() - 1]).eq(["1"])
}

fn storage_status(root: &Path) -> Vec<(String, String)> {
    // EXT4, XFS, BTRFS, TMPFS and OVERLAYFS of statfs(2); others are shown by number.
    let name = match rustix::fs::statfs(root).map(|stat| stat.f_type) {
        Ok(0xef53) => "extfs".to_owned(),
        Ok(0x5846_5342) => "xfs".to_owned(),
        Ok(0x9123_683e) => "btrfs".to_owned(),
        Ok(0x0102_1994) => "tmpfs".to_owned(),
        Ok(0x794c_7630) => "overlayfs".to_owned(),
        Ok(other) => format!("{other:#x}"),
        Err(_) => "unknown".to_owned(),
    };
    vec![
        ("Backing Filesystem".to_owned(), name),
        ("Supports d_type".to_owned(), "true".to_owned()),
        ("Native Overlay Diff".to_owned(), "true".to_owned()),
    ]
}

fn is_on(path: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

fn entries(path: &str) -> usize {
    fs::read_dir(path).map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_named_as_the_version_has_it() {
        let limits =
            Limits { memory: true, swap: true, cpu_cfs: true, cpu_shares: true, pids: true, ..Limits::default() };
        let (old, new) = (lacking(limits, false), lacking(Limits { cpuset: true, ..limits }, true));
        assert_eq!(old[..2], ["WARNING: No oom kill disable support", "WARNING: No cpuset support"]);
        assert_eq!(old[2], "WARNING: No blkio throttle.read_bps_device support");
        assert_eq!(
            new[..3],
            ["io.weight", "io.weight (per device)", "io.max (rbps)"].map(|it| format!("WARNING: No {it} support"))
        );
    }

    #[test]
    fn one_id_is_one_line_with_one() {
        assert!(has_one_id("         0       1000          1\n"));
        for more in ["         0          0 4294967295\n", "0 1000 1\n1 165536 65536\n", "0 1000 11\n", ""] {
            assert!(!has_one_id(more), "{more}");
        }
    }
}
