//! The documents that say what an archive has.

use std::collections::BTreeMap;

use dhow_oci::{ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, Descriptor, Digest, Index};
use serde::Serialize;

use super::{Saved, repo_tags};

/// One image of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
    layer_sources: BTreeMap<Digest, &'a Descriptor>,
}

/// All documents by name, in the order in which they are written.
pub(super) fn all(saved: &[Saved]) -> Vec<(&'static str, Vec<u8>)> {
    let mut documents = vec![("index.json", index(saved)), ("manifest.json", manifest(saved))];
    documents.push(("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()));
    let repositories = repositories(saved);
    if !repositories.is_empty() {
        documents.push(("repositories", json(&repositories)));
    }
    documents
}

/// A document as it is written.
pub(super) fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).expect("texts, numbers and maps with text keys can always be written")
}

fn index(saved: &[Saved]) -> Vec<u8> {
    let entries = saved.iter().flat_map(|image| {
        let named = image.tags.iter().map(|tag| {
            let tag_alone = tag.tag().unwrap_or_default();
            image
                .manifest
                .clone()
                .with_annotation(ANNOTATION_IMAGE_NAME, tag.canonical())
                .with_annotation(ANNOTATION_REF_NAME, tag_alone)
        });
        let nameless = image.tags.is_empty().then(|| image.manifest.clone());
        named.chain(nameless)
    });
    json(&Index::new(entries.collect()))
}

fn manifest(saved: &[Saved]) -> Vec<u8> {
    json(&saved.iter().map(entry).collect::<Vec<_>>())
}

fn entry(image: &Saved) -> Entry<'_> {
    Entry {
        config: path(&image.config.digest),
        repo_tags: repo_tags(&image.tags),
        layers: image.layers.iter().map(|layer| path(&layer.descriptor.digest)).collect(),
        layer_sources: image.layers.iter().map(|layer| (layer.diff_id, &layer.descriptor)).collect(),
    }
}

/// For readers of the first years: names with tags, and the topmost layer of each.
fn repositories(saved: &[Saved]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut repositories: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for image in saved {
        let Some(top) = image.layers.last() else { continue };
        for name in &image.tags {
            let tag = name.tag().unwrap_or_default().to_owned();
            repositories.entry(name.familiar_name()).or_default().insert(tag, top.descriptor.digest.hex());
        }
    }
    repositories
}

/// Where a blob is in the archive.
pub(super) fn path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
