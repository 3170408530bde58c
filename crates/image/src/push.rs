//! Pushing: an image that is here comes to stand in a registry under its name.
//!
//! What an image was pulled with is pushed byte for byte: its manifest, and those of its blobs that the registry does not
//! have. Layers that lie here uncompressed are compressed on their way; the manifest made for them is kept with the image,
//! so that the next push knows what the registry has.

mod compress;
mod forms;
mod gzip;
mod layers;
mod transfer;

use dhow_errdefs::{Error, Result};
use dhow_oci::{Descriptor, Digest, Manifest, Platform, Reference, media};
use dhow_store::{Durability, ImageRecord, Lease};

use crate::cancelled::Cancelled;
use crate::images::Images;
use crate::name::Names;
use crate::parallel::both;
use crate::registry::{Access, Credentials, Registries, Repository, Visit};

pub use compress::PushCompression;
use forms::Known;

/// How to push.
pub struct PushOptions<'a> {
    /// The image must be for that platform.
    pub platform: Option<Platform>,
    /// How to compress layers that lie here uncompressed.
    pub compression: PushCompression,
    /// Who asks.
    pub credentials: Credentials,
    /// What was sent until then is taken back, unless it was whole.
    pub cancelled: Cancelled<'a>,
}

/// What happens during a push, in the order of Docker's lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushEvent {
    /// Something about a layer.
    Layer {
        /// The digest of its uncompressed tar.
        diff_id: Digest,
        /// What.
        news: PushNews,
    },
    /// A tag stands in the registry.
    Tag {
        /// The tag.
        tag: String,
        /// The digest of its manifest.
        digest: Digest,
        /// The length of its manifest in bytes.
        size: u64,
    },
}

/// What happens to a layer that is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushNews {
    /// It will be looked at.
    Preparing,
    /// It is not its turn yet.
    Waiting,
    /// The registry has it.
    Exists,
    /// The registry took it over from that repository.
    Mounted(String),
    /// So much of it was sent: bytes so far, bytes in all, as they lie here.
    Pushing(u64, u64),
    /// The registry has it now.
    Pushed,
}

impl Images {
    /// The names that a push of this name means: itself, or all tags of a repository.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) in Docker's words,
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a digest.
    pub fn to_push(&self, name: &Reference) -> Result<Vec<Reference>> {
        if name.digest().is_some() {
            return Err(Error::invalid("cannot push a digest reference"));
        }
        let names = Names::new(&self.store().metadata().tags()?);
        let own = |other: &&Reference| other.name() == name.name();
        if !names.tags.iter().chain(&names.digests).any(|other| own(&other)) {
            let text = format!("An image does not exist locally with the tag: {}", name.familiar_name());
            return Err(Error::not_found(text));
        }
        match name.tag() {
            None => Ok(names.tags.iter().filter(own).cloned().collect()),
            Some(_) if names.tags.contains(name) => Ok(vec![name.clone()]),
            Some(_) => Err(Error::not_found(format!("tag does not exist: {}", name.familiar()))),
        }
    }

    /// Brings the image with that name and tag into its registry, with everything that is missing there.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when no image has the name,
    /// [`Unauthenticated`](dhow_errdefs::Class::Unauthenticated) or
    /// [`PermissionDenied`](dhow_errdefs::Class::PermissionDenied) when the registry refuses,
    /// [`Unavailable`](dhow_errdefs::Class::Unavailable) when it cannot be reached,
    /// [`Cancelled`](dhow_errdefs::Class::Cancelled).
    pub fn push(
        &self,
        registries: &Registries,
        name: &Reference,
        options: &PushOptions<'_>,
        progress: &(dyn Fn(PushEvent) + Sync),
    ) -> Result<Digest> {
        self.policy().allow(name)?;
        let text = name.familiar();
        let image = self.resolve_for(&text, options.platform.as_ref())?;
        let lease = self.store().lease();
        let known = Known::collect(self, &image, name)?;
        let sources = known.repositories();
        let PushOptions { credentials, cancelled, .. } = options;
        let (access, cancelled) = (Access::Push, *cancelled);
        let visit = Visit { name, access, credentials, sources: &sources, insecure: false, cancelled };
        let (digest, bytes) = registries.visit(visit, |repository| {
            let push =
                Push { images: self, image: &image, known: &known, repository, lease: &lease, options, progress };
            push.run()
        })?;
        self.pushed(&lease, &image, &name.with_digest(digest), &bytes)?;
        Ok(digest)
    }

    /// Records under which digest the registry has the image now, and keeps the manifest that says so.
    fn pushed(&self, lease: &Lease, image: &ImageRecord, name: &Reference, manifest: &[u8]) -> Result<()> {
        let digest = self.store().content().put(lease, manifest)?;
        let _names = self.lock_names();
        // Everything else that the image needs has been on the disk since it came.
        self.store().content().settle(&digest)?;
        self.store().metadata().transaction(Durability::Full, |transaction| {
            // Somebody may have removed it meanwhile.
            let Some(mut image) = transaction.image(&image.id)? else { return Ok(()) };
            if image.manifest != Some(digest) && !image.blobs.contains(&digest) {
                image.blobs.push(digest);
                transaction.put_image(&image)?;
            }
            transaction.set_tag(&name.canonical(), &image.id).map(drop)
        })
    }
}

/// One push at work.
struct Push<'a> {
    images: &'a Images,
    image: &'a ImageRecord,
    known: &'a Known,
    repository: &'a Repository<'a>,
    lease: &'a Lease,
    options: &'a PushOptions<'a>,
    progress: &'a (dyn Fn(PushEvent) + Sync),
}

impl Push<'_> {
    /// The digest under which the image stands there, and its manifest.
    fn run(&self) -> Result<(Digest, Vec<u8>)> {
        // Nothing is told before somebody answers: another endpoint may be tried.
        self.repository.ping()?;
        let (bytes, media_type) = match self.own_manifest()? {
            Some((bytes, manifest)) => {
                self.blobs(Some(&manifest), &manifest.config)?;
                (bytes, kind(&manifest).to_owned())
            }
            None => self.made_manifest()?,
        };
        let tag = self.repository.name().tag().unwrap_or_default();
        let digest = self.repository.put_manifest(Some(tag), &media_type, &bytes)?;
        (self.progress)(PushEvent::Tag { tag: tag.to_owned(), digest, size: bytes.len() as u64 });
        Ok((digest, bytes))
    }

    /// The manifest that the image came with, if it is to stand in the registry as it is.
    fn own_manifest(&self) -> Result<Option<(Vec<u8>, Manifest)>> {
        let Some(digest) = self.image.manifest else { return Ok(None) };
        let content = self.images.store().content();
        if content.hold(self.lease, &digest)?.is_none() {
            return Ok(None);
        }
        let bytes = content.read(&digest)?;
        let manifest = Manifest::parse(&bytes)?;
        let ours = self.image.layers.iter().map(|layer| layer.blob);
        let same = manifest.config.digest == self.image.id && manifest.layers.iter().map(|layer| layer.digest).eq(ours);
        // What came uncompressed in an archive is compressed; what a registry has like that keeps its digest.
        let fit = self.known.stands_in_a_registry || !manifest.layers.iter().any(|layer| is_plain(&layer.media_type));
        Ok((same && fit).then_some((bytes, manifest)))
    }

    fn made_manifest(&self) -> Result<(Vec<u8>, String)> {
        let blob = self.stored(&self.image.id)?;
        let config = Descriptor::new(media::OCI_CONFIG, blob.digest, blob.size);
        let layers = self.blobs(None, &config)?;
        let manifest = Manifest::new(config, layers);
        let bytes =
            serde_json::to_vec(&manifest).map_err(|cause| Error::internal("write a manifest").with_cause(cause))?;
        Ok((bytes, manifest.media_type))
    }

    /// Everything that a manifest names; gives how it names the layers.
    fn blobs(&self, own: Option<&Manifest>, config: &Descriptor) -> Result<Vec<Descriptor>> {
        let (layers, config) = both(|| self.layers(own), || self.config(config));
        let layers = layers?;
        config.map(|()| layers)
    }

    fn config(&self, config: &Descriptor) -> Result<()> {
        self.stored(&config.digest)?;
        if self.repository.has_blob(&config.digest)? {
            return Ok(());
        }
        let sent = transfer::stored(self, &config.digest, &|_| {});
        layers::within(sent, || format!("push config {}", config.digest))
    }
}

fn kind(manifest: &Manifest) -> &str {
    if manifest.media_type.is_empty() { media::OCI_MANIFEST } else { &manifest.media_type }
}

fn is_plain(media_type: &str) -> bool {
    matches!(media_type, media::OCI_LAYER | media::DOCKER_LAYER)
}
