//! Making an image out of a tar of files.

pub(crate) mod changes;
mod words;

use std::io::{self, Cursor, Read, Write};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, History, ImageConfig, Platform, Reference, RootFs, RunConfig};
use dhow_store::{ImageLayer, ImageRecord, Lease, UnpackOptions};

use crate::images::Images;
use crate::stream;
use crate::{filter, name, time};

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// The name to give the image.
    pub reference: Option<Reference>,
    /// Dockerfile instructions that make its config (`CMD`, `ENV`, …).
    pub changes: Vec<String>,
    /// The comment of its history; empty: where it is from.
    pub message: String,
    /// Where it is from; empty: `-`, whoever asks.
    pub source: String,
    /// What it runs on; none: the host's.
    pub platform: Option<Platform>,
}

impl Images {
    /// Makes an image of one layer from a tar (plain, gzip or zstd) and returns its ID.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a change that is none or a hostile archive,
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) for a damaged one. Nothing is left then.
    pub fn import(&self, archive: impl Read + Send, options: &ImportOptions) -> Result<Digest> {
        // Everything that can be refused is refused before the first byte is read.
        if options.platform.as_ref().is_some_and(|platform| platform.os != "linux") {
            return Err(Error::invalid("operating system is not supported"));
        }
        let names = options.reference.iter().map(name::taggable).collect::<Result<Vec<_>>>()?;
        let run = changes::apply_to(RunConfig::default(), &options.changes)?;
        let lease = self.store().lease();
        let imported = self.import_leased(&lease, archive, options, run).and_then(|image| {
            self.publish(&[(image.clone(), names)])?;
            Ok(image.id)
        });
        drop(lease);
        if imported.is_err() {
            self.sweep();
        }
        imported.map_err(|error| self.on_which_disk(error))
    }

    fn import_leased(
        &self,
        lease: &Lease,
        archive: impl Read + Send,
        options: &ImportOptions,
        run: RunConfig,
    ) -> Result<ImageRecord> {
        let (compression, archive) = stream::look(or_end(archive)?)?;
        let mut ingest = self.store().content().ingest(self.room()?)?;
        let tee = Tee { from: archive, to: &mut ingest };
        let unpacked = self.store().layers().unpack(tee, &UnpackOptions::default()).context(|| "import")?;
        let blob = ingest.commit(lease, None, None)?;
        let layer = self.store().layers().record(lease, None, vec![unpacked])?;
        let layer = layer.into_iter().next().ok_or_else(|| Error::internal("no layer was recorded"))?;
        let config = config(options, run, layer.diff_id);
        Ok(ImageRecord {
            id: self.store().content().put(lease, &config.to_bytes())?,
            manifest: None,
            parent: None,
            created: filter::created(&config).as_second(),
            size: layer.size,
            platform: config.platform().to_string(),
            layers: vec![ImageLayer {
                diff_id: layer.diff_id,
                chain_id: layer.chain_id,
                blob: blob.digest,
                blob_size: blob.size,
                media_type: compression.layer_type().to_owned(),
            }],
            blobs: Vec::new(),
        })
    }
}

/// The end of a tar, of which that of nothing consists (POSIX.1-2017, pax, "ustar Interchange Format").
const END: [u8; 1024] = [0; 1024];

/// The archive; for no bytes at all, which Docker takes, that of nothing.
fn or_end(mut archive: impl Read + Send) -> Result<impl Read + Send> {
    let mut start = Vec::new();
    archive.by_ref().take(1).read_to_end(&mut start).context(|| "read the archive")?;
    if start.is_empty() {
        start.extend(END);
    }
    Ok(Cursor::new(start).chain(archive))
}

fn config(options: &ImportOptions, run: RunConfig, diff_id: Digest) -> ImageConfig {
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    let source = if options.source.is_empty() { "-" } else { &options.source };
    let comment = if options.message.is_empty() { format!("Imported from {source}") } else { options.message.clone() };
    let created = Some(time::now());
    ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        variant: platform.variant.unwrap_or_default(),
        comment: comment.clone(),
        config: run,
        created: created.clone(),
        history: vec![History { created, comment, ..History::default() }],
        rootfs: RootFs { diff_ids: vec![diff_id], ..RootFs::default() },
        ..ImageConfig::default()
    }
}

/// Writes down what is read.
pub(crate) struct Tee<'a, R, W> {
    pub(crate) from: R,
    pub(crate) to: &'a mut W,
}

impl<R: Read, W: Write> Read for Tee<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.to.write_all(&buffer[..length])?;
        Ok(length)
    }
}
