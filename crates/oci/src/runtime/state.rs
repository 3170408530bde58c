//! What is told about a container (runtime.md, "State").

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a container is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerStatus {
    /// Being made.
    #[default]
    Creating,
    /// Made; the user's program has not been started.
    Created,
    /// The user's program runs.
    Running,
    /// Frozen; not in the specification, but runc's word.
    Paused,
    /// The process has ended.
    Stopped,
}

/// The state document, which hooks read from their standard input.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// Version of the specification.
    pub oci_version: String,
    /// The container.
    pub id: String,
    /// Where it is in its life.
    pub status: ContainerStatus,
    /// Process id as the host sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// Absolute path of the bundle.
    pub bundle: PathBuf,
    /// As in the configuration.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}
