//! OCI layouts: `index.json`, indexes in it, manifests (OCI image-spec, image-layout.md).

use std::collections::HashSet;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{
    ANNOTATION_IMAGE_NAME, ANNOTATION_REF_NAME, ANNOTATION_REFERENCE_TYPE, Descriptor, Digest, Index, Manifest,
    Platform, Reference, media,
};
use dhow_store::{Blob, Store};

use super::Candidate;
use super::archive::Archive;
use crate::install::{Parts, Source};

/// Indexes in indexes; one is usual.
const DEEPEST: usize = 4;

/// The parts of a layout.
pub(super) struct Layout<'a> {
    pub store: &'a Store,
    pub archive: &'a Archive<'a>,
    pub wanted: &'a Platform,
}

impl Layout<'_> {
    /// The images of an archive with this `index.json`: of each one with several platforms the one that is wanted.
    pub(super) fn candidates(&self, document: &[u8]) -> Result<Vec<Candidate>> {
        let index = Index::parse(document).context(|| "read index.json of the archive")?;
        let mut candidates: Vec<Candidate> = Vec::new();
        for descriptor in self.wanted_of(&index)? {
            let parts = self.parts_of(descriptor, 0)?;
            let names = name(descriptor).into_iter();
            match candidates.iter_mut().find(|known| known.parts.manifest == parts.manifest) {
                Some(known) => known.names.extend(names),
                None => candidates.push(Candidate { parts, names: names.collect() }),
            }
        }
        Ok(candidates)
    }

    /// The manifest that names exactly these parts, if there is one.
    pub(super) fn manifest_for(&self, document: &[u8], parts: &Parts) -> Option<Digest> {
        let digests = |parts: &Parts| parts.layers.iter().map(|layer| layer.blob.digest).collect::<Vec<_>>();
        let same = |found: &Parts| found.config == parts.config && digests(found) == digests(parts);
        // The images are those of manifest.json: an index that has nothing to add may be as broken as it likes.
        let index = Index::parse(document).ok()?;
        let mut all = index.manifests.iter().filter_map(|descriptor| self.parts_of(descriptor, 0).ok());
        all.find(same)?.manifest
    }

    /// Entries of other platforms are left out if any fits; an entry alone is taken whatever it is for.
    fn wanted_of<'i>(&self, index: &'i Index) -> Result<Vec<&'i Descriptor>> {
        let mut seen = HashSet::new();
        let images: Vec<_> =
            index.manifests.iter().filter(|entry| is_image(entry) && seen.insert(key(entry))).collect();
        let fits = |entry: &&&Descriptor| entry.platform.as_ref().is_none_or(|platform| platform.matches(self.wanted));
        let fitting: Vec<_> = images.iter().filter(fits).copied().collect();
        match (fitting.len(), images.len()) {
            (0, 0) => Err(Error::invalid("the archive's index.json names no image")),
            (0, 1) => Ok(images),
            (0, _) => Err(self.no_platform(index)),
            _ => Ok(fitting),
        }
    }

    fn no_platform(&self, index: &Index) -> Error {
        let offered: Vec<_> =
            index.manifests.iter().filter_map(|entry| Some(entry.platform.as_ref()?.to_string())).collect();
        Error::not_found(format!("the archive has no image for {}", self.wanted))
            .with_hint(format!("it has images for {}", offered.join(", ")))
    }

    /// The parts of the image that a descriptor means, through indexes.
    fn parts_of(&self, descriptor: &Descriptor, depth: usize) -> Result<Parts> {
        if depth == DEEPEST {
            return Err(Error::invalid(format!("the archive has more than {DEEPEST} indexes in each other")));
        }
        let kind = descriptor.media_type.as_str();
        let bytes = self.document(descriptor)?;
        if media::is_manifest(kind) {
            return self.parts(&bytes, &descriptor.digest);
        }
        if !media::is_index(kind) {
            return Err(unsupported(descriptor));
        }
        let index = Index::parse(&bytes)?;
        let mut images = index.clone();
        images.manifests.retain(is_image);
        let chosen = match images.manifests.as_slice() {
            [only] => Some(only),
            _ => images.select(self.wanted),
        };
        self.parts_of(chosen.ok_or_else(|| self.no_platform(&index))?, depth + 1)
    }

    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        self.store.content().read(&self.part(descriptor)?.digest)
    }

    fn parts(&self, bytes: &[u8], digest: &Digest) -> Result<Parts> {
        let manifest = Manifest::parse(bytes).context(|| format!("read manifest {digest}"))?;
        if !media::is_config(&manifest.config.media_type) || manifest.artifact_type.is_some() {
            return Err(unsupported(&manifest.config).with_hint("it is an artifact, but no container image"));
        }
        let layer = |descriptor: &Descriptor| {
            if !media::is_layer(&descriptor.media_type) {
                return Err(unsupported(descriptor));
            }
            Ok(Source::new(self.part(descriptor)?, Some(descriptor.media_type.clone())))
        };
        Ok(Parts {
            config: self.part(&manifest.config)?,
            layers: manifest.layers.iter().map(layer).collect::<Result<_>>()?,
            manifest: Some(*digest),
        })
    }

    /// The blob of a descriptor, which must have the size that it says.
    fn part(&self, descriptor: &Descriptor) -> Result<Blob> {
        let blob = self.archive.blob(&descriptor.digest)?;
        if blob.size != descriptor.size {
            let Blob { digest, size } = blob;
            return Err(Error::data_loss(format!("blob {digest} has {size} bytes, expected {}", descriptor.size)));
        }
        Ok(blob.clone())
    }
}

fn unsupported(descriptor: &Descriptor) -> Error {
    Error::not_implemented(format!("unsupported media type {:?} of {}", descriptor.media_type, descriptor.digest))
}

/// `BuildKit`'s attestations stand beside images in an index.
fn is_image(descriptor: &Descriptor) -> bool {
    let unknown = descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
    !unknown && !descriptor.annotations.contains_key(ANNOTATION_REFERENCE_TYPE)
}

/// Entries with one key say the same.
fn key(descriptor: &Descriptor) -> (Digest, Option<String>) {
    (descriptor.digest, name(descriptor).map(|name| name.canonical()))
}

/// The whole name, where there is one. A tag alone names nothing.
fn name(descriptor: &Descriptor) -> Option<Reference> {
    let annotation = |key: &str| descriptor.annotations.get(key).map(String::as_str);
    let whole = |text: &&str| text.contains([':', '/']);
    let text = annotation(ANNOTATION_IMAGE_NAME).or_else(|| annotation(ANNOTATION_REF_NAME).filter(whole))?;
    Reference::parse(text).ok().filter(|name| name.digest().is_none()).map(Reference::with_default_tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_names() {
        let named = |key: &str, value: &str| {
            let descriptor = Descriptor::new(media::OCI_MANIFEST, Digest::of(b""), 0).with_annotation(key, value);
            name(&descriptor).map(|name| name.familiar())
        };
        assert_eq!(named(ANNOTATION_IMAGE_NAME, "docker.io/library/a:1").as_deref(), Some("a:1"));
        assert_eq!(named(ANNOTATION_REF_NAME, "docker.io/library/a:1").as_deref(), Some("a:1"));
        assert_eq!(named(ANNOTATION_REF_NAME, "latest"), None);
        assert_eq!(named(ANNOTATION_IMAGE_NAME, "NOT A NAME"), None);
    }

    #[test]
    fn attestations_are_no_images() {
        let plain = Descriptor::new(media::OCI_MANIFEST, Digest::of(b""), 0);
        assert!(is_image(&plain));
        assert!(!is_image(&plain.clone().with_annotation(ANNOTATION_REFERENCE_TYPE, "attestation-manifest")));
        assert!(!is_image(&Descriptor { platform: "unknown/unknown".parse().ok(), ..plain }));
    }
}
