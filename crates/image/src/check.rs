//! Whether what is recorded is there and whole; and healing: layers from their blobs, blobs from their registries.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, Reference};
use dhow_store::{ImageRecord, LayerRecord, Lease};

use crate::images::Images;
use crate::name::{Names, familiar};
use crate::registry::{Access, Credentials, Fetch, Registries};

/// How to check.
#[derive(Debug, Default, Clone, Copy)]
pub struct CheckOptions<'a> {
    /// Every byte, and not only what is there and how long it is.
    pub deep: bool,
    /// Heal what can be healed.
    pub repair: Option<Repair<'a>>,
}

/// Where blobs come from that are healed.
#[derive(Debug, Clone, Copy)]
pub struct Repair<'a> {
    /// The registries.
    pub registries: &'a Registries,
    /// What is shown to each, by its host. Whoever is not named is asked as anybody may.
    pub credentials: &'a BTreeMap<String, Credentials>,
}

/// What a check looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Images.
    pub images: usize,
    /// Unpacked layers.
    pub layers: usize,
    /// Blobs that images need.
    pub blobs: usize,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What kind of thing it is.
    pub kind: FaultKind,
    /// Its digest: of a blob, or the chain ID of a layer.
    pub digest: Digest,
    /// What is wrong with it.
    pub what: String,
    /// The images that need it, by name or ID.
    pub images: Vec<String>,
    /// What came of healing it: from where, or why not. None where nobody asked for it.
    pub healed: Option<Result<String, String>>,
}

/// Kinds of things that can be damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// A blob.
    Blob,
    /// An unpacked layer.
    Layer,
}

/// A blob that images need.
#[derive(Debug, Default)]
struct Needed {
    size: Option<u64>,
    /// It is a config, a manifest or an index: small, and always read.
    document: bool,
    images: Vec<String>,
    /// Names of those images: where the registries are that may have it.
    names: Vec<Reference>,
}

impl Images {
    /// Compares everything that is recorded of images with what is on the disk.
    ///
    /// # Errors
    /// What the database says; damage is no error.
    pub fn check(&self, options: CheckOptions<'_>) -> Result<Checked> {
        let lease = self.store().lease();
        let images = self.with_names()?;
        let needed = needed(&images);
        let layers = self.store().metadata().layers()?;
        let mut checked =
            Checked { images: images.len(), layers: layers.len(), blobs: needed.len(), faults: Vec::new() };
        for (digest, needed) in &needed {
            let Some(what) = self.blob_fault(&lease, digest, needed, options.deep) else { continue };
            let healed = options
                .repair
                .map(|repair| self.fetch_again(&lease, repair, digest, needed).map_err(|error| error.to_string()));
            let images = needed.images.clone();
            checked.faults.push(Fault { kind: FaultKind::Blob, digest: *digest, what, images, healed });
        }
        for layer in &layers {
            self.store().layers().hold(&lease, &layer.chain_id)?;
            let Some(what) = self.layer_fault(layer, options.deep) else { continue };
            let healed = options.repair.map(|_| {
                self.unpack_again(layer, &images).map(|()| "its blob".to_owned()).map_err(|error| error.to_string())
            });
            let images = standing_on(layer, &images).map(|(image, names)| called(image, names)).collect();
            checked.faults.push(Fault { kind: FaultKind::Layer, digest: layer.chain_id, what, images, healed });
        }
        if checked.faults.iter().any(|fault| matches!(fault.healed, Some(Ok(_)))) {
            self.store().content().sync()?;
        }
        Ok(checked)
    }

    fn blob_fault(&self, lease: &Lease, digest: &Digest, needed: &Needed, deep: bool) -> Option<String> {
        let content = self.store().content();
        match content.hold(lease, digest) {
            Err(error) => Some(error.to_string()),
            Ok(None) => Some("is missing".to_owned()),
            Ok(Some(found)) => match needed.size {
                Some(size) if size != found.size => Some(format!("has {} bytes, expected {size}", found.size)),
                _ if !deep && !needed.document => None,
                _ => match content.verify(digest) {
                    Ok(true) => None,
                    Ok(false) => Some("has other contents".to_owned()),
                    Err(error) => Some(error.to_string()),
                },
            },
        }
    }

    fn layer_fault(&self, layer: &LayerRecord, deep: bool) -> Option<String> {
        let layers = self.store().layers();
        let damage = if deep { layers.verify(layer) } else { layers.look_over(layer) };
        match damage {
            Err(error) => Some(error.to_string()),
            Ok(damage) => {
                let first = damage.first()?;
                let more = if damage.len() > 1 { format!(" (and {} more)", damage.len() - 1) } else { String::new() };
                Some(format!("{} {}{more}", first.path.display(), first.what))
            }
        }
    }

    fn unpack_again(&self, layer: &LayerRecord, images: &[(ImageRecord, Names)]) -> Result<()> {
        let of = |image: &ImageRecord| {
            image.layers.iter().find(|part| part.chain_id == layer.chain_id).map(|part| part.blob)
        };
        let blobs: BTreeSet<Digest> = images.iter().filter_map(|(image, _)| of(image)).collect();
        let mut last = Error::not_found("no image has the blob it came from");
        for blob in blobs {
            match self.store().content().reader(&blob).and_then(|file| self.store().layers().heal(layer, file)) {
                Ok(()) => return Ok(()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Fetches a blob from one of the registries in which images that need it have a name. Says from which.
    fn fetch_again(&self, lease: &Lease, repair: Repair<'_>, digest: &Digest, needed: &Needed) -> Result<String> {
        let mut last = Error::not_found("no image that needs it has a name in a registry");
        let mut asked = BTreeSet::new();
        for name in needed.names.iter().filter(|name| asked.insert(name.name())) {
            match self.fetch_from(lease, repair, name, (digest, needed.size)) {
                Ok(()) => return Ok(name.registry().to_owned()),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn fetch_from(
        &self,
        lease: &Lease,
        repair: Repair<'_>,
        name: &Reference,
        (digest, size): (&Digest, Option<u64>),
    ) -> Result<()> {
        let content = self.store().content();
        let credentials = repair.credentials.get(name.registry()).unwrap_or(&Credentials::Anonymous);
        repair.registries.with_repository(name, Access::Pull, credentials, |repository| {
            let mut ingest = content.ingest(self.room()?)?;
            let mut keep = |bytes: &[u8]| ingest.write_all(bytes).context(|| "keep a blob");
            match size {
                Some(size) => {
                    let mut fetch = Fetch::new(repository, (*digest, size), false);
                    while let piece = fetch.piece()?
                        && !piece.is_empty()
                    {
                        keep(&piece)?;
                    }
                }
                None => keep(&repository.document(digest)?)?,
            }
            ingest.commit(lease, Some(digest), size).map(drop)
        })
    }

    /// Takes away those blobs of an image that were changed since it got its name and are not what they were, so that they
    /// are fetched again. Says whether there were none.
    pub(crate) fn blobs_are_sound(&self, image: &ImageRecord) -> Result<bool> {
        let named = self.store().metadata().tags_of(&image.id)?.iter().map(|name| name.tagged).min();
        let Some(named) = named else { return Ok(true) };
        let (content, mut sound) = (self.store().content(), true);
        for layer in &image.layers {
            if content.changed(&layer.blob)? > named && !content.verify(&layer.blob)? {
                content.delete(&layer.blob)?;
                sound = false;
            }
        }
        Ok(sound)
    }

    /// Heals the layers of an image whose blobs are known to be whole, where something is missing, has another size, or was
    /// changed.
    pub(crate) fn heal_layers(&self, image: &ImageRecord) -> Result<()> {
        for part in &image.layers {
            let Some(layer) = self.store().metadata().layer(&part.chain_id)? else { continue };
            if self.layer_fault(&layer, false).is_some() {
                self.store().layers().heal(&layer, self.store().content().reader(&part.blob)?)?;
            }
        }
        Ok(())
    }
}

fn standing_on<'a>(
    layer: &'a LayerRecord,
    images: &'a [(ImageRecord, Names)],
) -> impl Iterator<Item = &'a (ImageRecord, Names)> {
    images.iter().filter(|(image, _)| image.layers.iter().any(|part| part.chain_id == layer.chain_id))
}

/// What a person calls an image.
fn called(image: &ImageRecord, names: &Names) -> String {
    familiar(&names.tags).into_iter().next().unwrap_or_else(|| image.id.to_string())
}

fn needed(images: &[(ImageRecord, Names)]) -> BTreeMap<Digest, Needed> {
    let mut all: BTreeMap<Digest, Needed> = BTreeMap::new();
    for (image, names) in images {
        let layers = image.layers.iter().map(|layer| (layer.blob, Some(layer.blob_size)));
        let documents = [image.id].into_iter().chain(image.manifest).chain(image.blobs.iter().copied());
        for (digest, size) in layers.chain(documents.map(|digest| (digest, None))) {
            let needed = all.entry(digest).or_default();
            needed.size = needed.size.or(size);
            needed.document |= size.is_none();
            let name = called(image, names);
            if !needed.images.contains(&name) {
                needed.images.push(name);
            }
            needed.names.extend(names.digests.iter().chain(&names.tags).cloned());
        }
    }
    all
}
