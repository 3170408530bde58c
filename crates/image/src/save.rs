//! Writing images into an archive.
//!
//! The archive is an OCI layout and a Docker archive at once, as Docker 25 and later make it: the same blobs, named by
//! `index.json` for the one and by `manifest.json` for the other. Blobs are written as they came, so that manifests and
//! IDs are the same when the archive is loaded; the same images make the same bytes. Only layers in zstd are written
//! uncompressed, under a manifest made for that, because Docker before 23 cannot read them.

mod archive;
mod documents;

use std::collections::BTreeMap;
use std::io::Write;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Descriptor, Digest, Manifest, Platform, Reference, media};
use dhow_store::{Blob, Compression, ImageLayer, ImageRecord, Lease};

use crate::images::Images;
use crate::name::{Names, familiar};
use crate::stream;

/// An image and the names it is to have in the archive.
#[derive(Debug)]
struct Selected {
    image: ImageRecord,
    tags: Vec<Reference>,
}

/// An image as the archive will have it.
#[derive(Debug)]
struct Saved {
    tags: Vec<Reference>,
    config: Descriptor,
    manifest: Descriptor,
    layers: Vec<SavedLayer>,
}

/// A layer as the archive will have it.
#[derive(Debug, Clone)]
struct SavedLayer {
    diff_id: Digest,
    descriptor: Descriptor,
}

/// A blob in the archive.
#[derive(Debug)]
struct Member {
    bytes: Bytes,
    /// Seconds since 1970. As in Docker's archives: of configs and layers when their image was made, of manifests none.
    made: u64,
}

/// Where the bytes of a blob come from.
#[derive(Debug)]
enum Bytes {
    /// A blob of the store.
    Stored(Blob),
    /// A blob of the store, uncompressed.
    Inflated { blob: Digest, size: u64 },
    /// Made for this archive.
    Made(Vec<u8>),
}

impl Bytes {
    fn size(&self) -> u64 {
        match self {
            Self::Stored(blob) => blob.size,
            Self::Inflated { size, .. } => *size,
            Self::Made(bytes) => bytes.len() as u64,
        }
    }
}

impl Images {
    /// Writes an archive with these images: names (one without a tag means all its tags), or IDs.
    ///
    /// Everything that can be missing is found out before the first byte is written; [`can_save`](Images::can_save)
    /// finds out the same for doors which must answer before they hand out a writer.
    ///
    /// # Errors
    /// As [`resolve`](Images::resolve), or what reading and writing say.
    pub fn save(&self, names: &[String], archive: impl Write) -> Result<()> {
        let lease = self.store().lease();
        let mut plan = Plan::new(self, &lease);
        let saved: Vec<Saved> =
            self.select(names)?.into_iter().map(|selected| plan.add(selected)).collect::<Result<_>>()?;
        archive::write(self.store(), &plan.blobs, plan.made, &documents::all(&saved), archive)
    }

    /// Whether all these names can be saved.
    ///
    /// # Errors
    /// As [`resolve`](Images::resolve), but that a name without a tag means all tags of its repository.
    pub fn can_save(&self, names: &[String]) -> Result<()> {
        self.select(names).map(drop)
    }

    /// Whether all that these names mean is for a platform.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when something is for another one.
    pub fn all_are_for(&self, names: &[String], platform: &Platform) -> Result<()> {
        let selected = self.select(names)?;
        selected.iter().try_for_each(|it| self.resolve_for(&it.image.id.to_string(), Some(platform)).map(drop))
    }

    /// The images in the order in which they are first named, each once with all names that were asked for.
    fn select(&self, names: &[String]) -> Result<Vec<Selected>> {
        let mut selected: Vec<Selected> = Vec::new();
        for text in names {
            let found = self.find(text)?;
            for (image, tag) in found {
                let place = match selected.iter().position(|known| known.image.id == image.id) {
                    Some(place) => place,
                    None => {
                        selected.push(Selected { image, tags: Vec::new() });
                        selected.len() - 1
                    }
                };
                let tags = &mut selected[place].tags;
                tags.extend(tag.filter(|tag| !tags.contains(tag)));
            }
        }
        if selected.is_empty() { Err(Error::invalid("no image to save was named")) } else { Ok(selected) }
    }

    fn find(&self, text: &str) -> Result<Vec<(ImageRecord, Option<Reference>)>> {
        if let Ok(name) = Reference::parse(text) {
            let whole_repository = name.tag().is_none() && name.digest().is_none();
            let mut tagged = Vec::new();
            for (image, names) in self.with_names()?.into_iter().filter(|_| whole_repository) {
                let tags = names.tags.into_iter().filter(|tag| tag.name() == name.name());
                tagged.extend(tags.map(|tag| (image.clone(), Some(tag))));
            }
            if !tagged.is_empty() {
                tagged.sort_by(|(_, left), (_, right)| left.cmp(right));
                return Ok(tagged);
            }
        }
        let image = self.resolve(text)?;
        let tags = Names::new(&self.store().metadata().tags_of(&image.id)?).tags;
        let tag = Reference::parse(text).ok().filter(|name| tags.contains(name));
        Ok(vec![(image, tag)])
    }
}

/// Writes an archive with one image that has no name, and need not be recorded: all of it is held by the lease.
pub(crate) fn write_one(images: &Images, lease: &Lease, image: ImageRecord, archive: impl Write) -> Result<()> {
    let mut plan = Plan::new(images, lease);
    let saved = plan.add(Selected { image, tags: Vec::new() })?;
    archive::write(images.store(), &plan.blobs, plan.made, &documents::all(&[saved]), archive)
}

/// Collects what the archive will have. All of it is held by the lease, so that nobody takes it away meanwhile.
struct Plan<'a> {
    images: &'a Images,
    lease: &'a Lease,
    blobs: BTreeMap<Digest, Member>,
    /// When the image was made that is being added, in seconds since 1970.
    made: u64,
}

impl<'a> Plan<'a> {
    fn new(images: &'a Images, lease: &'a Lease) -> Self {
        Self { images, lease, blobs: BTreeMap::new(), made: 0 }
    }

    fn add(&mut self, selected: Selected) -> Result<Saved> {
        let Selected { image, tags } = selected;
        self.made = image.created.try_into().unwrap_or(0);
        let layers = image.layers.iter().map(|layer| self.layer(layer)).collect::<Result<Vec<_>>>()?;
        let config = self.stored(&image.id, self.made)?;
        let config = Descriptor::new(media::OCI_CONFIG, config.digest, config.size);
        let manifest = match self.own_manifest(&image, &layers)? {
            Some(manifest) => manifest,
            None => self.made_manifest(&config, &layers),
        };
        Ok(Saved { tags, config, manifest, layers })
    }

    fn stored(&mut self, digest: &Digest, made: u64) -> Result<Blob> {
        let missing =
            || Error::data_loss(format!("blob {digest} is missing")).with_hint("remove the image and get it again");
        let blob = self.images.store().content().hold(self.lease, digest)?.ok_or_else(missing)?;
        self.put(*digest, Bytes::Stored(blob.clone()), made);
        Ok(blob)
    }

    fn layer(&mut self, layer: &ImageLayer) -> Result<SavedLayer> {
        let diff_id = layer.diff_id;
        let content = self.images.store().content();
        if content.hold(self.lease, &layer.blob)?.is_some() && content.compression(&layer.blob)? == Compression::Zstd {
            let (_, mut tar) = stream::open(content.reader(&layer.blob)?)?;
            let size = std::io::copy(&mut tar, &mut std::io::sink()).context(|| format!("read {}", layer.blob))?;
            self.put(diff_id, Bytes::Inflated { blob: layer.blob, size }, self.made);
            return Ok(SavedLayer { diff_id, descriptor: Descriptor::new(media::OCI_LAYER, diff_id, size) });
        }
        let blob = self.stored(&layer.blob, self.made)?;
        Ok(SavedLayer { diff_id, descriptor: Descriptor::new(oci_type(&layer.media_type), blob.digest, blob.size) })
    }

    /// What several images have comes once, with the time of the first.
    fn put(&mut self, digest: Digest, bytes: Bytes, made: u64) {
        self.blobs.entry(digest).or_insert(Member { bytes, made });
    }

    /// The manifest that the image came with, if it names the layers as they are written.
    fn own_manifest(&mut self, image: &ImageRecord, layers: &[SavedLayer]) -> Result<Option<Descriptor>> {
        let Some(digest) = image.manifest else { return Ok(None) };
        let manifest = Manifest::parse(&self.images.store().content().read(&digest)?)?;
        let digests = |layers: &[Descriptor]| layers.iter().map(|layer| layer.digest).collect::<Vec<_>>();
        let written: Vec<Descriptor> = layers.iter().map(|layer| layer.descriptor.clone()).collect();
        if manifest.config.digest != image.id || digests(&manifest.layers) != digests(&written) {
            return Ok(None);
        }
        let blob = self.stored(&digest, 0)?;
        let kind = if manifest.media_type.is_empty() { media::OCI_MANIFEST } else { &manifest.media_type };
        Ok(Some(Descriptor::new(kind, blob.digest, blob.size)))
    }

    fn made_manifest(&mut self, config: &Descriptor, layers: &[SavedLayer]) -> Descriptor {
        let layers = layers.iter().map(|layer| layer.descriptor.clone()).collect();
        let bytes = documents::json(&Manifest::new(config.clone(), layers));
        let descriptor = Descriptor::new(media::OCI_MANIFEST, Digest::of(&bytes), bytes.len() as u64);
        self.put(descriptor.digest, Bytes::Made(bytes), 0);
        descriptor
    }
}

/// OCI's word for a type of layers, in manifests that we make.
fn oci_type(media_type: &str) -> &str {
    match media_type {
        media::DOCKER_LAYER => media::OCI_LAYER,
        media::DOCKER_LAYER_GZIP => media::OCI_LAYER_GZIP,
        other => other,
    }
}

/// As Docker prints them; nothing for none.
fn repo_tags(tags: &[Reference]) -> Option<Vec<String>> {
    (!tags.is_empty()).then(|| familiar(tags))
}
