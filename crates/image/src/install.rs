//! From blobs to an image: verify, unpack what is not there yet, make the record.

use std::io::{self, Read};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, Hasher, ImageConfig, LARGEST_CONFIG, chain_id};
use dhow_store::{Blob, ImageLayer, ImageRecord, LayerRecord, Lease, Store, UnpackOptions};

use crate::filter;
use crate::stream::{self, Compression, PIECE};

/// Told how far a layer is: diff ID, bytes read, bytes of its blob.
pub(crate) type Progress<'a> = &'a (dyn Fn(Digest, u64, u64) + Sync);

/// The parts of an image, all in the store and held by the lease.
#[derive(Debug)]
pub(crate) struct Parts {
    pub config: Blob,
    /// Bottom first.
    pub layers: Vec<Source>,
    pub manifest: Option<Digest>,
}

/// The blob of a layer.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub blob: Blob,
    /// As a manifest says it; none: what the first bytes say.
    pub media_type: Option<String>,
}

/// Makes images out of parts, under one lease.
pub(crate) struct Installer<'a> {
    pub store: &'a Store,
    pub lease: &'a Lease,
    pub progress: Progress<'a>,
}

impl Installer<'_> {
    /// Verifies the parts, unpacks the layers that are not there, and returns the record to be made.
    pub(crate) fn install(&self, parts: &Parts) -> Result<ImageRecord> {
        let config = self.config(&parts.config)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != parts.layers.len() {
            let (expected, got) = (diff_ids.len(), parts.layers.len());
            let message = format!("invalid manifest, layers length mismatch: expected {expected}, got {got}");
            return Err(Error::invalid(message));
        }
        let layers = self.layers(diff_ids, &parts.layers)?;
        let shared = self.shared(parts.manifest.is_none())?;
        let mut image = ImageRecord {
            id: parts.config.digest,
            manifest: parts.manifest,
            created: filter::created(&config).as_second(),
            size: layers.iter().map(|layer| layer.record.size).sum(),
            platform: config.platform().to_string(),
            layers: Vec::with_capacity(layers.len()),
            blobs: Vec::new(),
        };
        for (layer, source) in layers.into_iter().zip(&parts.layers) {
            image.layers.push(self.layer_of_image(layer, source, &shared)?);
        }
        Ok(image)
    }

    fn config(&self, blob: &Blob) -> Result<ImageConfig> {
        if blob.size > LARGEST_CONFIG {
            return Err(Error::exhausted(format!("image config is larger than {LARGEST_CONFIG} bytes")));
        }
        let config = ImageConfig::parse(&self.store.content().read(&blob.digest)?)?;
        match config.platform().os.as_str() {
            "linux" => Ok(config),
            other => Err(Error::not_implemented(format!("cannot load {other} image on linux"))),
        }
    }

    /// Every layer, unpacked and recorded: a prefix of them may be there, the rest is unpacked and recorded together.
    fn layers(&self, diff_ids: &[Digest], sources: &[Source]) -> Result<Vec<Installed>> {
        let mut layers: Vec<Installed> = Vec::with_capacity(diff_ids.len());
        let mut parent: Option<Digest> = None;
        for diff_id in diff_ids {
            let chain = above(parent, *diff_id);
            let Some(record) = self.store.layers().hold(self.lease, &chain)? else { break };
            layers.push(Installed { record, verified: false });
            parent = Some(chain);
        }
        let mut unpacked = Vec::new();
        for (diff_id, source) in diff_ids.iter().zip(sources).skip(layers.len()) {
            let options = UnpackOptions { diff_id: Some(*diff_id), ..UnpackOptions::default() };
            let step = || format!("unpack layer {}", source.blob.digest);
            unpacked.push(self.store.layers().unpack(self.watched(*diff_id, &source.blob)?, &options).context(step)?);
        }
        let records = self.store.layers().record(self.lease, parent.as_ref(), unpacked)?;
        layers.extend(records.into_iter().map(|record| Installed { record, verified: true }));
        Ok(layers)
    }

    fn watched(&self, diff_id: Digest, blob: &Blob) -> Result<impl Read + Send> {
        let inner = self.store.content().reader(&blob.digest)?;
        (self.progress)(diff_id, 0, blob.size);
        Ok(Watched { inner, diff_id, read: 0, told: 0, total: blob.size, progress: self.progress })
    }

    /// Layers of recorded images whose blobs can stand in for ours.
    fn shared(&self, wanted: bool) -> Result<Vec<ImageLayer>> {
        if !wanted {
            return Ok(Vec::new());
        }
        Ok(self.store.metadata().images()?.into_iter().flat_map(|image| image.layers).collect())
    }

    /// The layer with its blob. For a layer that was there, the blob that is kept already will do, unless a manifest
    /// names ours: and then ours must be what the config says, for nobody has looked into it.
    fn layer_of_image(&self, layer: Installed, source: &Source, shared: &[ImageLayer]) -> Result<ImageLayer> {
        let Installed { record, verified } = layer;
        if !verified {
            for known in shared.iter().filter(|known| known.chain_id == record.chain_id) {
                if self.store.content().hold(self.lease, &known.blob)?.is_some() {
                    return Ok(known.clone());
                }
            }
            self.verify(&source.blob, &record.diff_id)?;
        }
        Ok(ImageLayer {
            diff_id: record.diff_id,
            chain_id: record.chain_id,
            blob: source.blob.digest,
            blob_size: source.blob.size,
            media_type: match &source.media_type {
                Some(media_type) => media_type.clone(),
                None => self.compression(&source.blob)?.layer_type().to_owned(),
            },
        })
    }

    fn compression(&self, blob: &Blob) -> Result<Compression> {
        let mut start = Vec::with_capacity(6);
        let file = self.store.content().reader(&blob.digest)?;
        file.take(6).read_to_end(&mut start).context(|| format!("read blob {}", blob.digest))?;
        Compression::of(&start)
    }

    fn verify(&self, blob: &Blob, diff_id: &Digest) -> Result<()> {
        let (_, mut stream) = stream::open(self.store.content().reader(&blob.digest)?)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; PIECE];
        loop {
            let length = stream.read(&mut buffer).context(|| format!("read blob {}", blob.digest))?;
            if length == 0 {
                break;
            }
            hasher.update(&buffer[..length]);
        }
        let found = hasher.finish();
        if found == *diff_id {
            return Ok(());
        }
        Err(Error::data_loss(format!("layer {} has the diff ID {found}, expected {diff_id}", blob.digest)))
    }
}

/// A layer that is unpacked.
struct Installed {
    record: LayerRecord,
    /// It was unpacked from our blob: then the blob is what it says.
    verified: bool,
}

/// The chain ID of a layer that stands on a chain.
fn above(parent: Option<Digest>, diff_id: Digest) -> Digest {
    match parent {
        // A chain ID stands for the chain: that is how it is defined.
        Some(parent) => chain_id(&[parent, diff_id]).unwrap_or(diff_id),
        None => diff_id,
    }
}

/// Tells how far it is, not more often than the eye can see.
struct Watched<'a, R> {
    inner: R,
    diff_id: Digest,
    read: u64,
    told: u64,
    total: u64,
    progress: Progress<'a>,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        if self.read - self.told >= self.total / 50 + (1 << 20) || (length == 0 && self.told < self.read) {
            self.told = self.read;
            (self.progress)(self.diff_id, self.read, self.total);
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_built_layer_by_layer() {
        let ids: Vec<Digest> = [b"a", b"b", b"c"].iter().map(|text| Digest::of(*text)).collect();
        let chain = ids.iter().fold(None, |parent, id| Some(above(parent, *id)));
        assert_eq!(chain, chain_id(&ids));
    }
}
