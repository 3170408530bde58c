//! The manifests of an image: its own, and those beside it in the index it came with.

use dhow_errdefs::{Error, Result, message};
use dhow_oci::{ANNOTATION_REFERENCE_TYPE, Descriptor, Digest, Index, Platform, media};
use dhow_store::ImageRecord;

use crate::images::Images;

/// One manifest of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSummary {
    /// What names it.
    pub descriptor: Descriptor,
    /// Whether everything of it is here.
    pub available: bool,
    /// What it is for; none for what a builder says about an image.
    pub platform: Option<Platform>,
    /// Bytes of blobs that are here.
    pub content: u64,
    /// Bytes of unpacked layers that are here.
    pub unpacked: u64,
}

impl Images {
    /// The manifests of the image with that ID.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when it is not there.
    pub fn manifests_of(&self, id: &Digest) -> Result<Vec<ManifestSummary>> {
        let missing = || Error::not_found(message::no_such_image(&id.to_string()));
        self.manifests(&self.store().metadata().image(id)?.ok_or_else(missing)?)
    }

    /// The manifests of an image: its own first.
    ///
    /// # Errors
    /// What the disk says.
    pub fn manifests(&self, image: &ImageRecord) -> Result<Vec<ManifestSummary>> {
        let own = self.own(image)?;
        let mut others = self.beside(image);
        others.retain(|other| other.descriptor.digest != own.descriptor.digest);
        Ok([vec![own], others].concat())
    }

    fn own(&self, image: &ImageRecord) -> Result<ManifestSummary> {
        let named = image.manifest.as_ref().unwrap_or(&image.id);
        let kind = if image.manifest.is_some() { media::OCI_MANIFEST } else { media::OCI_CONFIG };
        let config = self.store().content().stat(&image.id)?.map_or(0, |blob| blob.size);
        let size = self.store().content().stat(named)?.map_or(0, |blob| blob.size);
        let layers: u64 = image.layers.iter().map(|layer| layer.blob_size).sum();
        let manifest = if image.manifest.is_some() { size } else { 0 };
        let platform = Some(self.config_or_empty(&image.id).platform());
        Ok(ManifestSummary {
            descriptor: Descriptor { platform: platform.clone(), ..Descriptor::new(kind, *named, size) },
            available: true,
            platform,
            content: config + layers + manifest,
            unpacked: image.size,
        })
    }

    /// What the indexes say that the image came with. One that cannot be read says nothing.
    fn beside(&self, image: &ImageRecord) -> Vec<ManifestSummary> {
        let read = |digest: &Digest| Index::parse(&self.store().content().read(digest).ok()?).ok();
        let entries = image.blobs.iter().filter_map(read).flat_map(|index| index.manifests);
        let summary = |descriptor: Descriptor| {
            let about_an_image = descriptor.annotations.contains_key(ANNOTATION_REFERENCE_TYPE);
            let platform = if about_an_image { None } else { descriptor.platform.clone() };
            ManifestSummary { descriptor, available: false, platform, content: 0, unpacked: 0 }
        };
        entries.map(summary).collect()
    }
}
