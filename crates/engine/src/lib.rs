//! What Docker means, without HTTP: containers, exec, attach, wait, restore.
//!
//! An [`Engine`] owns one data root. Each container has one owner task, which alone changes its state; everybody else
//! reads a snapshot that is ready in memory. What must outlive the engine is held by the container's shim.
//!
//! The engine knows no HTTP and no wire type, reads no environment variables and prints nothing.

mod attach;
mod boot;
mod cdi;
mod config;
mod container;
mod core;
mod create;
mod ending;
mod engine;
mod events;
mod exec;
mod files;
mod freezing;
mod health;
mod host;
mod images;
mod index;
mod info;
mod inspect;
mod labels;
mod launch;
mod leftovers;
mod link;
mod list;
mod logs;
mod names;
mod networks;
mod prune;
mod pull;
mod push;
mod readiness;
mod request;
mod restore;
mod rootfs;
mod shims;
mod signal;
pub mod spec;
mod start;
mod stats;
mod top;
mod update;
mod users;
mod usual;
mod view;
mod volumes;
mod watch;

pub use config::{BUILT_IN_RUNTIMES, Config, FirewallPolicy, NoOutlet, ONE_ID};
pub use dhow_cgroups::{CpuStats, IoEntry, IoStats, MemoryStats, PidsStats, Stats};
pub use dhow_errdefs::{Class, Error, Result};
pub use dhow_image::{Policy, PolicyRule, PublicKey, RegistrySettings};
pub use dhow_network::ipam::AddressUsage;
pub use dhow_network::model as network;
pub use dhow_store::{Change, ChangeKind};
pub use engine::{Engine, WaitHandle};
pub use events::Listener;
pub use files::{ArchiveSink, CommitRequest, ExtractOptions, PathStat};
pub use health::{Health, HealthResult, HealthStatus};
pub use labels::has_label;
pub use networks::{Exposure, HOLDER as NETWORK_HOLDER, Member, NetworkView, PublishChange, Way};
pub use prune::{PruneOptions, Pruned, none_left};
pub use request::{
    AttachOptions, ClientStream, CreateRequest, ExecStartOptions, Filters, ListOptions, LogOptions, RemoveOptions,
    WaitCondition,
};
pub use stats::{NetworkCounters, Reading, Sample, StatsListener, Traffic};
pub use usual::{DefaultBridge, Usual, UsualBridge};
pub use view::{
    Created, Details, Event, EventKind, ExecDetails, ExitStatus, Info, Joined, Kernel, Limits, LogEntry, LogLosses,
    MountPoint, ProcessTable, Size, StateView, Status, Summary,
};
pub use volumes::{
    CopyKind, PluginSettings, Volume, VolumeFormat, VolumeImport, VolumeList, VolumePrune, VolumeRequest, VolumeSource,
    VolumesPruned,
};
