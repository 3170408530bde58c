//! Layers that are unpacked while their archive is still being read.
//!
//! Which members of an archive are layers is said at its end, or anywhere. What looks like one is unpacked on the way, into
//! a folder that goes away again unless it turns out to be a layer of an image that is wanted. Nothing is believed of it:
//! what fails here, or has another digest than it should, is unpacked again later, and then the failure is told.

use std::io;
use std::sync::mpsc::{self, SyncSender};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;
use dhow_store::{Compression, Layers, Pieces, UnpackOptions, Unpacked};

/// A smaller one is unpacked faster than a thread is started for it.
const WORTH: u64 = 64 << 10;

/// How many pieces may wait for the unpacker.
const WAITING: usize = 32;

/// Where a tar says that it is one (POSIX.1-2024 `pax`, "ustar Interchange Format").
const MAGIC: std::ops::Range<usize> = 257..262;

/// What the beginning of a member looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Like an uncompressed layer.
    Plain,
    /// Like a compressed one.
    Packed,
}

impl Look {
    /// Of a member of that size which begins like that; nothing where it is no layer, or so small that it does not matter.
    pub(super) fn of(start: &[u8], size: u64) -> Option<Self> {
        let is_tar = start.get(MAGIC) == Some(b"ustar");
        match Compression::of(start) {
            _ if size < WORTH => None,
            Ok(Compression::Gzip | Compression::Zstd) => Some(Self::Packed),
            Ok(Compression::None) if is_tar => Some(Self::Plain),
            _ => None,
        }
    }
}

/// A layer on its way into a folder.
pub(super) struct Ahead<'scope, 's> {
    /// Nothing once the unpacker has given up.
    pieces: Option<SyncSender<io::Result<Box<[u8]>>>>,
    digest: SyncSender<Digest>,
    unpacker: ScopedJoinHandle<'scope, Option<Unpacked<'s>>>,
}

impl<'scope, 's: 'scope> Ahead<'scope, 's> {
    pub(super) fn begin(scope: &'scope Scope<'scope, '_>, layers: &'s Layers, look: Look, size: u64) -> Result<Self> {
        let (sender, pieces) = Pieces::channel(WAITING);
        let (digest, told) = mpsc::sync_channel::<Digest>(1);
        let told = move || told.recv().map_err(|_| Error::cancelled("the blob did not come whole"));
        let unpack = move || match look {
            Look::Plain => layers.unpack_plain(pieces, size, told),
            Look::Packed => layers.unpack_buffered(pieces, &UnpackOptions::default()),
        };
        let unpacker = Builder::new().name("unpack".into()).spawn_scoped(scope, || unpack().ok());
        let unpacker = unpacker.context(|| "start a thread that unpacks a layer")?;
        Ok(Self { pieces: Some(sender), digest, unpacker })
    }

    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.pieces = self.pieces.take().filter(|pieces| pieces.send(Ok(piece.into())).is_ok());
    }

    /// What became of a blob that has all come and has that digest, if it was a layer.
    pub(super) fn finish(self, digest: Digest) -> Option<Unpacked<'s>> {
        drop(self.pieces);
        // Whoever does not listen has failed, or needs no digest.
        let _ = self.digest.send(digest);
        self.unpacker.join().ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_layer_is_unpacked_ahead() {
        let mut tar = vec![0; 512];
        tar[MAGIC].copy_from_slice(b"ustar");
        assert_eq!(Look::of(&tar, WORTH), Some(Look::Plain));
        assert_eq!(Look::of(&tar, WORTH - 1), None);
        assert_eq!(Look::of(&[0x1f, 0x8b, 8, 0], WORTH), Some(Look::Packed));
        assert_eq!(Look::of(b"{\"config\":", WORTH), None);
        assert_eq!(Look::of(b"BZh91AY&SY", WORTH), None);
    }
}
