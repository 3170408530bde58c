//! The layers of a pull: several at once, each hashed, kept and unpacked while it comes.

use std::io::{self, BufRead, Read, Write};

use bytes::{Buf, Bytes};
use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::{Descriptor, Digest, media};
use dhow_store::{Blob, Ingest, LayerRecord, UnpackOptions, Unpacked};

use super::flights::Flight;
use super::{LayerNews, Pull, PullEvent};
use crate::install::{Installer, Source};
use crate::parallel::in_parallel;
use crate::registry::Fetch;
use crate::stream::PIECE;

/// How many layers come at once, as in Docker.
const PARALLEL: usize = 3;

/// A layer that is here: its blob, and what it became if it was unpacked on the way.
type Layer<'a> = (Source, Option<Unpacked<'a>>);

/// What there is of a layer before it is pulled.
#[derive(Debug, Clone, Copy)]
struct State {
    /// It is unpacked already.
    held: bool,
    /// What was unpacked is damaged.
    damaged: bool,
}

impl Pull<'_> {
    /// Fetches the layers that are missing. Those that come are unpacked, unless they are unpacked already.
    pub(super) fn layers<'i>(
        &self,
        installer: &'i Installer<'_>,
        descriptors: &[Descriptor],
        diff_ids: &[Digest],
    ) -> Result<(Vec<Source>, Vec<Option<Unpacked<'i>>>)> {
        descriptors.iter().try_for_each(check)?;
        descriptors.iter().for_each(|descriptor| self.say(descriptor, LayerNews::Announced));
        let held = installer.held(diff_ids)?;
        // What is healed is healed from its blob.
        let damaged = |at: usize| {
            let layer: Option<&LayerRecord> = held.get(at);
            layer.is_some_and(|layer| !installer.store.layers().look_over(layer).is_ok_and(|damage| damage.is_empty()))
        };
        let arrived = in_parallel(descriptors.len(), PARALLEL, |at| {
            let state = State { held: at < held.len(), damaged: damaged(at) };
            self.layer(installer, &descriptors[at], &diff_ids[at], state)
        })?;
        Ok(arrived.into_iter().unzip())
    }

    fn layer<'i>(
        &self,
        installer: &'i Installer<'_>,
        descriptor: &Descriptor,
        diff_id: &Digest,
        state: State,
    ) -> Result<Layer<'i>> {
        let flight = self.flights.enter(descriptor.digest, self.repository.base(), self.options.cancelled)?;
        let source = |blob| Source::new(blob, Some(descriptor.media_type.clone()));
        // What is to be unpacked is read anyway: one that was damaged here is fetched again.
        let here = if state.held && !state.damaged { self.here(descriptor)? } else { self.sound(descriptor)? };
        if let Some(blob) = here {
            self.say(descriptor, if state.held { LayerNews::Exists } else { LayerNews::Verified });
            // What is here but not unpacked is unpacked by the installer.
            return Ok((source(blob), None));
        }
        let step = || format!("pull layer {}", descriptor.digest);
        if state.held {
            let blob = self.blob(descriptor, &|news| self.say(descriptor, news)).context(step)?;
            // Here, beside others that still come.
            installer.verify(&blob, diff_id).context(step)?;
            self.say(descriptor, LayerNews::Exists);
            return Ok((Source { verified: true, ..source(blob) }, None));
        }
        let (blob, unpacked) = self.unpacked(installer, descriptor, diff_id, &flight).context(step)?;
        self.say(descriptor, LayerNews::Complete);
        Ok((source(blob), Some(unpacked)))
    }

    /// A blob, fetched if it is not here.
    pub(super) fn blob(&self, descriptor: &Descriptor, say: &(dyn Fn(LayerNews) + Sync)) -> Result<Blob> {
        if let Some(blob) = self.sound(descriptor)? {
            return Ok(blob);
        }
        let bring = |way: Way| {
            let ingest = self.images.store().content().ingest(descriptor.size)?;
            let mut arrival = Arrival::new(self.fetch(descriptor, way), ingest, descriptor.size, say);
            arrival.drain()?;
            let in_parts = arrival.fetch.came_in_parts();
            let blob = arrival.ingest.commit(self.lease, Some(&descriptor.digest), Some(descriptor.size));
            Ok::<_, Error>((blob, in_parts))
        };
        match bring(Way::AsItMay)? {
            (Err(_), true) => bring(Way::AsOne)?.0,
            (blob, _) => blob,
        }
    }

    /// A layer that comes and is unpacked. What an engine left of it that was killed, or a pull that was cut, is taken if
    /// it is good.
    fn unpacked<'i>(
        &self,
        installer: &'i Installer<'_>,
        descriptor: &Descriptor,
        diff_id: &Digest,
        flight: &Flight<'_>,
    ) -> Result<(Blob, Unpacked<'i>)> {
        for way in [Way::AsItMay, Way::AsOne] {
            let ingest = self.begun(descriptor, flight)?;
            if let Arrived::Whole(blob, unpacked) = self.arrive(installer, descriptor, diff_id, (way, ingest))? {
                return Ok((blob, unpacked));
            }
        }
        Err(Error::data_loss(format!("what is here of blob {} stays damaged", descriptor.digest)))
    }

    fn arrive<'i>(
        &self,
        installer: &'i Installer<'_>,
        descriptor: &Descriptor,
        diff_id: &Digest,
        (way, ingest): (Way, Ingest<'_>),
    ) -> Result<Arrived<'i>> {
        let say = |news| self.say(descriptor, news);
        let mut arrival = Arrival::new(self.fetch(descriptor, way), ingest, descriptor.size, &say);
        let options = UnpackOptions { diff_id: Some(*diff_id), ..UnpackOptions::default() };
        let unpacked = installer.store.layers().unpack_buffered(&mut arrival, &options);
        // Whatever the unpacker says: what came may not be what was promised, and then that is the failure.
        if let Err(error) = arrival.drain() {
            if may_come_later(&error) {
                arrival.ingest.leave();
            }
            return Err(error);
        }
        let patched = arrival.replayed > 0 || arrival.fetch.came_in_parts();
        match arrival.ingest.commit(self.lease, Some(&descriptor.digest), Some(descriptor.size)) {
            Ok(blob) => {
                let unpacked = unpacked?;
                self.say(descriptor, LayerNews::Verified);
                Ok(Arrived::Whole(blob, unpacked))
            }
            // A power cut may have left anything, and a registry may not be able to count; without what was here, and as
            // one stream, the next try begins at the beginning.
            Err(_) if patched => Ok(Arrived::Spoiled),
            Err(error) => Err(error),
        }
    }

    /// Where the layer is kept while it comes: what came of it before is for one only.
    fn begun(&self, descriptor: &Descriptor, flight: &Flight<'_>) -> Result<Ingest<'_>> {
        let content = self.images.store().content();
        match flight.first {
            true => content.resume(&descriptor.digest, descriptor.size),
            false => content.ingest(descriptor.size),
        }
    }

    fn here(&self, descriptor: &Descriptor) -> Result<Option<Blob>> {
        let found = self.images.store().content().hold(self.lease, &descriptor.digest)?;
        // One of another size is damaged, and fetched again.
        Ok(found.filter(|blob| blob.size == descriptor.size))
    }

    fn sound(&self, descriptor: &Descriptor) -> Result<Option<Blob>> {
        let Some(blob) = self.here(descriptor)? else { return Ok(None) };
        Ok(self.images.store().content().verify(&blob.digest)?.then_some(blob))
    }

    fn fetch(&self, descriptor: &Descriptor, way: Way) -> Fetch<'_> {
        let blob = (descriptor.digest, descriptor.size);
        Fetch::new(self.repository, blob, way == Way::AsItMay)
    }

    fn say(&self, descriptor: &Descriptor, news: LayerNews) {
        (self.progress)(PullEvent::Layer { blob: descriptor.digest, news });
    }
}

/// Only layers that a registry may pass on, in forms that can be unpacked.
fn check(descriptor: &Descriptor) -> Result<()> {
    let Descriptor { media_type, digest, .. } = descriptor;
    if media_type.contains("foreign") || media_type.contains("nondistributable") || !descriptor.urls.is_empty() {
        return Err(Error::not_implemented(format!(
            "layer {digest} is a foreign layer, to be had only from its maker"
        )));
    }
    if !media::is_layer(media_type) {
        return Err(Error::not_implemented(format!("unsupported media type {media_type:?} of layer {digest}")));
    }
    Ok(())
}

/// A blob that comes: kept, and told about, as it is read.
struct Arrival<'a> {
    fetch: Fetch<'a>,
    ingest: Ingest<'a>,
    total: u64,
    told: u64,
    /// Bytes that were here from an earlier time.
    replayed: u64,
    /// Kept, and not read yet.
    piece: Bytes,
    say: &'a (dyn Fn(LayerNews) + Sync + 'a),
    /// What went wrong on the way, as it was before it became an error of reading.
    failure: Option<Error>,
}

impl<'a> Arrival<'a> {
    fn new(fetch: Fetch<'a>, ingest: Ingest<'a>, total: u64, say: &'a (dyn Fn(LayerNews) + Sync + 'a)) -> Self {
        Self { fetch, ingest, total, told: 0, replayed: 0, piece: Bytes::new(), say, failure: None }
    }

    /// Reads what is left.
    fn drain(&mut self) -> Result<()> {
        if self.failure.is_none() {
            while let Ok(length) = self.fill_buf().map(<[u8]>::len)
                && length > 0
            {
                self.consume(length);
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Not more often than the eye can see.
    fn tell(&mut self) {
        let size = self.ingest.size();
        if size == self.total || size - self.told >= self.total / 50 + (256 << 10) {
            self.told = size;
            (self.say)(LayerNews::Downloading(size, self.total));
        }
    }
}

/// How a blob comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A large one in parts, where the registry knows ranges.
    AsItMay,
    /// As one stream.
    AsOne,
}

/// What came of one try to get a layer.
enum Arrived<'a> {
    Whole(Blob, Unpacked<'a>),
    /// What was here of it was not good.
    Spoiled,
}

/// Whether what has come so far is of use to a later pull.
fn may_come_later(error: &Error) -> bool {
    matches!(error.class(), Class::Unavailable | Class::Cancelled | Class::DeadlineExceeded)
}

impl Arrival<'_> {
    /// First what is here from an earlier time, then what comes.
    fn next(&mut self) -> Result<Bytes> {
        if self.ingest.size() == self.replayed {
            let mut here = vec![0; PIECE];
            let length = self.ingest.replay(&mut here).context(|| "read what is here of a blob")?;
            here.truncate(length);
            if !here.is_empty() {
                self.replayed += here.len() as u64;
                return Ok(here.into());
            }
            self.fetch.start_at(self.replayed);
        }
        let piece = self.fetch.piece()?;
        self.ingest.write_all(&piece).context(|| "keep a blob")?;
        Ok(piece)
    }
}

impl BufRead for Arrival<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() {
            match self.next() {
                Ok(piece) => {
                    self.piece = piece;
                    if !self.piece.is_empty() {
                        self.tell();
                    }
                }
                Err(error) => {
                    let kind = io::Error::other(error.to_string());
                    self.failure.get_or_insert(error);
                    return Err(kind);
                }
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, length: usize) {
        self.piece.advance(length);
    }
}

impl Read for Arrival<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_and_unknown_layers_are_refused() {
        let layer = |media_type: &str| check(&Descriptor::new(media_type, Digest::of(b""), 0));
        assert!(layer(media::OCI_LAYER_ZSTD).is_ok());
        for media_type in ["application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "text/plain"] {
            assert!(layer(media_type).is_err(), "{media_type}");
        }
    }
}
