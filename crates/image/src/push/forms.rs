//! What is known of an image's layers in registries, from the manifests that images here came or went with.

use std::collections::{BTreeMap, BTreeSet};

use dhow_errdefs::Result;
use dhow_oci::{Descriptor, Digest, Index, Manifest, Reference};
use dhow_store::ImageRecord;

use crate::images::Images;
use crate::name::Names;

/// Repositories that are asked for a blob before it is sent; a registry that has none of them costs a request each.
const MOST_SOURCES: usize = 3;

/// What is known about where the layers of an image are.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The forms in which a layer went out, by diff ID.
    forms: BTreeMap<Digest, Vec<Descriptor>>,
    /// Other repositories of the registry which have a blob.
    sources: BTreeMap<Digest, BTreeSet<String>>,
    /// The image's own manifest is in a registry.
    pub(super) stands_in_a_registry: bool,
}

impl Known {
    /// Looks through the images that share a layer with this one.
    pub(super) fn collect(images: &Images, image: &ImageRecord, target: &Reference) -> Result<Self> {
        let mut known = Self::default();
        let wanted: BTreeSet<Digest> = image.layers.iter().map(|layer| layer.diff_id).collect();
        for (other, names) in images.with_names()? {
            if !other.layers.iter().any(|layer| wanted.contains(&layer.diff_id)) {
                continue;
            }
            let repositories = repositories(&names, target);
            for (_, manifest) in manifests(images, &other) {
                known.add(&other, &manifest, &wanted, &repositories);
            }
            if other.id == image.id {
                known.stands_in_a_registry = stands_in_a_registry(images, &other, &names);
            }
        }
        Ok(known)
    }

    fn add(&mut self, image: &ImageRecord, manifest: &Manifest, wanted: &BTreeSet<Digest>, repositories: &[String]) {
        for (layer, descriptor) in image.layers.iter().zip(&manifest.layers) {
            if !wanted.contains(&layer.diff_id) {
                continue;
            }
            let forms = self.forms.entry(layer.diff_id).or_default();
            if !forms.contains(descriptor) {
                forms.push(descriptor.clone());
            }
            self.sources.entry(descriptor.digest).or_default().extend(repositories.iter().cloned());
        }
    }

    /// The form of that media type in which a layer went out before.
    pub(super) fn form(&self, diff_id: &Digest, media_type: &str) -> Option<&Descriptor> {
        self.forms.get(diff_id)?.iter().find(|form| form.media_type == media_type)
    }

    /// Repositories that should have a blob.
    pub(super) fn sources(&self, blob: &Digest) -> impl Iterator<Item = &str> {
        self.sources.get(blob).into_iter().flatten().take(MOST_SOURCES).map(String::as_str)
    }

    /// All repositories from which something may be taken over.
    pub(super) fn repositories(&self) -> Vec<String> {
        let all: BTreeSet<&str> = self.sources.keys().flat_map(|blob| self.sources(blob)).collect();
        all.into_iter().map(str::to_owned).collect()
    }
}

/// Repositories of the same registry in which an image stands, other than the target.
fn repositories(names: &Names, target: &Reference) -> Vec<String> {
    let same = |name: &&Reference| name.registry() == target.registry() && name.repository() != target.repository();
    names.digests.iter().filter(same).map(|name| name.repository().to_owned()).collect()
}

/// The manifests of an image that are kept here.
fn manifests(images: &Images, image: &ImageRecord) -> Vec<(Digest, Manifest)> {
    let documents = image.manifest.iter().chain(&image.blobs);
    let read = documents.filter_map(|digest| {
        let manifest = Manifest::parse(&images.store().content().read(digest).ok()?).ok()?;
        (manifest.config.digest == image.id && manifest.layers.len() == image.layers.len())
            .then_some((*digest, manifest))
    });
    read.collect()
}

/// Whether the manifest that an image came with has a name, by its own digest or by that of an index.
fn stands_in_a_registry(images: &Images, image: &ImageRecord, names: &Names) -> bool {
    let named = |digest: &Digest| names.digests.iter().any(|name| name.digest() == Some(digest));
    let is_index = |digest: &&Digest| images.store().content().read(digest).is_ok_and(|it| Index::parse(&it).is_ok());
    image.manifest.as_ref().is_some_and(named) || image.blobs.iter().filter(is_index).any(named)
}
