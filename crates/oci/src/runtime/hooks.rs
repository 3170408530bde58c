//! Programs of the caller that run at points of the life cycle (config.md, "POSIX-platform Hooks").

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Hooks by the point where they run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hooks {
    /// Deprecated: as create_runtime.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub prestart: Vec<Hook>,
    /// In the runtime's namespaces, after those of the container are made.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub create_runtime: Vec<Hook>,
    /// In the container's namespaces, before pivot_root.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub create_container: Vec<Hook>,
    /// In the container, before the user's program.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub start_container: Vec<Hook>,
    /// After the user's program was started.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub poststart: Vec<Hook>,
    /// After the container was deleted.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub poststop: Vec<Hook>,
}

/// One program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hook {
    /// Absolute.
    pub path: PathBuf,
    /// With the name of the program first.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// `NAME=value`.
    #[serde(deserialize_with = "crate::json::nullable", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Seconds after which it is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}
