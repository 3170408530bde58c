//! Images.
#![allow(missing_docs, reason = "the fields are Docker's and documented by its API")]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::container::{Config, GraphDriver, HealthConfig, Set};
use crate::zero::is_zero;

/// One line of `GET /images/json`. -1 stands for "not counted".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Summary {
    pub containers: i64,
    /// Seconds since 1970.
    pub created: i64,
    pub id: String,
    pub labels: Option<BTreeMap<String, String>>,
    pub parent_id: String,
    pub repo_digests: Vec<String>,
    pub repo_tags: Vec<String>,
    pub shared_size: i64,
    pub size: i64,
    /// Only before version 1.44.
    #[serde(skip_serializing_if = "is_zero")]
    pub virtual_size: Option<i64>,
    /// Only where they are asked for.
    #[serde(skip_serializing_if = "is_zero")]
    pub manifests: Option<Vec<ManifestSummary>>,
}

/// One manifest of an image. Descriptors and platforms have OCI's own shapes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestSummary {
    #[serde(rename = "ID")]
    pub id: String,
    pub descriptor: serde_json::Value,
    pub available: bool,
    pub size: ManifestSize,
    /// `image`, `attestation` or `unknown`.
    pub kind: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub image_data: Option<ManifestImage>,
}

/// What a manifest takes on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestSize {
    pub content: i64,
    pub total: i64,
}

/// What a manifest says as an image's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ManifestImage {
    pub platform: serde_json::Value,
    pub containers: Vec<String>,
    pub size: UnpackedSize,
}

/// Bytes of unpacked layers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UnpackedSize {
    pub unpacked: i64,
}

/// `GET /images/{name}/json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Inspect {
    pub id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub parent: String,
    pub comment: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub created: String,
    /// Only before version 1.45.
    #[serde(skip_serializing_if = "is_zero")]
    pub container: Option<String>,
    /// Only before version 1.45.
    #[serde(skip_serializing_if = "is_zero")]
    pub container_config: Option<Config>,
    pub docker_version: String,
    pub author: String,
    pub config: InspectConfig,
    pub architecture: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub variant: String,
    pub os: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub os_version: String,
    pub size: i64,
    /// Only before version 1.44.
    #[serde(skip_serializing_if = "is_zero")]
    pub virtual_size: Option<i64>,
    pub graph_driver: GraphDriver,
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    pub metadata: Metadata,
    /// Only where they are asked for.
    #[serde(skip_serializing_if = "is_zero")]
    pub manifests: Option<Vec<ManifestSummary>>,
}

/// The configuration of an image: until version 1.49 with every field of a container's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum InspectConfig {
    /// What an image has.
    Image(Box<ImageConfig>),
    /// The same, dressed as a container.
    Container(Box<Config>),
}

impl Default for InspectConfig {
    fn default() -> Self {
        Self::Image(Box::default())
    }
}

/// The part of an image's configuration that is about running it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImageConfig {
    #[serde(skip_serializing_if = "is_zero")]
    pub user: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub exposed_ports: Option<Set>,
    #[serde(skip_serializing_if = "is_zero")]
    pub env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub volumes: Option<Set>,
    #[serde(skip_serializing_if = "is_zero")]
    pub working_dir: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub stop_signal: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub args_escaped: bool,
    #[serde(skip_serializing_if = "is_zero")]
    pub healthcheck: Option<HealthConfig>,
    #[serde(skip_serializing_if = "is_zero")]
    pub on_build: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub shell: Option<Vec<String>>,
}

/// The layers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RootFs {
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub layers: Vec<String>,
}

/// What the engine knows beside the image itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Metadata {
    #[serde(skip_serializing_if = "is_zero")]
    pub last_tag_time: String,
}

/// One line of `GET /images/{name}/history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HistoryItem {
    pub comment: String,
    /// Seconds since 1970.
    pub created: i64,
    pub created_by: String,
    /// `<missing>` for a step that is no image.
    pub id: String,
    pub size: i64,
    pub tags: Option<Vec<String>>,
}

/// One step of a removal; one of the two is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Deleted {
    #[serde(skip_serializing_if = "is_zero")]
    pub deleted: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub untagged: String,
}

/// `POST /images/prune`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PruneResponse {
    pub images_deleted: Option<Vec<Deleted>>,
    pub space_reclaimed: u64,
}

/// `POST /system/check`, beyond Docker's API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckResponse {
    pub images: usize,
    pub layers: usize,
    pub blobs: usize,
    pub faults: Vec<CheckFault>,
}

/// Something that is damaged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CheckFault {
    /// `blob` or `layer`.
    pub kind: String,
    pub digest: String,
    pub what: String,
    pub images: Vec<String>,
    /// From where it was healed; empty if it was not.
    pub healed_from: String,
    /// Why it could not be healed.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shapes_of_a_configuration_are_read() {
        let text = r#"{"Id":"sha256:a","Config":{"Hostname":"","Cmd":["sh"],"OnBuild":null,"Labels":null}}"#;
        let image: Inspect = serde_json::from_str(text).expect("good");
        let InspectConfig::Image(config) = image.config else { panic!("the narrow shape wins") };
        assert_eq!(config.cmd, Some(vec!["sh".to_owned()]));
    }

    #[test]
    fn an_empty_image_configuration_is_an_empty_object() {
        assert_eq!(serde_json::to_string(&InspectConfig::default()).expect("plain data"), "{}");
    }
}
