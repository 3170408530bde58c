//! What ties blobs together: descriptors, manifests, indexes (OCI image-spec; Docker image manifest v2, schema 2).

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{Digest, Platform};

/// Media types that dhow understands.
pub mod media_type {
    /// OCI index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image configuration.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, not compressed.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker image configuration.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, not compressed.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer, zstd.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";

    /// Whether it names an index or a manifest list.
    #[must_use]
    pub fn is_index(text: &str) -> bool {
        matches!(text, OCI_INDEX | DOCKER_LIST)
    }

    /// Whether it names a manifest of one image.
    #[must_use]
    pub fn is_manifest(text: &str) -> bool {
        matches!(text, OCI_MANIFEST | DOCKER_MANIFEST)
    }

    /// Whether it names an image configuration.
    #[must_use]
    pub fn is_config(text: &str) -> bool {
        matches!(text, OCI_CONFIG | DOCKER_CONFIG)
    }

    /// Whether it names a layer that can be unpacked. Foreign (non-distributable) layers cannot.
    #[must_use]
    pub fn is_layer(text: &str) -> bool {
        matches!(
            text,
            OCI_LAYER | OCI_LAYER_GZIP | OCI_LAYER_ZSTD | DOCKER_LAYER | DOCKER_LAYER_GZIP | DOCKER_LAYER_ZSTD
        )
    }
}

/// The annotation under which an index of an OCI layout names an image's tag.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotation under which containerd and Docker name an image in full.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";

/// A pointer to content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Where else it can be fetched: only foreign layers have that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For which machines, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

impl Descriptor {
    /// A pointer to these bytes.
    #[must_use]
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// A pointer to content that is known by digest and size.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        let (urls, annotations) = (Vec::new(), BTreeMap::new());
        Self { media_type: media_type.to_owned(), digest, size, urls, annotations, platform: None }
    }
}

/// The parts of one image: a configuration and layers, bottom first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// Which of the two formats it is; older OCI manifests do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The image's configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Descriptor>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An OCI manifest.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        let media_type = Some(media_type::OCI_MANIFEST.to_owned());
        Self { schema_version: 2, media_type, config, layers, annotations: BTreeMap::new() }
    }

    /// Parses a manifest of an image that can be run.
    ///
    /// # Errors
    /// Invalid for other schema versions, artifacts that are no images, and layers that cannot be had or unpacked.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = parse_json("manifest", bytes)?;
        if manifest.schema_version != 2 {
            return Err(unsupported_schema(manifest.schema_version));
        }
        if !media_type::is_config(&manifest.config.media_type) {
            let kind = &manifest.config.media_type;
            return Err(Error::invalid(format!(
                "the manifest is of no container image: its configuration is {kind:?}"
            )));
        }
        for layer in &manifest.layers {
            if !media_type::is_layer(&layer.media_type) {
                let message = format!("layer {} has the media type {:?}", layer.digest, layer.media_type);
                return Err(Error::invalid(message).with_hint("dhow takes tar layers, plain or with gzip or zstd"));
            }
        }
        Ok(manifest)
    }
}

/// Manifests by platform, or the entry of an OCI layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// Which of the two formats it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it points to.
    pub manifests: Vec<Descriptor>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        let media_type = Some(media_type::OCI_INDEX.to_owned());
        Self { schema_version: 2, media_type, manifests, annotations: BTreeMap::new() }
    }

    /// Parses an index or a manifest list.
    ///
    /// # Errors
    /// Invalid for other schema versions and for text that is no index.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let index: Self = parse_json("index", bytes)?;
        if index.schema_version == 2 { Ok(index) } else { Err(unsupported_schema(index.schema_version)) }
    }

    /// The entry that fits a platform best: the same variant before one without.
    #[must_use]
    pub fn select(&self, wanted: &Platform) -> Option<&Descriptor> {
        let fitting = self.manifests.iter().filter(|entry| entry.platform.as_ref().is_none_or(|it| it.fits(wanted)));
        fitting.max_by_key(|entry| entry.platform.as_ref().map_or(0, |it| 1 + u32::from(it.variant == wanted.variant)))
    }
}

fn unsupported_schema(version: u32) -> Error {
    Error::invalid(format!("schema version {version} of manifests is not supported"))
        .with_hint("save or push the image again with a current tool")
}

fn parse_json<T: serde::de::DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::invalid(format!("parse {what}")).with_cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(kind: &str) -> Descriptor {
        Descriptor::of(kind, b"layer")
    }

    #[test]
    fn manifests_round_trip() {
        let config = Descriptor::of(media_type::OCI_CONFIG, b"{}");
        let manifest = Manifest::new(config, vec![layer(media_type::OCI_LAYER_ZSTD)]);
        let bytes = serde_json::to_vec(&manifest).expect("it is plain data");
        assert_eq!(Manifest::parse(&bytes).expect("good"), manifest);
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_reason() {
        let refused = |manifest: &Manifest| {
            Manifest::parse(&serde_json::to_vec(manifest).expect("plain data")).expect_err("bad").to_string()
        };
        let config = || Descriptor::of(media_type::OCI_CONFIG, b"{}");
        let foreign = Manifest::new(config(), vec![layer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")]);
        assert!(refused(&foreign).contains("foreign"));
        let artifact = Manifest::new(layer("application/vnd.example"), Vec::new());
        assert!(refused(&artifact).contains("no container image"));
        let old = Manifest { schema_version: 1, ..Manifest::new(config(), Vec::new()) };
        assert!(refused(&old).contains("schema version 1"));
        assert!(Manifest::parse(b"not json").is_err());
    }

    #[test]
    fn an_index_gives_the_entry_for_a_platform() {
        let entry = |text: &str| {
            let platform = Some(text.parse().expect("a platform"));
            Descriptor { platform, ..Descriptor::of(media_type::OCI_MANIFEST, text.as_bytes()) }
        };
        let index =
            Index::new(vec![entry("linux/amd64"), entry("linux/arm/v6"), entry("linux/arm/v7"), entry("linux/arm64")]);
        let chosen = |text: &str| {
            let wanted = text.parse().expect("a platform");
            index.select(&wanted).map(|entry| entry.platform.clone().expect("it has one").to_string())
        };
        assert_eq!(chosen("linux/amd64").as_deref(), Some("linux/amd64"));
        assert_eq!(chosen("linux/arm/v7").as_deref(), Some("linux/arm/v7"));
        assert_eq!(chosen("linux/s390x"), None);
    }
}
