//! Taking in the images of an archive.
//!
//! The archive may come through a pipe, its members in any order: documents are kept in memory, everything else goes
//! into the store, verified where its name is a digest, and what looks like a layer is unpacked on the way. When the archive has ended well, its documents are followed to
//! what they name; layers are unpacked; and all images are recorded together. A lease holds everything until then; what
//! nothing refers to afterwards is collected, which after a failure is all of it.

mod ahead;
mod archive;
mod docker;
mod layout;

use std::io::Read;

use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, Platform, Reference};
use dhow_store::{Durability, ImageRecord, Lease, Room, Transaction};

use crate::images::Images;
use crate::install::{Installer, Parts};
use crate::stream;
use archive::Archive;
use layout::Layout;

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Which image to take where an index has several; none: the host's.
    pub platform: Option<Platform>,
}

/// What happens during a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadEvent {
    /// A layer is being unpacked: Docker's `Loading layer`.
    Layer {
        /// Its diff ID.
        diff_id: Digest,
        /// Bytes of its blob read so far.
        current: u64,
        /// Bytes of its blob.
        total: u64,
    },
    /// A name was taken from another image: `The image NAME already exists, renaming the old one with ID ID to empty string`.
    Renamed {
        /// The name.
        name: String,
        /// The image that had it.
        before: Digest,
    },
    /// `Loaded image: NAME`.
    Image {
        /// The name as Docker prints it.
        name: String,
        /// The image.
        id: Digest,
    },
    /// `Loaded image ID: ID`, for an image without a name.
    ImageId(Digest),
}

impl LoadEvent {
    /// Docker's line for it, with a line feed; nothing for [`Layer`](Self::Layer).
    #[must_use]
    pub fn line(&self) -> Option<String> {
        match self {
            Self::Layer { .. } => None,
            Self::Renamed { name, before } => Some(format!(
                "The image {name} already exists, renaming the old one with ID {before} to empty string\n"
            )),
            Self::Image { name, .. } => Some(format!("Loaded image: {name}\n")),
            Self::ImageId(id) => Some(format!("Loaded image ID: {id}\n")),
        }
    }
}

impl Images {
    /// Takes in the images of an archive (Docker's or an OCI layout; plain, gzip or zstd) and returns their IDs.
    ///
    /// The archive is read once, from the beginning to the end.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for what is no image archive or a hostile one,
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) for a damaged or truncated one,
    /// [`ResourceExhausted`](dhow_errdefs::Class::ResourceExhausted) for one over a limit,
    /// [`NotImplemented`](dhow_errdefs::Class::NotImplemented) for kinds of content that dhow does not know. Nothing is
    /// left then.
    pub fn load(
        &self,
        archive: impl Read + Send,
        options: &LoadOptions,
        progress: &(dyn Fn(LoadEvent) + Sync),
    ) -> Result<Vec<Digest>> {
        let lease = self.store().lease();
        let loaded = self.load_leased(&lease, archive, options, progress);
        drop(lease);
        self.sweep();
        loaded.map_err(|error| self.on_which_disk(error))
    }

    /// Takes away what an archive brought and no image needs. What cannot be taken now goes with the next collection, and
    /// is no reason to call a load failed that went well, or to hide why one failed.
    pub(crate) fn sweep(&self) {
        if let Err(error) = self.store().collect() {
            tracing::warn!("what no image needs any more could not be taken away: {error}");
        }
    }

    fn load_leased(
        &self,
        lease: &Lease,
        archive: impl Read,
        options: &LoadOptions,
        progress: &(dyn Fn(LoadEvent) + Sync),
    ) -> Result<Vec<Digest>> {
        let (_, input) = stream::open(archive)?;
        let mut archive = Archive::read(self.store(), lease, input, self.room()?)?;
        let mut unpacked = archive.take_unpacked();
        let wanted = options.platform.clone().unwrap_or_else(Platform::host);
        let candidates = candidates(&Layout { store: self.store(), archive: &archive, wanted: &wanted })?;
        let layer = |diff_id, current, total| progress(LoadEvent::Layer { diff_id, current, total });
        let installer = Installer { store: self.store(), lease, progress: &layer, thorough: true };
        candidates.iter().flat_map(|candidate| &candidate.names).try_for_each(|name| self.allow_load(name))?;
        let mut images = Vec::with_capacity(candidates.len());
        for Candidate { parts, names } in candidates {
            let ready = parts.layers.iter().map(|layer| unpacked.remove(&layer.blob.digest)).collect();
            images.push((installer.install(&parts, ready)?, names));
        }
        self.publish(&images)?.into_iter().for_each(progress);
        Ok(images.into_iter().map(|(image, _)| image.id).collect())
    }

    /// The parts of an archive's only image, held by the lease and recorded nowhere.
    ///
    /// # Errors
    /// As [`load`](Self::load); `InvalidArgument` if there are several.
    pub(crate) fn only_parts(&self, lease: &Lease, archive: impl Read) -> Result<Parts> {
        let (_, input) = stream::open(archive)?;
        let archive = Archive::read(self.store(), lease, input, self.room()?)?;
        let wanted = Platform::host();
        let mut found = candidates(&Layout { store: self.store(), archive: &archive, wanted: &wanted })?;
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only.parts),
            _ => Err(Error::invalid("the archive has more or less than one image")),
        }
    }

    /// That an archive may bring an image of that name.
    fn allow_load(&self, name: &Reference) -> Result<()> {
        let policy = self.policy();
        policy.allow(name)?;
        match policy.signed(name) {
            Some(rule) => {
                Err(policy.refusal(name, rule, "wants a signature of it, which archives do not have: pull it"))
            }
            None => Ok(()),
        }
    }

    /// Says of a full disk which one that is.
    pub(crate) fn on_which_disk(&self, error: Error) -> Error {
        let (text, root) = (error.to_string(), self.store().root().display().to_string());
        let told = !text.contains("no space left on device") || text.contains(&root);
        if told { error } else { error.with_hint(format!("make room under {root}")) }
    }

    /// How much an archive may bring.
    pub(crate) fn room(&self) -> Result<Room> {
        Room::on_disk(self.store().root())
    }

    /// Records images with their names, all together.
    pub(crate) fn publish(&self, images: &[(ImageRecord, Vec<Reference>)]) -> Result<Vec<LoadEvent>> {
        let _names = self.lock_names();
        self.store().content().sync()?;
        self.store().metadata().transaction(Durability::Full, |transaction| {
            let mut events = Vec::new();
            for (image, names) in images {
                if !self.is_recorded(transaction, image)? {
                    transaction.put_image(image)?;
                }
                for name in names {
                    let before = transaction.set_tag(&name.canonical(), &image.id)?;
                    let name = name.familiar();
                    if let Some(before) = before.filter(|before| *before != image.id) {
                        events.push(LoadEvent::Renamed { name: name.clone(), before });
                    }
                    events.push(LoadEvent::Image { name, id: image.id });
                }
                if names.is_empty() {
                    events.push(LoadEvent::ImageId(image.id));
                }
            }
            Ok(events)
        })
    }

    /// Whether everything that the record of an image names is there.
    pub(crate) fn is_whole(&self, id: &Digest) -> Result<bool> {
        match self.store().metadata().image(id)? {
            Some(image) => self.has_blobs(&image),
            None => Ok(false),
        }
    }

    fn has_blobs(&self, image: &ImageRecord) -> Result<bool> {
        let content = self.store().content();
        let layers = image.layers.iter().map(|layer| (&layer.blob, Some(layer.blob_size)));
        let documents = [&image.id].into_iter().chain(&image.manifest).chain(&image.blobs).map(|blob| (blob, None));
        let mut blobs = layers.chain(documents);
        blobs.try_fold(true, |whole, (blob, size)| {
            let found = content.stat(blob)?;
            Ok(whole && found.is_some_and(|found| size.is_none_or(|size| size == found.size)))
        })
    }

    /// Whether the image is there already, whole, and the new record has nothing to add.
    fn is_recorded(&self, transaction: &Transaction, image: &ImageRecord) -> Result<bool> {
        let Some(known) = transaction.image(&image.id)? else { return Ok(false) };
        let whole = self.has_blobs(&known)?;
        // Layers in other blobs: those that are named are damaged.
        let nothing_new = image.layers == known.layers && image.blobs.iter().all(|blob| known.blobs.contains(blob));
        Ok(whole && nothing_new && (image.manifest.is_none() || image.manifest == known.manifest))
    }
}

/// An image that an archive says it has: its parts are in the store, nobody has looked into them yet.
#[derive(Debug)]
struct Candidate {
    parts: Parts,
    names: Vec<Reference>,
}

/// Docker's archives have been OCI layouts too since Docker 25: then `manifest.json` says which images there are.
fn candidates(layout: &Layout) -> Result<Vec<Candidate>> {
    let index = layout.archive.document("index.json");
    let Some(document) = layout.archive.document("manifest.json") else {
        let no_archive = || {
            Error::invalid("the archive has neither manifest.json nor index.json: it is no image archive")
                .with_hint("a root file system is taken in with `import`")
        };
        return layout.candidates(index.ok_or_else(no_archive)?);
    };
    let mut candidates = docker::candidates(layout.archive, document)?;
    let Some(index) = index else { return Ok(candidates) };
    for candidate in &mut candidates {
        candidate.parts.manifest = layout.manifest_for(index, &candidate.parts);
    }
    Ok(candidates)
}
