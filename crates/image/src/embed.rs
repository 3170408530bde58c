//! Images that are part of this program.

use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, ImageConfig, Reference};
use dhow_store::Lease;

use crate::images::Images;
use crate::install::{Installer, Parts, Source};

/// An image that is part of this program.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// Its config; the diff IDs are filled in.
    pub config: ImageConfig,
    /// Its layers as plain tars, bottom first.
    pub layers: Vec<Vec<u8>>,
}

impl Images {
    /// The image with that name; where there is none, the one that `make` makes gets it.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a name that is none, or what the store says.
    pub fn ensure_embedded(&self, name: &str, make: impl FnOnce() -> Embedded) -> Result<Digest> {
        let name = Reference::parse(name)?.with_default_tag();
        if let Some(id) = self.named(&name)? {
            return Ok(id);
        }
        let lease = self.store().lease();
        let parts = self.put(&lease, make())?;
        let installer = Installer { store: self.store(), lease: &lease, progress: &|_, _, _| {}, thorough: false };
        let image = installer.install(&parts, Vec::new())?;
        let id = image.id;
        self.publish(&[(image, vec![name])])?;
        Ok(id)
    }

    fn put(&self, lease: &Lease, embedded: Embedded) -> Result<Parts> {
        let Embedded { mut config, layers } = embedded;
        config.rootfs.diff_ids = layers.iter().map(|layer| Digest::of(layer)).collect();
        let content = self.store().content();
        let blob = |bytes: &[u8]| {
            let digest = content.put(lease, bytes)?;
            content.stat(&digest)?.ok_or_else(|| Error::internal(format!("blob {digest} vanished")))
        };
        let layer = |bytes: &Vec<u8>| Ok(Source::new(blob(bytes)?, None));
        Ok(Parts {
            config: blob(&config.to_bytes())?,
            layers: layers.iter().map(layer).collect::<Result<_>>()?,
            manifest: None,
        })
    }
}
