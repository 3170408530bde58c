//! Manifests and indexes, of OCI and of Docker (OCI image-spec, manifest.md, image-index.md, descriptor.md).

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::json::{document, nullable};
use crate::{Digest, Platform, media};

/// A reference to a piece of content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    #[serde(default)]
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Where else it can be had.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Anything else.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// A descriptor of content that is at hand.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }

    /// The same with an annotation.
    #[must_use]
    pub fn with_annotation(mut self, key: &str, value: impl Into<String>) -> Self {
        self.annotations.insert(key.to_owned(), value.into());
        self
    }
}

/// Annotation of a descriptor in `index.json`: the tag, or in newer archives the whole name.
pub const ANNOTATION_REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Annotation of a descriptor in `index.json` that containerd and Docker write: the whole name.
pub const ANNOTATION_IMAGE_NAME: &str = "io.containerd.image.name";
/// Annotation that `BuildKit` puts on descriptors of what is not an image (`attestation-manifest`).
pub const ANNOTATION_REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The parts of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// OCI's or Docker's; OCI allows to leave it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What kind of artifact, if it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image's config.
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(default, deserialize_with = "nullable")]
    pub layers: Vec<Descriptor>,
    /// What it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Anything else.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, or of further lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// OCI's or Docker's; OCI allows to leave it out.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The manifests.
    #[serde(default, deserialize_with = "nullable")]
    pub manifests: Vec<Descriptor>,
    /// Anything else.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The fields that tell what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Parses a manifest.
    ///
    /// # Errors
    /// Invalid when it is not one, or could also be read as an index (CVE-2021-41190).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let shape = Shape::parse(bytes, "manifest")?;
        if shape.manifests.is_some() {
            return Err(Error::invalid("ambiguous manifest: it is also an index"));
        }
        shape.expect_media_type("manifest", media::is_manifest)?;
        document("manifest", bytes)
    }

    /// An OCI manifest of these parts.
    #[must_use]
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: media::OCI_MANIFEST.to_owned(),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }
}

impl Index {
    /// Parses an index or a manifest list.
    ///
    /// # Errors
    /// Invalid when it is not one, or could also be read as a manifest (CVE-2021-41190).
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let shape = Shape::parse(bytes, "index")?;
        if shape.config.is_some() || shape.layers.is_some() {
            return Err(Error::invalid("ambiguous index: it is also a manifest"));
        }
        shape.expect_media_type("index", media::is_index)?;
        document("index", bytes)
    }

    /// The entry that fits a platform best; entries that do not say theirs fit any, but come last.
    #[must_use]
    pub fn select(&self, wanted: &Platform) -> Option<&Descriptor> {
        let exact = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|platform| platform.matches(wanted));
        let silent = |entry: &&Descriptor| entry.platform.is_none();
        self.manifests.iter().find(exact).or_else(|| self.manifests.iter().find(silent))
    }

    /// An OCI index of these manifests.
    #[must_use]
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        let media_type = media::OCI_INDEX.to_owned();
        Self { schema_version: 2, media_type, manifests, annotations: BTreeMap::new() }
    }
}

impl Shape {
    fn parse(bytes: &[u8], what: &str) -> Result<Self> {
        let shape: Self = document(what, bytes)?;
        match shape.schema_version {
            2 => Ok(shape),
            1 => Err(Error::not_implemented(format!("{what} of schema version 1 is no longer supported"))
                .with_hint("push the image again with a newer client, or convert it with `skopeo copy`")),
            other => Err(Error::invalid(format!("invalid {what}: schema version {other}"))),
        }
    }

    fn expect_media_type(&self, what: &str, known: fn(&str) -> bool) -> Result<()> {
        match self.media_type.as_deref() {
            None | Some("") => Ok(()),
            Some(media_type) if known(media_type) => Ok(()),
            Some(media_type) => {
                Err(Error::not_implemented(format!("unsupported media type {media_type:?} of a {what}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dhow_errdefs::Class;

    use super::*;

    fn descriptor(media_type: &str) -> Descriptor {
        Descriptor::new(media_type, Digest::of(b"x"), 1)
    }

    #[test]
    fn documents_round_trip() {
        let manifest = Manifest::new(descriptor(media::OCI_CONFIG), vec![descriptor(media::OCI_LAYER)]);
        let bytes = serde_json::to_vec(&manifest).expect("JSON");
        assert_eq!(Manifest::parse(&bytes).expect("good"), manifest);
        let index = Index::new(vec![descriptor(media::OCI_MANIFEST).with_annotation(ANNOTATION_REF_NAME, "latest")]);
        let bytes = serde_json::to_vec(&index).expect("JSON");
        assert_eq!(Index::parse(&bytes).expect("good"), index);
    }

    #[test]
    fn what_could_be_two_things_is_refused() {
        let digest = Digest::of(b"");
        let part = format!(r#"{{"mediaType":"x","digest":"{digest}","size":0}}"#);
        let both = format!(r#"{{"schemaVersion":2,"config":{part},"layers":[],"manifests":[]}}"#);
        assert!(Manifest::parse(both.as_bytes()).unwrap_err().to_string().contains("ambiguous"));
        assert!(Index::parse(both.as_bytes()).unwrap_err().to_string().contains("ambiguous"));
    }

    #[test]
    fn other_documents_are_refused_with_their_class() {
        let class = |text: &str| Manifest::parse(text.as_bytes()).unwrap_err().class();
        assert_eq!(class("{"), Class::InvalidArgument);
        assert_eq!(class(r#"{"schemaVersion":2}"#), Class::InvalidArgument);
        assert_eq!(class(r#"{"schemaVersion":1}"#), Class::NotImplemented);
        assert_eq!(class(r#"{"schemaVersion":2,"mediaType":"application/x"}"#), Class::NotImplemented);
        let digest = Digest::of(b"");
        let negative = format!(r#"{{"schemaVersion":2,"config":{{"digest":"{digest}","size":-1}}}}"#);
        assert_eq!(class(&negative), Class::InvalidArgument);
        assert_eq!(class(r#"{"schemaVersion":2,"config":{"digest":"md5:00","size":1}}"#), Class::InvalidArgument);
    }

    #[test]
    fn an_index_gives_the_entry_for_a_platform() {
        let entry = |platform: &str| Descriptor {
            platform: platform.parse().ok(),
            ..Descriptor::new(media::OCI_MANIFEST, Digest::of(platform.as_bytes()), 1)
        };
        let index = Index::new(vec![entry("linux/arm/v6"), entry("linux/arm/v7"), entry("linux/arm64/v8")]);
        let chosen = |platform: &str| index.select(&platform.parse().expect("good")).map(|entry| entry.digest);
        assert_eq!(chosen("linux/arm"), Some(Digest::of(b"linux/arm/v7")));
        assert_eq!(chosen("linux/arm64"), Some(Digest::of(b"linux/arm64/v8")));
        assert_eq!(chosen("linux/s390x"), None);
    }

    #[test]
    fn null_is_an_empty_list() {
        let index = Index::parse(br#"{"schemaVersion":2,"manifests":null,"annotations":null}"#).expect("good");
        assert!(index.manifests.is_empty());
    }
}
