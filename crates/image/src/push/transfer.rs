//! One blob to a registry: read, compressed if need be and hashed on one thread while another sends.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bytes::Bytes;
use dhow_errdefs::{Class, Error, Result};
use dhow_oci::{Descriptor, Digest, Hasher};
use dhow_store::ImageLayer;

use super::Push;
use crate::registry::{Offer, Upload};

/// How often a blob is sent from its beginning.
const TRIES: usize = 3;

/// Told how many bytes were read of what lies here.
type Say<'a> = &'a (dyn Fn(u64) + Sync + 'a);

/// Sends a blob as it lies here.
pub(super) fn stored(push: &Push<'_>, digest: &Digest, say: Say<'_>) -> Result<()> {
    again(|| {
        let file = push.images.store().content().reader(digest)?;
        send(push, Told { inner: file, read: 0, told: 0, say }, Some(digest)).map(drop)
    })
}

/// Compresses a layer while it is sent, and says what came of it.
pub(super) fn compressed(push: &Push<'_>, layer: &ImageLayer, say: Say<'_>) -> Result<Descriptor> {
    let compression = push.options.compression;
    again(|| {
        let file = push.images.store().content().reader(&layer.blob)?;
        let packed = compression.of(Told { inner: file, read: 0, told: 0, say })?;
        let (digest, size) = send(push, packed, None)?;
        Ok(Descriptor::new(compression.layer_type(), digest, size))
    })
}

/// From the beginning, where a registry lost its place.
fn again<T>(mut work: impl FnMut() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match work() {
            Err(error) if error.class() == Class::Unavailable && tries < TRIES => tries += 1,
            done => return done,
        }
    }
}

fn send(push: &Push<'_>, from: impl Read + Send, digest: Option<&Digest>) -> Result<(Digest, u64)> {
    let upload = match push.repository.offer(None)? {
        Offer::Wanted(upload) => upload,
        // Nothing was to be taken over: a registry that answers like that has nothing to be sent.
        Offer::Mounted => return Err(Error::internal("the registry took over what was not offered")),
    };
    let length = upload.piece();
    let (sender, pieces) = sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || read(from, length, &sender));
        deliver(push, upload, &pieces, digest)
    })
}

/// A piece, or the last one with the digest and the length of everything.
enum Piece {
    More(Bytes),
    Last(Bytes, Digest, u64),
}

fn read(mut from: impl Read, length: usize, pieces: &SyncSender<Result<Piece>>) {
    let (mut hasher, mut total) = (Hasher::new(), 0);
    loop {
        let mut buffer = Vec::with_capacity(length);
        let read = from.by_ref().take(length as u64).read_to_end(&mut buffer);
        if let Err(error) = read {
            let failed = Error::new(error.kind().into(), "read a blob").with_cause(error);
            // Whoever does not listen any more has failed already.
            drop(pieces.send(Err(failed)));
            return;
        }
        hasher.update(&buffer);
        total += buffer.len() as u64;
        let last = buffer.len() < length;
        let piece = match last {
            true => Piece::Last(buffer.into(), std::mem::take(&mut hasher).finish(), total),
            false => Piece::More(buffer.into()),
        };
        if pieces.send(Ok(piece)).is_err() || last {
            return;
        }
    }
}

fn deliver(
    push: &Push<'_>,
    mut upload: Upload<'_>,
    pieces: &Receiver<Result<Piece>>,
    expected: Option<&Digest>,
) -> Result<(Digest, u64)> {
    loop {
        push.options.cancelled.check()?;
        let piece = pieces.recv().map_err(|_| Error::internal("the thread that reads a blob died"))??;
        match piece {
            Piece::More(bytes) => upload.send(&bytes)?,
            Piece::Last(_, found, _) if expected.is_some_and(|expected| *expected != found) => {
                return Err(damaged(expected.unwrap_or(&found)));
            }
            Piece::Last(bytes, digest, total) => {
                upload.finish(&bytes, &digest)?;
                return Ok((digest, total));
            }
        }
    }
}

fn damaged(digest: &Digest) -> Error {
    Error::data_loss(format!("blob {digest} is damaged"))
        .with_hint("pull the image again, or `dhow system check --repair`")
}

/// Tells how far it is, not more often than the eye can see.
struct Told<'a, R> {
    inner: R,
    read: u64,
    told: u64,
    say: Say<'a>,
}

impl<R: Read> Read for Told<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read += length as u64;
        if self.read - self.told >= 1 << 20 || (length == 0 && self.told < self.read) {
            self.told = self.read;
            (self.say)(self.read);
        }
        Ok(length)
    }
}
