//! A file that describes devices (Container Device Interface 1.0, SPEC.md).

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::LinuxIntelRdt;
use serde::Deserialize;

use super::yaml::Node;

/// The whole file. A key that is not known is a mistake, as in Docker.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Document {
    pub(super) cdi_version: String,
    /// `vendor.com/class`.
    pub(super) kind: String,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) devices: Vec<Device>,
    /// What every container gets that has one of the devices.
    pub(super) container_edits: Edits,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) container_edits: Edits,
}

/// What is changed in a container that gets a device.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Edits {
    /// `NAME=value`.
    pub(super) env: Vec<String>,
    pub(super) device_nodes: Vec<DeviceNode>,
    pub(super) hooks: Vec<Hook>,
    pub(super) mounts: Vec<Mount>,
    pub(super) intel_rdt: Option<LinuxIntelRdt>,
    pub(super) additional_gids: Vec<u32>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceNode {
    pub(super) path: String,
    /// Empty: the same as in the container.
    pub(super) host_path: String,
    /// `b`, `c`, `u`, `p`; empty: as on the host.
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) major: i64,
    pub(super) minor: i64,
    pub(super) file_mode: Option<u32>,
    /// Some of `r`, `w`, `m`; empty: all.
    pub(super) permissions: String,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Mount {
    pub(super) host_path: String,
    pub(super) container_path: String,
    pub(super) options: Vec<String>,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Hook {
    pub(super) hook_name: String,
    pub(super) path: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    /// Seconds.
    pub(super) timeout: Option<i64>,
}

impl Document {
    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let step = || "failed to unmarshal CDI Spec";
        let node = Node::parse(text).context(step)?.ok_or_else(|| Error::invalid("no Spec data"))?;
        let document = Self::deserialize(&*node).map_err(|error| Error::invalid(error.to_string())).context(step)?;
        document.check().context(|| "invalid CDI Spec")?;
        Ok(document)
    }

    /// The changes of the file and of its devices.
    pub(super) fn all_edits(&self) -> impl Iterator<Item = &Edits> {
        [&self.container_edits].into_iter().chain(self.devices.iter().map(|device| &device.container_edits))
    }
}
