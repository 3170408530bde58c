//! From received bytes to the tar: one thread inflates, one hashes, the caller's unpacks.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, ScopedJoinHandle};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, Hasher};

use super::Limits;
use crate::compression::Compression;
use crate::pieces::Pieces;
use crate::room::Room;

/// Large enough that a hand-over costs nothing beside its work, small enough to stay in the cache of a core.
pub(super) const PIECE: usize = 256 << 10;

/// How many pieces may wait: bounds memory, and lets neither side starve when the other one stalls for a moment.
const WAITING: usize = 8;

type Piece = Arc<[u8]>;

/// The uncompressed archive.
pub(super) type Tar = Pieces<Piece>;

/// Runs `unpack` on the uncompressed archive and returns what it makes of it with the digest of the whole.
///
/// `unpack` must read to the end.
pub(super) fn run<T>(
    archive: impl BufRead + Send,
    limits: &Limits,
    room: Room,
    unpack: impl FnOnce(Tar) -> Result<T>,
) -> Result<(T, Digest)> {
    let (pieces, tar) = Pieces::channel(WAITING);
    let (to_hash, hashed) = mpsc::sync_channel(WAITING);
    thread::scope(|scope| {
        let guard = Guard { limits: *limits, room, out: 0 };
        let inflater = spawn(scope, "inflate", move || {
            let result = inflate(archive, guard, &pieces, &to_hash);
            if let Err(error) = result {
                // Nobody listens any more: then there is an error already.
                let _ = pieces.send(Err(error));
            }
        })?;
        let hasher = spawn(scope, "hash", move || hash(&hashed))?;
        let value = unpack(tar)?;
        let gone = |_| Error::internal("a thread that unpacks layers died");
        inflater.join().map_err(gone)?;
        Ok((value, hasher.join().map_err(gone)?))
    })
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name(name.into()).spawn_scoped(scope, body).context(|| format!("start thread {name}"))
}

fn hash(pieces: &Receiver<Piece>) -> Digest {
    let mut hasher = Hasher::new();
    while let Ok(piece) = pieces.recv() {
        hasher.update(&piece);
    }
    hasher.finish()
}

fn inflate(
    archive: impl BufRead,
    mut guard: Guard,
    tar: &SyncSender<io::Result<Piece>>,
    hash: &SyncSender<Piece>,
) -> io::Result<()> {
    let received = AtomicU64::new(0);
    let (compression, archive) = Compression::look(Counted { inner: archive, count: &received })?;
    let mut archive = compression.decode(archive)?;
    let mut spare = Spare::default();
    loop {
        let (piece, length) = spare.filled(&mut archive)?;
        guard.check(length as u64, received.load(Ordering::Relaxed))?;
        let last = length < PIECE;
        let piece = if last { Arc::from(&piece[..length]) } else { piece };
        let sent = length == 0 || (hash.send(Arc::clone(&piece)).is_ok() && tar.send(Ok(piece)).is_ok());
        if last || !sent {
            // The unpacker gave up, if it did; it knows why.
            return Ok(());
        }
    }
}

/// Pieces that were handed out, the earliest first: each is used again when both readers have let it go.
#[derive(Default)]
struct Spare(VecDeque<Piece>);

impl Spare {
    /// A piece, and how much of it was filled: all but at the end.
    fn filled(&mut self, archive: &mut impl Read) -> io::Result<(Piece, usize)> {
        let free = self.0.pop_front_if(|piece| Arc::get_mut(piece).is_some());
        let mut piece = free.unwrap_or_else(|| Arc::from(vec![0; PIECE]));
        let taken = || io::Error::other("a piece of an archive is in use and was to be filled");
        let length = fill(archive, Arc::get_mut(&mut piece).ok_or_else(taken)?)?;
        self.0.push_back(Arc::clone(&piece));
        Ok((piece, length))
    }
}

/// Reads until the buffer is full or the end.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Watches how much comes out.
#[derive(Debug)]
struct Guard {
    limits: Limits,
    room: Room,
    out: u64,
}

impl Guard {
    fn check(&mut self, more: u64, received: u64) -> io::Result<()> {
        self.out += more;
        self.room.check(self.out, "the archive becomes")?;
        let over = |what: String| Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        if self.out > self.limits.ratio_from && self.out / self.limits.ratio > received {
            return over(format!("the archive becomes more than {} times as large as it is", self.limits.ratio));
        }
        Ok(())
    }
}

struct Counted<'a, R> {
    inner: R,
    count: &'a AtomicU64,
}

impl<R: BufRead> BufRead for Counted<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.inner.consume(length);
        self.count.fetch_add(length as u64, Ordering::Relaxed);
    }
}

impl<R: BufRead> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}
