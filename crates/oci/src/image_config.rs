//! The configuration of an image (OCI image-spec, config.md; Docker image specification v1.2).
//!
//! What is stored and pushed are the bytes as received: this is a view on them, and what is not known here is never
//! written back.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Digest, Platform};

/// Larger than any real configuration; a limit against hostile ones.
const LARGEST: usize = 8 << 20;

/// More layers than the kernel's overlay takes (500) make an image that cannot be run.
const MOST_LAYERS: usize = 500;

/// The document whose digest is the image's ID.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Processor.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Version of the operating system.
    #[serde(default, rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Variant of the processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// When it was made (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// What Docker calls a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The version of Docker that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_version: Option<String>,
    /// How containers run.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: ContainerConfig,
    /// The layers.
    pub rootfs: RootFs,
    /// How it was built, one entry a step.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

/// How containers of an image run. Absent and empty mean the same, but for lists that Docker tells apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `port/protocol`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// `NAME=value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Program and first arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments, or the program where there is no entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that are volumes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Working folder.
    #[serde(deserialize_with = "null_is_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// What `stop` sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds until `stop` kills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// How health is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for images that are built on this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    /// The shell of `RUN`, `CMD` and `ENTRYPOINT` in their shell form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
    /// Windows: the command is one escaped line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_escaped: Option<bool>,
}

/// The empty object that Go writes for the members of a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// How health is checked; times in nanoseconds, 0 is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD …` or `CMD-SHELL …`; empty: inherited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// Between checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Of one check.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// During which failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Between checks during that period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The layers by the digests of their uncompressed archives, bottom first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self { kind: "layers".to_owned(), diff_ids: Vec::new() }
    }
}

/// One step of an image's making.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It made no layer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub empty_layer: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Go writes `null` for empty lists, maps and objects.
fn null_is_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl ImageConfig {
    /// Parses and checks a configuration.
    ///
    /// # Errors
    /// Invalid for text that is none, and for one that is too large or has too many layers to be run.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > LARGEST {
            return Err(Error::invalid(format!(
                "the image configuration has {} bytes; {LARGEST} are the limit",
                bytes.len()
            )));
        }
        let config: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::invalid("parse image configuration").with_cause(error))?;
        let layers = config.rootfs.diff_ids.len();
        if layers > MOST_LAYERS {
            return Err(Error::invalid(format!("the image has {layers} layers; {MOST_LAYERS} are the limit")));
        }
        if config.rootfs.kind != "layers" {
            return Err(Error::invalid(format!("unknown type of root file system: {:?}", config.rootfs.kind)));
        }
        Ok(config)
    }

    /// For which machines it is.
    #[must_use]
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            variant: self.variant.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_go_writes_is_read() {
        let text = r#"{"architecture":"amd64","os":"linux","created":"2024-01-01T00:00:00Z","config":{"Env":["A=1"],
            "Cmd":null,"ExposedPorts":{"80/tcp":{}},"Healthcheck":{"Test":["CMD","true"],"Interval":30000000000},
            "Unknown":{"kept":"not"}},"history":null,"rootfs":{"type":"layers","diff_ids":null}}"#;
        let config = ImageConfig::parse(text.as_bytes()).expect("good");
        assert_eq!(config.config.env, Some(vec!["A=1".to_owned()]));
        assert_eq!(config.config.cmd, None);
        assert_eq!(config.config.healthcheck.expect("there").interval, 30_000_000_000);
        assert!(config.history.is_empty() && config.rootfs.diff_ids.is_empty());
    }

    #[test]
    fn hostile_configurations_are_refused() {
        let many = vec![Digest::of(b""); MOST_LAYERS + 1];
        let config = ImageConfig { rootfs: RootFs { diff_ids: many, ..RootFs::default() }, ..ImageConfig::default() };
        let bytes = serde_json::to_vec(&config).expect("plain data");
        assert!(ImageConfig::parse(&bytes).expect_err("too many").to_string().contains("501 layers"));
        assert!(ImageConfig::parse(&vec![b' '; LARGEST + 1]).is_err());
        assert!(ImageConfig::parse(br#"{"architecture":"a","os":"b","rootfs":{"type":"other"}}"#).is_err());
        for text in ["", "[]", "{}", "null", "{\"rootfs\":1}"] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ImageConfig::parse(&bytes);
        }

        #[test]
        fn configurations_round_trip(user in "[a-z]{0,8}", env in proptest::option::of(proptest::collection::vec("[A-Z]=[a-z]*", 0..4))) {
            let inner = ContainerConfig { user, env, ..ContainerConfig::default() };
            let config = ImageConfig { config: inner, ..ImageConfig::default() };
            let bytes = serde_json::to_vec(&config).unwrap();
            prop_assert_eq!(ImageConfig::parse(&bytes).unwrap(), config);
        }
    }
}
