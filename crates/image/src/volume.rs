//! Backups of volumes as images, so that whatever carries images carries them: archives, registries, other engines.
//!
//! Such an image has one layer, which holds what is in the volume, and as labels those of the volume and
//! [one more](VolumeBackup::OF) that says of which one it is. It runs nothing (docs/design/0021).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};

use dhow_errdefs::{Error, Result};
use dhow_oci::{Digest, History, ImageConfig, Platform, Reference, RootFs, RunConfig, media};
use dhow_store::{ImageLayer, ImageRecord, Lease};

use crate::images::Images;
use crate::{filter, name, save, stream, time};

/// What is known of a volume beside its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeBackup {
    /// What it was called.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl VolumeBackup {
    /// The label of the image: the name of the volume.
    pub const OF: &str = "dhow.volume.backup.of";

    fn config(&self, diff_id: Digest) -> ImageConfig {
        let (host, created) = (Platform::host(), Some(time::now()));
        let mut labels = self.labels.clone();
        labels.insert(Self::OF.to_owned(), self.name.clone());
        let comment = format!("Backup of volume {}", self.name);
        ImageConfig {
            architecture: host.architecture,
            os: host.os,
            variant: host.variant.unwrap_or_default(),
            config: RunConfig { labels: Some(labels), ..RunConfig::default() },
            created: created.clone(),
            history: vec![History { created, comment, ..History::default() }],
            rootfs: RootFs { diff_ids: vec![diff_id], ..RootFs::default() },
            ..ImageConfig::default()
        }
    }

    /// What a config says, if it is the one of a backup.
    fn of(config: &ImageConfig) -> Option<Self> {
        let mut labels = config.config.labels.clone()?;
        let name = labels.remove(Self::OF)?;
        (config.rootfs.diff_ids.len() == 1).then_some(Self { name, labels })
    }
}

impl Images {
    /// Makes an image of a volume, whose content `write` writes as a tar, and gives it a name. Returns its ID.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a name that cannot be given or content that no layer
    /// can hold; [`ResourceExhausted`](dhow_errdefs::Class::ResourceExhausted) when the disk is full. Nothing is left then.
    pub fn keep_volume(
        &self,
        backup: &VolumeBackup,
        reference: &Reference,
        write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    ) -> Result<Digest> {
        let name = name::taggable(reference)?;
        let lease = self.store().lease();
        let kept = self.layer(&lease, None, write).and_then(|layer| {
            let (layer, size) = layer.ok_or_else(|| Error::internal("the backup of a volume has no content"))?;
            let image = self.record(&lease, backup, layer, size)?;
            self.publish(&[(image.clone(), vec![name])])?;
            Ok(image.id)
        });
        drop(lease);
        if kept.is_err() {
            self.sweep();
        }
        kept.map_err(|error| self.on_which_disk(error))
    }

    /// Writes an archive with an image of a volume that is not kept here. `write` is done before the first byte is written
    /// into the archive, which takes as long as its reader wants.
    ///
    /// # Errors
    /// As [`keep_volume`](Self::keep_volume), or what writing says.
    pub fn save_volume(
        &self,
        backup: &VolumeBackup,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
        archive: impl Write,
    ) -> Result<()> {
        let lease = self.store().lease();
        let saved = self.stored_layer(&lease, write).and_then(|layer| {
            let size = layer.blob_size;
            let image = self.record(&lease, backup, layer, size)?;
            save::write_one(self, &lease, image, archive)
        });
        drop(lease);
        self.sweep();
        saved.map_err(|error| self.on_which_disk(error))
    }

    /// Reads an archive with the image of a volume, of which nothing is kept here: `unpack` is given what is known of the
    /// volume, and the tar of its content.
    ///
    /// # Errors
    /// As [`load`](Self::load); [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) if the image is none of a volume.
    pub fn load_volume<T>(
        &self,
        archive: impl Read,
        unpack: impl FnOnce(VolumeBackup, &mut dyn BufRead) -> Result<T>,
    ) -> Result<T> {
        let lease = self.store().lease();
        let loaded = self.only_parts(&lease, archive).and_then(|parts| {
            let config = ImageConfig::parse(&self.store().content().read(&parts.config.digest)?)?;
            match (VolumeBackup::of(&config), parts.layers.as_slice()) {
                (Some(backup), [layer]) => self.content_of(&layer.blob.digest, backup, unpack),
                _ => Err(no_backup("the archive")),
            }
        });
        drop(lease);
        self.sweep();
        loaded.map_err(|error| self.on_which_disk(error))
    }

    /// The same with an image that is here.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve); `InvalidArgument` if the image is none of a volume.
    pub fn volume_of<T>(
        &self,
        image: &str,
        unpack: impl FnOnce(VolumeBackup, &mut dyn BufRead) -> Result<T>,
    ) -> Result<T> {
        let lease = self.store().lease();
        let record = self.resolve(image)?;
        let config = self.config(&record.id)?;
        let (Some(backup), [layer]) = (VolumeBackup::of(&config), record.layers.as_slice()) else {
            return Err(no_backup(&format!("image {image}")));
        };
        if self.store().content().hold(&lease, &layer.blob)?.is_none() {
            return Err(Error::data_loss(format!("blob {} is missing", layer.blob))
                .with_hint("remove the image and get it again"));
        }
        self.content_of(&layer.blob, backup, unpack)
    }

    fn content_of<T>(
        &self,
        blob: &Digest,
        backup: VolumeBackup,
        unpack: impl FnOnce(VolumeBackup, &mut dyn BufRead) -> Result<T>,
    ) -> Result<T> {
        let (_, tar) = stream::open(self.store().content().reader(blob)?)?;
        unpack(backup, &mut BufReader::with_capacity(stream::PIECE, tar))
    }

    /// A layer whose blob is in the store, and which is not unpacked.
    fn stored_layer(&self, lease: &Lease, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<ImageLayer> {
        let mut ingest = self.store().content().ingest(self.room()?)?;
        write(&mut ingest)?;
        let blob = ingest.commit(lease, None, None)?;
        Ok(ImageLayer {
            diff_id: blob.digest,
            chain_id: blob.digest,
            blob: blob.digest,
            blob_size: blob.size,
            media_type: media::OCI_LAYER.to_owned(),
        })
    }

    fn record(&self, lease: &Lease, backup: &VolumeBackup, layer: ImageLayer, size: u64) -> Result<ImageRecord> {
        let config = backup.config(layer.diff_id);
        Ok(ImageRecord {
            id: self.store().content().put(lease, &config.to_bytes())?,
            manifest: None,
            parent: None,
            created: filter::created(&config).as_second(),
            size,
            platform: config.platform().to_string(),
            layers: vec![layer],
            blobs: Vec::new(),
        })
    }
}

fn no_backup(what: &str) -> Error {
    Error::invalid(format!("{what} is no backup of a volume"))
        .with_hint("`dhow volume backup` makes such images; what others have in them is seen with --mount type=image")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_images_of_volumes_are_backups() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let backup = VolumeBackup { name: "data".into(), labels };
        let config = backup.config(Digest::of(b""));
        assert_eq!(VolumeBackup::of(&config), Some(backup));
        let mut two = config;
        two.rootfs.diff_ids.push(Digest::of(b""));
        assert_eq!((VolumeBackup::of(&two), VolumeBackup::of(&ImageConfig::default())), (None, None));
    }
}
