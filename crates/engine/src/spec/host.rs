//! What a container is asked to be: the half that depends on the host.

use std::collections::BTreeMap;

use dhow_errdefs::{Result, ResultExt};
use serde::{Deserialize, Serialize};

/// Docker's `HostConfig`, field by field, with Docker's meaning.
///
/// Zero and empty mean "not given", as on the wire; an `Option` is used only where zero and absent differ.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostSpec {
    /// CPU, memory, pids, block I/O, devices.
    pub resources: Resources,

    /// `source:target[:options]` of `-v`; a source that is missing is created.
    pub binds: Vec<String>,
    /// Mounts of `--mount`; a source that is missing is an error.
    pub mounts: Vec<MountSpec>,
    /// Target → options of `--tmpfs`.
    pub tmpfs: BTreeMap<String, String>,
    /// Containers whose volumes are taken over, `id[:ro|:rw]`.
    pub volumes_from: Vec<String>,
    /// Driver of volumes that are made by name; empty: local.
    pub volume_driver: String,
    /// The root file system cannot be written.
    pub readonly_rootfs: bool,
    /// Bytes of `/dev/shm`; 0: 64 MiB.
    pub shm_size: i64,
    /// Options of the writable layer.
    pub storage_opt: BTreeMap<String, String>,

    /// `default`, `none`, `host`, `bridge`, `container:<id>` or a name.
    pub network_mode: String,
    /// Empty, `host` or `container:<id>`.
    pub pid_mode: String,
    /// Empty, `private`, `shareable`, `none`, `host` or `container:<id>`.
    pub ipc_mode: String,
    /// Empty or `host`.
    pub uts_mode: String,
    /// Empty, `private` or `host`.
    pub cgroupns_mode: String,
    /// Empty or `host`.
    pub userns_mode: String,
    /// Legacy `Cgroup` field, shown only.
    pub cgroup: String,

    /// Every capability and device, no confinement.
    pub privileged: bool,
    /// Capabilities added to the default; `ALL` for all of them. `None`: not given (shown as null).
    pub cap_add: Option<Vec<String>>,
    /// Capabilities taken from the default; `ALL` for all of them. `None`: not given (shown as null).
    pub cap_drop: Option<Vec<String>>,
    /// `seccomp=…` (the profile itself, `unconfined` or `builtin`), `no-new-privileges[:bool]`, `apparmor=…`, `label=…`,
    /// `systempaths=unconfined`.
    pub security_opt: Option<Vec<String>>,
    /// Supplementary groups, names or numbers.
    pub group_add: Option<Vec<String>>,
    /// Paths hidden from the container; `None`: the default list.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that cannot be written; `None`: the default list.
    pub readonly_paths: Option<Vec<String>>,
    /// Kernel parameters of the container's namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Adjustment of the out-of-memory score, -1000 … 1000.
    pub oom_score_adj: i64,

    /// Run a tiny init as process 1; `None`: the engine's default (no).
    pub init: Option<bool>,
    /// OCI runtime by name; empty: the engine's default.
    pub runtime: String,
    /// When it is started again without being asked.
    pub restart_policy: RestartPolicy,
    /// Remove the container when it has exited.
    pub auto_remove: bool,
    /// Where and how its output is kept.
    pub log: LogSpec,
    /// Annotations handed to the runtime.
    pub annotations: BTreeMap<String, String>,
    /// Initial rows and columns of the terminal; zeros: not given.
    pub console_size: [u32; 2],
    /// File the client wrote the id to (shown only).
    pub container_id_file: String,
    /// `hyperv`, `process`, `default` or empty; only the last two mean something here.
    pub isolation: String,

    /// Name servers in place of the host's. `None`: not given (shown as null).
    pub dns: Option<Vec<String>>,
    /// `options` of resolv.conf.
    pub dns_options: Vec<String>,
    /// `search` of resolv.conf.
    pub dns_search: Vec<String>,
    /// `name:address` lines for /etc/hosts.
    pub extra_hosts: Option<Vec<String>>,
    /// Links to other containers of the default network.
    pub links: Option<Vec<String>>,
    /// `port/protocol` → bindings.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// Publish every exposed port.
    pub publish_all_ports: bool,
}

impl HostSpec {
    /// Whether other containers may come into its IPC namespace.
    pub(crate) fn shares_ipc(&self) -> bool {
        self.ipc_mode == "shareable"
    }

    /// The name servers that were asked for.
    pub(crate) fn name_servers(&self) -> &[String] {
        self.dns.as_deref().unwrap_or_default()
    }
}

/// Limits and devices. Sizes are bytes; zero means no limit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Memory limit.
    pub memory: i64,
    /// Memory and swap together; -1: unlimited swap; 0: twice the memory limit.
    pub memory_swap: i64,
    /// Soft limit.
    pub memory_reservation: i64,
    /// 0 … 100; `None` or -1: the host's.
    pub memory_swappiness: Option<i64>,
    /// Kernel memory for TCP buffers (obsolete, shown only).
    pub kernel_memory_tcp: i64,
    /// Do not kill on out of memory (cgroup v1 only).
    pub oom_kill_disable: Option<bool>,
    /// Number of tasks; `None`, 0 and -1: no limit.
    pub pids_limit: Option<i64>,
    /// Relative weight, 2 … 262144.
    pub cpu_shares: i64,
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// CPUs on another system (shown only).
    #[serde(default)]
    pub cpu_count: i64,
    /// CFS period, microseconds.
    pub cpu_period: i64,
    /// CFS quota, microseconds.
    pub cpu_quota: i64,
    /// Real-time period, microseconds.
    pub cpu_realtime_period: i64,
    /// Real-time runtime, microseconds.
    pub cpu_realtime_runtime: i64,
    /// CPUs, as in `0-2,7`.
    pub cpuset_cpus: String,
    /// Memory nodes, as in `0-2,7`.
    pub cpuset_mems: String,
    /// Relative weight, 10 … 1000.
    pub blkio_weight: u16,
    /// Weight per device.
    pub blkio_weight_device: Vec<DeviceRate>,
    /// Bytes per second, reading.
    pub blkio_device_read_bps: Vec<DeviceRate>,
    /// Bytes per second, writing.
    pub blkio_device_write_bps: Vec<DeviceRate>,
    /// Operations per second, reading.
    pub blkio_device_read_iops: Vec<DeviceRate>,
    /// Operations per second, writing.
    pub blkio_device_write_iops: Vec<DeviceRate>,
    /// The cgroup under which the container's is made; empty: the engine's default.
    pub cgroup_parent: String,
    /// Devices of the host.
    pub devices: Vec<DeviceMapping>,
    /// Rules for the device controller, as in `c 1:3 rwm`.
    pub device_cgroup_rules: Vec<String>,
    /// Devices asked for from a driver.
    pub device_requests: Vec<DeviceRequest>,
    /// Resource limits of the process.
    pub ulimits: Vec<Ulimit>,
}

/// A number per block device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRate {
    /// Device node on the host.
    pub path: String,
    /// Weight, bytes per second or operations per second.
    pub rate: u64,
}

/// A device of the host, made visible in the container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceMapping {
    /// On the host.
    pub path_on_host: String,
    /// In the container; empty: the same.
    pub path_in_container: String,
    /// Some of `r`, `w`, `m`; empty: all three.
    pub cgroup_permissions: String,
}

/// Devices that a driver is asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceRequest {
    /// Who is to give them; empty: whoever can do what is asked for.
    pub driver: String,
    /// How many; -1: all.
    pub count: i64,
    /// Which.
    pub device_ids: Option<Vec<String>>,
    /// Alternatives of what they are to be able to do, all words of one together.
    pub capabilities: Option<Vec<Vec<String>>>,
    /// For the driver.
    pub options: Option<BTreeMap<String, String>>,
}

/// A resource limit, `setrlimit(2)`. -1 means unlimited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ulimit {
    /// `nofile`, `core`, …
    pub name: String,
    /// Enforced.
    pub soft: i64,
    /// How far the process may raise the soft one.
    pub hard: i64,
}

/// Log driver and its options.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSpec {
    /// Driver; empty: the engine's default.
    pub driver: String,
    /// Options of that driver.
    pub options: BTreeMap<String, String>,
}

impl LogSpec {
    /// Whether there is such a driver, and it takes these options.
    ///
    /// # Errors
    /// Docker's words for what it does not take.
    pub fn check(&self) -> Result<()> {
        dhow_logs::Config::from_options(&self.driver, &self.options).context(|| "failed to set log opts").map(drop)
    }
}

/// When a container is started again without being asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    /// Empty or `no`, `always`, `unless-stopped`, `on-failure`.
    pub name: String,
    /// With `on-failure`: how often at most; 0: no limit.
    pub maximum_retry_count: i64,
}

/// A published port, as asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortBinding {
    /// Address on the host; empty: all.
    pub host_ip: String,
    /// Port on the host; empty: any.
    pub host_port: String,
}

/// A mount of `--mount`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountSpec {
    /// `bind`, `volume`, `tmpfs`, …
    pub kind: String,
    /// Path on the host or name of the volume.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Cannot be written.
    pub read_only: bool,
    /// `default`, `cached`, `delegated`, `consistent` (shown only).
    pub consistency: String,
    /// Options of a bind mount.
    pub bind: Option<BindOptions>,
    /// Options of a volume.
    pub volume: Option<VolumeOptions>,
    /// Options of a tmpfs.
    pub tmpfs: Option<TmpfsOptions>,
    /// Options of an image.
    pub image: Option<ImageOptions>,
}

/// Options of an image mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageOptions {
    /// Mount only this directory of the image.
    pub subpath: String,
}

/// Options of a bind mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindOptions {
    /// `rprivate` and its relatives; empty: rprivate.
    pub propagation: String,
    /// Do not bind what is mounted below the source.
    pub non_recursive: bool,
    /// Make a missing source.
    pub create_mountpoint: bool,
    /// A read-only mount stays writable below.
    pub read_only_non_recursive: bool,
    /// Fail where a read-only mount cannot be made so recursively.
    pub read_only_force_recursive: bool,
    /// The owner of the source and the user in the container are one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub id_map: bool,
}

/// Options of a volume mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeOptions {
    /// Do not fill an empty volume with what the image has there.
    pub no_copy: bool,
    /// Labels of a volume that is made.
    pub labels: BTreeMap<String, String>,
    /// Driver of a volume that is made.
    pub driver: String,
    /// Options of that driver.
    pub driver_options: BTreeMap<String, String>,
    /// Mount only this directory of the volume.
    pub subpath: String,
}

/// Options of a tmpfs mount.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    /// Bytes; 0: no limit.
    pub size: i64,
    /// Permission bits; 0: 1777.
    pub mode: u32,
    /// Further options, key or key and value.
    pub options: Vec<Vec<String>>,
}
