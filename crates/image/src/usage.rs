//! What images take on disk.

use std::collections::{BTreeMap, BTreeSet};

use dhow_errdefs::Result;
use dhow_oci::Digest;

use crate::images::Images;

/// Bytes of layers. A layer that several images have is there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of all layers.
    pub layers: u64,
    /// By image, of those layers that other images have, too.
    pub shared: BTreeMap<Digest, u64>,
}

impl Images {
    /// Counts the layers of all images, from the database alone.
    ///
    /// # Errors
    /// What the database says.
    pub fn usage(&self) -> Result<Usage> {
        let mut images = Vec::new();
        for image in self.store().metadata().images()? {
            // An image may have a layer twice; it is there once.
            let sizes: BTreeMap<Digest, u64> = self.layer_sizes(&image.layers)?.into_iter().collect();
            images.push((image.id, sizes));
        }
        Ok(add_up(&images))
    }
}

fn add_up(images: &[(Digest, BTreeMap<Digest, u64>)]) -> Usage {
    let mut owners: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    for (image, layers) in images {
        for layer in layers.keys() {
            owners.entry(*layer).or_default().insert(*image);
        }
    }
    let all: BTreeMap<Digest, u64> = images.iter().flat_map(|(_, layers)| layers.clone()).collect();
    let shared = |layers: &BTreeMap<Digest, u64>| {
        layers.iter().filter(|(layer, _)| owners[*layer].len() > 1).map(|(_, size)| size).sum()
    };
    Usage {
        layers: all.values().sum(),
        shared: images.iter().map(|(image, layers)| (*image, shared(layers))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_of_two_images_is_counted_once() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let (base, top, other) = (digest("base"), digest("top"), digest("other"));
        let images = [
            (digest("a"), BTreeMap::from([(base, 100), (top, 10)])),
            (digest("b"), BTreeMap::from([(base, 100)])),
            (digest("c"), BTreeMap::from([(other, 1)])),
        ];
        let usage = add_up(&images);
        assert_eq!(usage.layers, 111);
        assert_eq!(usage.shared, [(digest("a"), 100), (digest("b"), 100), (digest("c"), 0)].into());
    }
}
