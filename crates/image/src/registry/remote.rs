//! What registries have, for people and programs that look before they pull, and lists of manifests that people make.

use std::collections::BTreeSet;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Descriptor, Digest, ImageConfig, Index, LARGEST_CONFIG, Manifest, Platform, Reference, media};

use super::manifest::Found;
use super::session::{Access, Repository, Visit};
use super::upload::Offer;
use super::{Credentials, Registries};
use crate::cancelled::Cancelled;

/// A manifest or an index in a registry, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteManifest {
    /// What it is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Who asks, and how the registry may be reached.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// What is shown to the registry.
    pub credentials: Credentials,
    /// Whether a registry without security will do, whatever the settings say.
    pub insecure: bool,
}

impl Caller {
    fn visit<'a>(&'a self, name: &'a Reference, access: Access, sources: &'a [String]) -> Visit<'a> {
        Visit {
            name,
            access,
            credentials: &self.credentials,
            sources,
            insecure: self.insecure,
            cancelled: Cancelled::NEVER,
        }
    }
}

impl Registries {
    /// The manifest or index which a name means in its registry.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the registry does not have it or does not show it.
    pub fn manifest(&self, name: &Reference, caller: &Caller) -> Result<RemoteManifest> {
        let found = self.visit(caller.visit(name, Access::Pull, &[]), |repository| {
            repository.manifest(name.tag().unwrap_or_default(), name.digest())
        })?;
        let Found { media_type, bytes, digest } = found;
        Ok(RemoteManifest { media_type, digest, bytes })
    }

    /// The same with the platforms for which the registry has the image.
    ///
    /// # Errors
    /// As [`manifest`](Self::manifest).
    pub fn describe(&self, name: &Reference, caller: &Caller) -> Result<(Descriptor, Vec<Platform>)> {
        self.visit(caller.visit(name, Access::Pull, &[]), |repository| {
            let found = repository.manifest(name.tag().unwrap_or_default(), name.digest())?;
            let descriptor = Descriptor::new(&found.media_type, found.digest, found.bytes.len() as u64);
            if media::is_index(&found.media_type) {
                let entries = Index::parse(&found.bytes)?.manifests;
                return Ok((descriptor, entries.into_iter().filter_map(|entry| entry.platform).collect()));
            }
            let config = Manifest::parse(&found.bytes)?.config;
            Ok((descriptor, vec![repository.config(&config)?.platform()]))
        })
    }

    /// Stores an index under a name, after taking its manifests over from other repositories of the same registry.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a source in another registry, or what the registry
    /// says.
    pub fn put_index(
        &self,
        target: &Reference,
        index: &[u8],
        sources: &[Reference],
        caller: &Caller,
    ) -> Result<Digest> {
        let document = Index::parse(index)?;
        if let Some(other) = sources.iter().find(|source| source.registry() != target.registry()) {
            return Err(Error::invalid(format!(
                "cannot use source images from a different registry than the target image: {} != {}",
                other.registry(),
                target.registry()
            )));
        }
        let foreign: Vec<&Reference> =
            sources.iter().filter(|source| source.repository() != target.repository()).collect();
        let names: BTreeSet<String> = foreign.iter().map(|source| source.repository().to_owned()).collect();
        let names: Vec<String> = names.into_iter().collect();
        for source in foreign {
            let found = self.manifest(source, caller)?;
            let take = |repository: &Repository<'_>| take_over(repository, source.repository(), &found);
            self.visit(caller.visit(target, Access::Push, &names), take)
                .context(|| format!("take {} over", source.familiar()))?;
        }
        let kind = if document.media_type.is_empty() { media::OCI_INDEX } else { &document.media_type };
        self.visit(caller.visit(target, Access::Push, &[]), |repository| {
            repository.put_manifest(target.tag(), kind, index)
        })
    }
}

/// Makes a manifest of another repository of the registry one of this.
fn take_over(repository: &Repository<'_>, source: &str, found: &RemoteManifest) -> Result<()> {
    let manifest = Manifest::parse(&found.bytes)?;
    for blob in manifest.layers.iter().chain([&manifest.config]).map(|descriptor| &descriptor.digest) {
        if !repository.has_blob(blob)? && !matches!(repository.offer(Some((blob, source)))?, Offer::Mounted) {
            return Err(Error::not_implemented(format!("the registry does not take blob {blob} over from {source}"))
                .with_hint("push the image into the repository of the list first"));
        }
    }
    repository.put_manifest(None, &found.media_type, &found.bytes).map(drop)
}

impl Repository<'_> {
    /// A small thing by its digest: a config is a blob, manifests and indexes are not. It is not verified.
    pub(crate) fn document(&self, digest: &Digest) -> Result<Vec<u8>> {
        let limit = usize::try_from(LARGEST_CONFIG).unwrap_or(usize::MAX);
        self.small_blob(digest, limit).or_else(|_| Ok(self.manifest("", Some(digest))?.bytes))
    }

    /// A config, verified.
    fn config(&self, descriptor: &Descriptor) -> Result<ImageConfig> {
        if descriptor.size > LARGEST_CONFIG {
            return Err(Error::exhausted(format!("image config is larger than {LARGEST_CONFIG} bytes")));
        }
        let bytes = self.small_blob(&descriptor.digest, usize::try_from(descriptor.size).unwrap_or_default())?;
        if Digest::of(&bytes) != descriptor.digest {
            return Err(Error::data_loss(format!("config {} is not what the registry sent", descriptor.digest)));
        }
        ImageConfig::parse(&bytes)
    }
}
