//! What the engine answers: summaries, details, facts about the host.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use dhow_network::model::{Attached, Endpoint, EndpointSpec, Published};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Health;
use crate::spec::ContainerSpec;

/// Where a container is in its life; the words are Docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    #[default]
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Ended, and its restart policy will start it again.
    Restarting,
    /// Being removed.
    Removing,
    /// Ended.
    Exited,
    /// Half removed; only removing it again is possible.
    Dead,
}

impl Status {
    /// Docker's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Removing => "removing",
            Self::Exited => "exited",
            Self::Dead => "dead",
        }
    }

    /// The status with that word.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Created, Self::Running, Self::Paused, Self::Restarting, Self::Removing, Self::Exited, Self::Dead]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// The state `inspect` shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StateView {
    /// Where it is in its life.
    pub status: Status,
    /// Process 1 of the container, as the host numbers it; 0 when it does not run.
    pub pid: i32,
    /// Of the last run.
    pub exit_code: i32,
    /// Why the last start failed, or what was lost.
    pub error: String,
    /// The kernel killed one of its processes for want of memory during the last run.
    pub oom_killed: bool,
    /// Start of the last run.
    pub started_at: Option<Timestamp>,
    /// End of the last run.
    pub finished_at: Option<Timestamp>,
    /// What its health check says, if it has one and was started.
    pub health: Option<Arc<Health>>,
}

impl StateView {
    /// Docker calls paused and restarting containers running, too.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.status, Status::Running | Status::Paused | Status::Restarting)
    }
}

/// One line of `ps`.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// All 64 digits.
    pub id: Arc<str>,
    /// Without the slash Docker writes before it.
    pub name: String,
    /// Names that others have for it by their links: `container/alias`.
    pub link_names: Vec<String>,
    /// The image as asked for; its id when the name now means another image.
    pub image: Arc<str>,
    /// `sha256:…`.
    pub image_id: Arc<str>,
    /// Program and arguments in one line.
    pub command: String,
    /// When it was made.
    pub created: Timestamp,
    /// The state.
    pub state: StateView,
    /// What it was made from, merged with the image.
    pub spec: Arc<ContainerSpec>,
    /// Mounts other than the engine's own.
    pub mounts: Arc<Vec<MountPoint>>,
    /// Sizes, if asked for.
    pub size: Option<Size>,
    /// What it has in its networks, while it runs.
    pub attached: Option<Arc<Attached>>,
    /// The ids of all networks by name, the same for every line.
    pub networks: Arc<HashMap<String, String>>,
}

/// Lines that a log has lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogLosses {
    /// The disk did not take them.
    pub disk: u64,
    /// The remote target did not.
    pub remote: u64,
}

/// Everything `inspect` shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Details {
    /// All 64 digits.
    pub id: String,
    /// Without the slash Docker writes before it.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The state.
    pub state: StateView,
    /// `sha256:…`.
    pub image_id: String,
    /// What it was made from, merged with the image.
    pub spec: Arc<ContainerSpec>,
    /// Mounts other than the engine's own.
    pub mounts: Arc<Vec<MountPoint>>,
    /// Processes started in it by `exec` that still run.
    pub exec_ids: Vec<String>,
    /// How often the restart policy started it again.
    pub restart_count: u32,
    /// The OCI runtime.
    pub runtime: String,
    /// Log file, where the driver has one.
    pub log_path: Option<PathBuf>,
    /// Lines its log has lost in this run: on a full disk, or because a remote target did not take them.
    pub log_losses: LogLosses,
    /// The file behind /etc/hostname; empty before the first start.
    pub hostname_path: PathBuf,
    /// The file behind /etc/hosts; empty before the first start.
    pub hosts_path: PathBuf,
    /// The file behind /etc/resolv.conf; empty before the first start.
    pub resolv_conf_path: PathBuf,
    /// Storage driver.
    pub storage_driver: &'static str,
    /// What the storage driver tells about this container (`LowerDir`, `UpperDir`, …).
    pub storage: BTreeMap<String, String>,
    /// Sizes, if asked for.
    pub size: Option<Size>,
    /// The networks it is in, or will be, by name.
    pub networks: BTreeMap<String, Joined>,
    /// Its ports on the host, while it runs.
    pub published: Vec<Published>,
}

/// A container's place in a network, as asked for and as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joined {
    /// The network's id; empty while there is no such network.
    pub network_id: String,
    /// What was asked for.
    pub spec: EndpointSpec,
    /// What it has, while it runs.
    pub endpoint: Option<Endpoint>,
    /// The names by which others find it, where the network has names.
    pub names: Vec<String>,
}

/// A mount as `inspect` shows it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MountPoint {
    /// `bind`, `volume` or `tmpfs`.
    pub kind: String,
    /// Name of a volume.
    pub name: Option<String>,
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub destination: String,
    /// Driver of a volume.
    pub driver: Option<String>,
    /// Options as given after the second colon of `-v`, or `z` for volumes.
    pub mode: String,
    /// Can be written.
    pub rw: bool,
    /// Propagation of a bind mount.
    pub propagation: String,
}

/// Bytes a container takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Written by the container.
    pub rw: u64,
    /// Together with the image.
    pub root_fs: u64,
}

/// How a container ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExitStatus {
    /// 0 … 255.
    pub code: i32,
    /// Why it could not run or be removed.
    pub error: Option<String>,
}

/// What `create` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Created {
    /// All 64 digits.
    pub id: String,
    /// What the host lacks or the request contradicts.
    pub warnings: Vec<String>,
}

/// What is known about a process started by `exec`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecDetails {
    /// Of the exec.
    pub id: String,
    /// Of its container.
    pub container_id: String,
    /// What was asked for.
    pub spec: Arc<crate::spec::ExecSpec>,
    /// It runs.
    pub running: bool,
    /// Once it has ended.
    pub exit_code: Option<i32>,
    /// As the host numbers it; 0 when it does not run.
    pub pid: i32,
    /// Its input can still be written.
    pub stdin_open: bool,
    /// Whether it may be thrown away.
    pub can_remove: bool,
    /// Its program could not be started.
    pub failed: bool,
}

/// One line (or part of a long one) of a container's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Standard error, else standard output.
    pub stderr: bool,
    /// When the shim read it.
    pub time: Timestamp,
    /// The bytes, with the line feed if there was one.
    pub line: Vec<u8>,
    /// What `--details` shows: sorted `name=value`.
    pub details: Option<Arc<str>>,
}

/// The kinds of things to which something can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum EventKind {
    Builder,
    Container,
    Daemon,
    Image,
    Network,
    Volume,
}

impl EventKind {
    /// Docker's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Container => "container",
            Self::Daemon => "daemon",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// To what kind of thing.
    pub kind: EventKind,
    /// `create`, `start`, `die`, `exec_start: sh`, …
    pub action: String,
    /// Id or name of the thing.
    pub id: String,
    /// Image, name, labels, exit code, …
    pub attributes: BTreeMap<String, String>,
    /// When.
    pub time: Timestamp,
}

/// Processes of a container, as `ps` prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessTable {
    /// Column heads.
    pub titles: Vec<String>,
    /// Rows.
    pub processes: Vec<Vec<String>>,
}

/// What the kernel says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// As in `6.1.0`.
    pub release: String,
    /// As in `x86_64`.
    pub architecture: String,
}

/// Facts about the engine and its host.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Info {
    /// A name for this engine that survives restarts.
    pub id: String,
    /// Containers in all.
    pub containers: usize,
    /// Of them running.
    pub containers_running: usize,
    /// Of them paused.
    pub containers_paused: usize,
    /// Of them neither.
    pub containers_stopped: usize,
    /// Images.
    pub images: usize,
    /// Storage driver.
    pub storage_driver: &'static str,
    /// What the storage driver tells.
    pub storage_status: Vec<(String, String)>,
    /// Where the data are.
    pub data_root: PathBuf,
    /// Default log driver.
    pub log_driver: String,
    /// Log drivers there are.
    pub log_drivers: Vec<String>,
    /// Volume drivers there are.
    pub volume_drivers: Vec<String>,
    /// Network drivers there are.
    pub network_drivers: Vec<String>,
    /// `cgroupfs` or `none`.
    pub cgroup_driver: String,
    /// `1` or `2`.
    pub cgroup_version: String,
    /// Kernel release.
    pub kernel_version: String,
    /// Name and version of the distribution.
    pub operating_system: String,
    /// Version of the distribution.
    pub os_version: String,
    /// Machine name of the kernel, as in `x86_64`.
    pub architecture: String,
    /// Number of CPUs this engine may use.
    pub cpus: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Host name.
    pub name: String,
    /// Runtimes by name, with the path of those that are not built in.
    pub runtimes: BTreeMap<String, Option<PathBuf>>,
    /// The default among them.
    pub default_runtime: String,
    /// `name=seccomp,profile=builtin`, …
    pub security_options: Vec<String>,
    /// Limits this host has.
    pub limits: Limits,
    /// IPv4 packets are forwarded.
    pub ipv4_forwarding: bool,
    /// Tasks of the engine process.
    pub tasks: usize,
    /// File descriptors of the engine process.
    pub fds: usize,
    /// Listeners of the event stream.
    pub event_listeners: usize,
    /// Folders with files that describe devices.
    pub device_folders: Vec<PathBuf>,
    /// The devices they describe.
    pub described_devices: Vec<String>,
    /// What a person should know, in Docker's words.
    pub warnings: Vec<String>,
    /// Runs without root.
    pub rootless: bool,
    /// Now.
    pub system_time: Timestamp,
}

/// Limits the host's cgroups offer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory.
    pub memory: bool,
    /// Memory and swap.
    pub swap: bool,
    /// Swap of the kernel's TCP memory.
    pub kernel_memory_tcp: bool,
    /// Switching the OOM killer off.
    pub oom_kill_disable: bool,
    /// CFS period and quota.
    pub cpu_cfs: bool,
    /// Shares.
    pub cpu_shares: bool,
    /// CPU sets.
    pub cpuset: bool,
    /// Number of tasks.
    pub pids: bool,
    /// Weights of block I/O.
    pub blkio_weight: bool,
    /// Rates of block I/O.
    pub blkio_throttle: bool,
}
