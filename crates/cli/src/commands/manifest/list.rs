//! Lists that are being made: a folder each, with a file for each manifest.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_api::distribution;
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Descriptor, Digest, Index, Reference, media};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, replace};
use crate::format::indent_by;

/// How Docker's client indents lists.
pub(super) const LIST_STEP: &str = "   ";

/// One manifest of a list, as Docker's client writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    #[serde(rename = "Ref")]
    pub(super) name: String,
    pub(super) descriptor: Descriptor,
    /// The manifest's bytes in base64.
    raw: String,
    #[serde(rename = "SchemaV2Manifest", default, skip_serializing_if = "Option::is_none")]
    docker: Option<Value>,
    #[serde(rename = "OCIManifest", default, skip_serializing_if = "Option::is_none")]
    oci: Option<Value>,
}

impl Entry {
    pub(super) fn new(name: &Reference, about: &distribution::Inspect, bytes: Vec<u8>) -> Result<Self> {
        let step = || format!("read the manifest of {}", name.familiar());
        let wrong = |cause| Error::data_loss(step()).with_cause(cause);
        let mut descriptor: Descriptor = serde_json::from_value(about.descriptor.clone()).map_err(wrong)?;
        if Digest::of(&bytes) != descriptor.digest {
            return Err(Error::conflict(format!("{} changed while it was read; try again", name.familiar())));
        }
        if let [platform] = about.platforms.as_slice() {
            descriptor.platform = Some(serde_json::from_value(platform.clone()).map_err(wrong)?);
        }
        let document: Value = serde_json::from_slice(&bytes).map_err(wrong)?;
        let (docker, oci) = match descriptor.media_type.as_str() {
            media::DOCKER_MANIFEST => (Some(document), None),
            _ => (None, Some(document)),
        };
        Ok(Self { name: name.canonical(), descriptor, raw: STANDARD.encode(bytes), docker, oci })
    }

    /// The manifest, byte for byte.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        STANDARD.decode(&self.raw).map_err(|cause| Error::data_loss(format!("read {}", self.name)).with_cause(cause))
    }

    pub(super) fn is_list(&self) -> bool {
        media::is_index(&self.descriptor.media_type)
    }
}

/// The folder of one list.
pub(super) struct List {
    name: Reference,
    folder: PathBuf,
}

impl List {
    pub(super) fn of(config: &Config, name: &Reference) -> Self {
        Self { name: name.clone(), folder: config.folder().join("manifests").join(file_name(name)) }
    }

    pub(super) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// The manifests in it, in the order of their files' names.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        let step = || format!("read manifest list {}", self.name.familiar());
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&self.folder).context(step)? {
            paths.push(entry.context(step)?.path());
        }
        paths.sort();
        paths
            .iter()
            .map(|path| {
                let text = fs::read(path).context(step)?;
                serde_json::from_slice(&text).map_err(|cause| Error::data_loss(step()).with_cause(cause))
            })
            .collect()
    }

    pub(super) fn entry(&self, name: &Reference) -> Result<Option<Entry>> {
        if !self.exists() {
            return Ok(None);
        }
        Ok(self.entries()?.into_iter().find(|entry| entry.name == name.canonical()))
    }

    pub(super) fn put(&self, entry: &Entry) -> Result<()> {
        let step = || format!("write manifest list {}", self.name.familiar());
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.folder).context(step)?;
        let text = serde_json::to_vec(entry).map_err(|cause| Error::internal(step()).with_cause(cause))?;
        replace(&self.folder.join(file_name(&Reference::parse(&entry.name)?)), &text, 0o644).context(step)
    }

    pub(super) fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.folder).context(|| format!("remove manifest list {}", self.name.familiar()))
    }
}

/// The document that a registry gets for these manifests.
pub(super) fn document(entries: &[Entry]) -> Result<String> {
    let mut index = Index::new(entries.iter().map(|entry| entry.descriptor.clone()).collect());
    if !entries.iter().all(|entry| entry.descriptor.media_type == media::OCI_MANIFEST) {
        media::DOCKER_INDEX.clone_into(&mut index.media_type);
    }
    let text = serde_json::to_string(&index).map_err(|cause| Error::internal("write a list").with_cause(cause))?;
    Ok(indent_by(&text, "", LIST_STEP))
}

/// A name that no file system minds, as Docker's client makes it.
fn file_name(name: &Reference) -> String {
    name.canonical().replace(':', "-").replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_those_of_files() {
        let name = Reference::parse("localhost:5000/a/b:1").unwrap();
        assert_eq!(file_name(&name), "localhost-5000_a_b-1");
    }

    #[test]
    fn a_list_is_ocis_only_if_all_of_it_is() {
        let entry = |kind: &str| Entry {
            name: "docker.io/library/a:1".into(),
            descriptor: Descriptor::new(kind, Digest::of(b""), 0),
            raw: String::new(),
            docker: None,
            oci: None,
        };
        assert!(document(&[entry(media::OCI_MANIFEST)]).unwrap().contains(media::OCI_INDEX));
        let mixed = [entry(media::OCI_MANIFEST), entry(media::DOCKER_MANIFEST)];
        assert!(document(&mixed).unwrap().contains(media::DOCKER_INDEX));
    }
}
