//! What images take on disk.

use std::collections::{BTreeMap, BTreeSet};

use dhow_errdefs::Result;
use dhow_oci::Digest;
use dhow_store::ImageLayer;

use crate::images::Images;

impl Images {
    /// Bytes of those layers of each image that other images have, too; from the database alone.
    ///
    /// # Errors
    /// What the database says.
    pub fn shared_bytes(&self) -> Result<BTreeMap<Digest, u64>> {
        Ok(add_up(&self.layers_of_images(|_| 0)?))
    }

    /// What each image takes: its layers, and the blobs that they were made of; from the database alone.
    ///
    /// # Errors
    /// What the database says.
    pub fn stored_bytes(&self) -> Result<BTreeMap<Digest, StoredBytes>> {
        let images = self.layers_of_images(|layer| layer.blob_size)?;
        let shared = add_up(&images);
        let stored = |(image, layers): (Digest, BTreeMap<Digest, u64>)| {
            (image, StoredBytes { all: layers.values().sum(), shared: shared[&image] })
        };
        Ok(images.into_iter().map(stored).collect())
    }

    /// The layers of each image with their sizes, and what there is of each besides.
    fn layers_of_images(&self, besides: fn(&ImageLayer) -> u64) -> Result<Vec<(Digest, BTreeMap<Digest, u64>)>> {
        let mut images = Vec::new();
        for image in self.store().metadata().images()? {
            // An image may have a layer twice; it is there once.
            let sizes = self.layer_sizes(&image.layers)?.into_iter();
            let sizes = sizes.zip(&image.layers).map(|((chain, size), layer)| (chain, size + besides(layer)));
            images.push((image.id, sizes.collect()));
        }
        Ok(images)
    }

    /// Bytes that the disk gives to all images, as du(1) counts them.
    ///
    /// # Errors
    /// What the file system says.
    pub fn disk_bytes(&self) -> Result<u64> {
        self.store().image_bytes()
    }
}

/// What an image takes on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBytes {
    /// Everything.
    pub all: u64,
    /// The part of it that other images have, too.
    pub shared: u64,
}

fn add_up(images: &[(Digest, BTreeMap<Digest, u64>)]) -> BTreeMap<Digest, u64> {
    let mut owners: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    for (image, layers) in images {
        for layer in layers.keys() {
            owners.entry(*layer).or_default().insert(*image);
        }
    }
    let shared = |layers: &BTreeMap<Digest, u64>| {
        layers.iter().filter(|(layer, _)| owners[*layer].len() > 1).map(|(_, size)| size).sum()
    };
    images.iter().map(|(image, layers)| (*image, shared(layers))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_two_images_is_shared() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let (base, top, other) = (digest("base"), digest("top"), digest("other"));
        let images = [
            (digest("a"), BTreeMap::from([(base, 100), (top, 10)])),
            (digest("b"), BTreeMap::from([(base, 100)])),
            (digest("c"), BTreeMap::from([(other, 1)])),
        ];
        assert_eq!(add_up(&images), [(digest("a"), 100), (digest("b"), 100), (digest("c"), 0)].into());
    }
}
