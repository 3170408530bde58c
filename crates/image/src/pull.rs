//! Pulling: a name of a registry becomes an image that is here.
//!
//! The manifest is fetched and verified, then the config, then the layers, several at once. A layer is hashed, kept and
//! unpacked while it comes: its bytes are read once. Nothing is recorded before everything is verified and on the disk.

mod flights;
mod layers;
mod signatures;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{
    ANNOTATION_REFERENCE_TYPE, Descriptor, Digest, Index, LARGEST_CONFIG, Manifest, Platform, Reference, media,
};
use dhow_store::{Blob, ImageRecord, Lease};

use crate::cancelled::Cancelled;
use crate::images::Images;
use crate::install::{Installer, Parts, same_length};
use crate::registry::{Access, Credentials, Found, Registries, Repository, Visit};

pub(crate) use flights::Flights;

/// Indexes in indexes; one is usual.
const DEEPEST: usize = 4;

/// How to pull.
pub struct PullOptions<'a> {
    /// Which image to take where there are several; none: the host's.
    pub platform: Option<Platform>,
    /// Who asks.
    pub credentials: Credentials,
    /// What has come until then is kept for the next one.
    pub cancelled: Cancelled<'a>,
}

/// What happens during a pull, in the order of Docker's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullEvent {
    /// `Pulling from REPOSITORY`.
    Begin(Reference),
    /// Something about a layer.
    Layer {
        /// The digest of its blob.
        blob: Digest,
        /// What.
        news: LayerNews,
    },
    /// `Digest: DIGEST`.
    Digest(Digest),
}

/// What happens to a layer that is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerNews {
    /// It will come.
    Announced,
    /// It is here already.
    Exists,
    /// So much of it has come: bytes so far, bytes in all.
    Downloading(u64, u64),
    /// All of it has come and is what it should be.
    Verified,
    /// It is unpacked.
    Complete,
}

/// What came of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The image's ID.
    pub image: Digest,
    /// The name it has now.
    pub name: Reference,
    /// It was not here before.
    pub fresh: bool,
}

impl Images {
    /// Fetches an image with everything that is missing of it, and gives it that name.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the registry does not have it or does not show it,
    /// [`Unavailable`](dhow_errdefs::Class::Unavailable) when it cannot be reached,
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when it sends something else than it promised,
    /// [`Cancelled`](dhow_errdefs::Class::Cancelled). Nothing is left then.
    pub fn pull(
        &self,
        registries: &Registries,
        name: &Reference,
        options: &PullOptions<'_>,
        progress: &(dyn Fn(PullEvent) + Sync),
    ) -> Result<Pulled> {
        self.policy().allow_use(name)?;
        let lease = self.store().lease();
        let PullOptions { credentials, cancelled, .. } = options;
        let visit =
            Visit { name, access: Access::Pull, credentials, sources: &[], insecure: false, cancelled: *cancelled };
        let pulled = registries.visit(visit, |repository| {
            Pull { images: self, flights: registries.flights(), repository, lease: &lease, options, progress }.run()
        });
        drop(lease);
        if pulled.is_err() {
            self.sweep();
        }
        pulled
    }
}

/// One pull at work.
struct Pull<'a> {
    images: &'a Images,
    flights: &'a Flights,
    repository: &'a Repository<'a>,
    lease: &'a Lease,
    options: &'a PullOptions<'a>,
    progress: &'a (dyn Fn(PullEvent) + Sync),
}

/// The manifest of one image, and the indexes through which it was found.
struct Chosen {
    manifest: Manifest,
    digest: Digest,
    indexes: Vec<Digest>,
}

impl Pull<'_> {
    fn run(&self) -> Result<Pulled> {
        let name = self.repository.name();
        let before = self.images.named(name)?;
        if let Some(pulled) = self.up_to_date(before)? {
            return Ok(pulled);
        }
        let top = self.repository.manifest(name.tag().unwrap_or_default(), name.digest())?;
        (self.progress)(PullEvent::Begin(name.clone()));
        let digest = top.digest;
        let signatures = self.signatures(&digest)?;
        let mut image = self.image(top)?;
        image.blobs.extend(signatures);
        let mut names = vec![name.with_digest(digest)];
        names.extend(name.tag().map(|tag| name.with_tag(tag)).transpose()?);
        let id = image.id;
        // Layers that were here already may be damaged; their blobs are not.
        self.images.heal_layers(&image)?;
        self.images.publish(&[(image, names)])?;
        (self.progress)(PullEvent::Digest(digest));
        Ok(Pulled { image: id, name: name.clone(), fresh: before != Some(id) })
    }

    /// The image that is here, if it is what the name means there, and whole.
    fn up_to_date(&self, here: Option<Digest>) -> Result<Option<Pulled>> {
        let name = self.repository.name();
        let Some(here) = here else { return Ok(None) };
        let digest = match (name.digest(), name.tag()) {
            (Some(digest), _) => Some(*digest),
            (None, Some(tag)) => self.repository.manifest_digest(tag),
            (None, None) => None,
        };
        let Some(digest) = digest else { return Ok(None) };
        let same = self.images.named(&name.with_digest(digest))? == Some(here);
        let fits = self.options.platform.as_ref().is_none_or(|wanted| self.is_for(&here, wanted));
        if !same || !fits || !self.images.is_whole(&here)? {
            return Ok(None);
        }
        let Some(image) = self.images.store().metadata().image(&here)? else { return Ok(None) };
        if !self.images.blobs_are_sound(&image)? {
            return Ok(None);
        }
        let policy = self.images.policy();
        if policy.signed(name).is_some_and(|rule| self.images.signed_here(&image, rule).is_err()) {
            return Ok(None);
        }
        self.images.heal_layers(&image)?;
        (self.progress)(PullEvent::Begin(name.clone()));
        (self.progress)(PullEvent::Digest(digest));
        Ok(Some(Pulled { image: here, name: name.clone(), fresh: false }))
    }

    fn is_for(&self, image: &Digest, wanted: &Platform) -> bool {
        self.images.config(image).is_ok_and(|config| config.platform().matches(wanted))
    }

    fn image(&self, top: Found) -> Result<ImageRecord> {
        let Chosen { manifest, digest, indexes } = self.choose(top)?;
        let config = self.config(&manifest.config)?;
        let diff_ids = &self.images.config(&config.digest)?.rootfs.diff_ids;
        same_length(diff_ids.len(), manifest.layers.len())?;
        let store = self.images.store();
        let installer = Installer { store, lease: self.lease, progress: &|_, _, _| {}, thorough: false };
        let (layers, unpacked) = self.layers(&installer, &manifest.layers, diff_ids)?;
        let parts = Parts { config, layers, manifest: Some(digest) };
        let mut image = installer.install(&parts, unpacked)?;
        image.blobs = indexes;
        Ok(image)
    }

    /// Follows indexes to the image that is wanted; all documents on the way are kept.
    fn choose(&self, top: Found) -> Result<Chosen> {
        let mut indexes = Vec::new();
        let mut found = top;
        loop {
            self.images.store().content().put(self.lease, &found.bytes)?;
            if !media::is_index(&found.media_type) {
                let manifest = self.manifest(&found)?;
                return Ok(Chosen { manifest, digest: found.digest, indexes });
            }
            if indexes.len() == DEEPEST {
                return Err(Error::invalid(format!("{} indexes in each other are too many", DEEPEST + 1)));
            }
            indexes.push(found.digest);
            let index = Index::parse(&found.bytes).context(|| format!("read index {}", found.digest))?;
            let entry = self.entry(index)?;
            found = self.repository.manifest("", Some(&entry.digest))?;
        }
    }

    fn entry(&self, mut index: Index) -> Result<Descriptor> {
        // Attestations of builders stand beside images.
        index.manifests.retain(|entry| !entry.annotations.contains_key(ANNOTATION_REFERENCE_TYPE));
        let wanted = self.options.platform.clone().unwrap_or_else(Platform::host);
        index.select(&wanted).cloned().ok_or_else(|| {
            Error::not_found(format!("no matching manifest for {wanted} in the manifest list entries"))
                .with_hint(format!("it has images for {}", platforms(&index).join(", ")))
        })
    }

    fn manifest(&self, found: &Found) -> Result<Manifest> {
        if !media::is_manifest(&found.media_type) {
            let text = format!("unsupported manifest media type {:?} of {}", found.media_type, found.digest);
            return Err(Error::not_implemented(text));
        }
        let manifest = Manifest::parse(&found.bytes).context(|| format!("read manifest {}", found.digest))?;
        if !media::is_config(&manifest.config.media_type) || manifest.artifact_type.is_some() {
            let kind = manifest.artifact_type.as_ref().unwrap_or(&manifest.config.media_type);
            return Err(Error::not_implemented(format!(
                "{} is an artifact ({kind}), no container image",
                found.digest
            )));
        }
        Ok(manifest)
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Blob> {
        if descriptor.size > LARGEST_CONFIG {
            return Err(Error::exhausted(format!("image config is larger than {LARGEST_CONFIG} bytes")));
        }
        self.blob(descriptor, &|_| {})
    }
}

fn platforms(index: &Index) -> Vec<String> {
    index.manifests.iter().filter_map(|entry| entry.platform.as_ref()).map(ToString::to_string).collect()
}
