//! The documents of the OCI runtime specification 1.2, as plain data.
//!
//! Field names follow the specification; words that Rust reserves get another name (`type` is `kind`). Unknown fields are
//! ignored, as the specification asks for ("Extensibility").

mod features;
mod hooks;
mod linux;
mod mount;
mod process;
mod resources;
mod seccomp;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use features::{CgroupFeatures, Enabled, Features, LinuxFeatures, MountExtensions, SeccompFeatures};
pub use hooks::{Hook, Hooks};
pub use linux::{
    Linux, LinuxDevice, LinuxIdMapping, LinuxIntelRdt, LinuxNamespace, LinuxNetDevice, LinuxPersonality,
    LinuxTimeOffset,
};
pub use mount::Mount;
pub use process::{
    ConsoleSize, CpuAffinity, LinuxCapabilities, LinuxIoPriority, PosixRlimit, Process, Scheduler, User,
};
pub use resources::{
    LinuxBlockIo, LinuxCpu, LinuxDeviceCgroup, LinuxHugepageLimit, LinuxInterfacePriority, LinuxMemory, LinuxNetwork,
    LinuxPids, LinuxRdma, LinuxResources, LinuxThrottleDevice, LinuxWeightDevice,
};
pub use seccomp::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};
pub use state::{ContainerStatus, State};

/// The version of the specification that dhow writes.
pub const VERSION: &str = "1.2.0";

/// `config.json`: a container as a runtime is told to make it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    /// Version of the specification.
    pub oci_version: String,
    /// Root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// The process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// Host name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// NIS domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Mounts, in order.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Hooks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Anything else.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What is particular to Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The root file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Root {
    /// Absolute, or relative to the bundle.
    pub path: PathBuf,
    /// Mount it read-only.
    #[serde(skip_serializing_if = "is_false")]
    pub readonly: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}
