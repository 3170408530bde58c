//! From blobs to an image: verify, unpack what is not there yet, make the record.

use std::io::{self, Read};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, Hasher, ImageConfig, LARGEST_CONFIG, chain_id};
use dhow_store::{Blob, ImageLayer, ImageRecord, LayerRecord, Lease, Store, UnpackOptions, Unpacked};

use crate::filter;
use crate::stream::{self, PIECE};

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
    /// It is known to be what the config says.
    pub verified: bool,
}

impl Source {
    /// A blob into which nobody has looked yet.
    pub(crate) fn new(blob: Blob, media_type: Option<String>) -> Self {
        Self { blob, media_type, verified: false }
    }
}

/// Makes images out of parts, under one lease.
pub(crate) struct Installer<'a> {
    pub store: &'a Store,
    pub lease: &'a Lease,
    pub progress: Progress<'a>,
    /// Look at every byte of the layers and blobs that are here already, and heal them with those that came. Else only
    /// what is asked for is done: who pulls again does not wait for the disk.
    pub thorough: bool,
}

impl Installer<'_> {
    /// Verifies the parts, unpacks the layers that are not there, and returns the record to be made. Layers may be unpacked
    /// already, each at its place; what was unpacked of something else than the config says is unpacked anew.
    pub(crate) fn install<'s>(&'s self, parts: &Parts, unpacked: Vec<Option<Unpacked<'s>>>) -> Result<ImageRecord> {
        let config = self.config(&parts.config)?;
        let diff_ids = &config.rootfs.diff_ids;
        same_length(diff_ids.len(), parts.layers.len())?;
        let layers = self.layers(diff_ids, &parts.layers, unpacked)?;
        // What this installed itself is known to be what it says.
        let known = |(layer, source): (&Installed, &Source)| layer.verified || source.verified;
        let shared = if layers.iter().zip(&parts.layers).all(known) { Vec::new() } else { self.shared()? };
        let mut image = ImageRecord {
            id: parts.config.digest,
            manifest: parts.manifest,
            parent: None,
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
    fn layers<'s>(
        &'s self,
        diff_ids: &[Digest],
        sources: &[Source],
        unpacked: Vec<Option<Unpacked<'s>>>,
    ) -> Result<Vec<Installed>> {
        let mut layers: Vec<Installed> = Vec::with_capacity(diff_ids.len());
        for (record, source) in self.held(diff_ids)?.into_iter().zip(sources) {
            if self.thorough {
                self.mend(&record, &source.blob)?;
            }
            layers.push(Installed { record, verified: false });
        }
        let parent = layers.last().map(|layer| layer.record.chain_id);
        let mut ready = unpacked.into_iter();
        let mut new = Vec::new();
        for (at, (diff_id, source)) in diff_ids.iter().zip(sources).enumerate() {
            let came = ready.next().flatten().filter(|came| came.diff_id() == diff_id);
            if at < layers.len() {
                continue;
            }
            new.push(match came {
                Some(came) => {
                    (self.progress)(*diff_id, source.blob.size, source.blob.size);
                    came
                }
                None => self.unpack(diff_id, &source.blob)?,
            });
        }
        let records = self.store.layers().record(self.lease, parent.as_ref(), new)?;
        layers.extend(records.into_iter().map(|record| Installed { record, verified: true }));
        Ok(layers)
    }

    /// The layers that are there already, from the bottom on; kept from collection by the lease.
    pub(crate) fn held(&self, diff_ids: &[Digest]) -> Result<Vec<LayerRecord>> {
        let mut held: Vec<LayerRecord> = Vec::new();
        for diff_id in diff_ids {
            let chain = above(held.last().map(|layer| layer.chain_id), *diff_id);
            match self.store.layers().hold(self.lease, &chain)? {
                Some(record) => held.push(record),
                None => break,
            }
        }
        Ok(held)
    }

    fn mend(&self, layer: &LayerRecord, blob: &Blob) -> Result<()> {
        let layers = self.store.layers();
        if layers.verify(layer).is_ok_and(|damage| damage.is_empty()) {
            return Ok(());
        }
        let healed = layers.heal(layer, self.store.content().reader(&blob.digest)?);
        healed.context(|| format!("heal layer {} from {}", layer.chain_id, blob.digest))
    }

    fn unpack(&self, diff_id: &Digest, blob: &Blob) -> Result<Unpacked<'_>> {
        let options = UnpackOptions { diff_id: Some(*diff_id), ..UnpackOptions::default() };
        let unpacked = self.store.layers().unpack(self.watched(*diff_id, blob)?, &options);
        unpacked.context(|| format!("unpack layer {}", blob.digest))
    }

    fn watched(&self, diff_id: Digest, blob: &Blob) -> Result<impl Read + Send> {
        let inner = self.store.content().reader(&blob.digest)?;
        (self.progress)(diff_id, 0, blob.size);
        Ok(Watched { inner, diff_id, read: 0, told: 0, total: blob.size, progress: self.progress })
    }

    /// Layers of recorded images: their blobs are known to be what they say.
    fn shared(&self) -> Result<Vec<ImageLayer>> {
        Ok(self.store.metadata().images()?.into_iter().flat_map(|image| image.layers).collect())
    }

    /// The layer with its blob. For a layer that was there, the blob that is kept already will do, unless a manifest
    /// names ours: and then ours must be what the config says, for nobody has looked into it.
    fn layer_of_image(&self, layer: Installed, source: &Source, shared: &[ImageLayer]) -> Result<ImageLayer> {
        let Installed { record, verified } = layer;
        if !verified && !source.verified {
            let named = source.media_type.is_some();
            let same =
                |known: &&ImageLayer| known.chain_id == record.chain_id && (!named || known.blob == source.blob.digest);
            for known in shared.iter().filter(same) {
                if self.store.content().hold(self.lease, &known.blob)?.is_some() && self.is_sound(known)? {
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
                None => self.store.content().compression(&source.blob.digest)?.layer_type().to_owned(),
            },
        })
    }

    fn is_sound(&self, known: &ImageLayer) -> Result<bool> {
        Ok(!self.thorough || self.store.content().verify(&known.blob)?)
    }

    /// Reads a blob to see whether it is that layer.
    pub(crate) fn verify(&self, blob: &Blob, diff_id: &Digest) -> Result<()> {
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

/// A config has one diff ID for each layer of the manifest.
pub(crate) fn same_length(expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(Error::invalid(format!("invalid manifest, layers length mismatch: expected {expected}, got {got}")))
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
