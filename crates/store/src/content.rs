//! Blobs exactly as received, named by their SHA-256: `content/sha256/<hex>`.

mod ingest;

use std::fs::{self, DirEntry, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, Hasher};

use crate::compression::Compression;
use crate::lease::Lease;
use crate::room::Room;
use crate::trash::Trash;

pub use ingest::Ingest;

/// Documents (configs, manifests) are small; a bigger one is an attack on memory.
const DOCUMENT_MAX: u64 = 16 << 20;

/// The blobs of a store.
#[derive(Debug)]
pub struct Content {
    blobs: PathBuf,
    ingest: PathBuf,
    next: AtomicU64,
    trash: Arc<Trash>,
}

/// A blob that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its digest and name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// How long a part of a blob is kept for the next try.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Whether it is a part of a blob, by its name, and not too old.
fn is_wanted(entry: &DirEntry) -> bool {
    let named = entry.file_name().to_str().is_some_and(|hex| Digest::from_hex(hex).is_ok());
    let age = entry.metadata().and_then(|it| it.modified()).ok().and_then(|it| it.elapsed().ok());
    named && age.is_some_and(|age| age < KEPT)
}

impl Content {
    /// Drops what a killed engine was writing, but for parts of blobs that somebody may still want.
    pub(crate) fn open(dir: &Path, trash: &Arc<Trash>) -> Result<Self> {
        let ingest = dir.join("ingest");
        let step = || format!("list {}", ingest.display());
        for entry in fs::read_dir(&ingest).context(step)? {
            let entry = entry.context(step)?;
            if !is_wanted(&entry) {
                trash.discard(&entry.path())?;
            }
        }
        Ok(Self { blobs: dir.join("sha256"), ingest, next: AtomicU64::new(0), trash: Arc::clone(trash) })
    }

    /// Where a blob lies if it is there. For those who need a path; others use [`Content::reader`].
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// Begins to write a blob for which there is so much room. It becomes visible with [`Ingest::commit`].
    ///
    /// # Errors
    /// What the file system says.
    pub fn ingest(&self, room: impl Into<Room>) -> Result<Ingest<'_>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Ingest::begin(self, self.ingest.join(number.to_string()), room.into())
    }

    /// Begins to write a blob whose digest is known, or goes on with what is there of it from an earlier time. Only one may
    /// do so at a time.
    ///
    /// # Errors
    /// What the file system says.
    pub fn resume(&self, digest: &Digest, room: impl Into<Room>) -> Result<Ingest<'_>> {
        Ingest::go_on(self, self.ingest.join(digest.hex()), room.into())
    }

    /// Stores a small blob (a config, a manifest) that is in memory and returns its digest.
    ///
    /// It is not synced: whoever records it calls [`Content::sync`] before.
    ///
    /// # Errors
    /// What the file system says.
    pub fn put(&self, lease: &Lease, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        // One that a disk has damaged is written again.
        if self.hold(lease, &digest)?.is_some() && self.verify(&digest)? {
            return Ok(digest);
        }
        let mut ingest = self.ingest(bytes.len() as u64)?;
        io::Write::write_all(&mut ingest, bytes).context(|| format!("write blob {digest}"))?;
        Ok(ingest.commit(lease, Some(&digest), Some(bytes.len() as u64))?.digest)
    }

    /// Keeps a blob from collection as long as the lease lives, if it is there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn hold(&self, lease: &Lease, digest: &Digest) -> Result<Option<Blob>> {
        let mut blob = None;
        let held = lease.hold_blob(digest, || match self.stat(digest) {
            Ok(Some(found)) => {
                blob = Some(found);
                Ok(())
            }
            Ok(None) => Err(None),
            Err(error) => Err(Some(error)),
        });
        match held {
            Err(Some(error)) => Err(error),
            Ok(()) | Err(None) => Ok(blob),
        }
    }

    /// A blob's size, if it is there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn stat(&self, digest: &Digest) -> Result<Option<Blob>> {
        match fs::symlink_metadata(self.path(digest)) {
            Ok(metadata) => Ok(Some(Blob { digest: *digest, size: metadata.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).context(|| format!("find blob {digest}")),
        }
    }

    /// When anything of a blob was changed last, in nanoseconds since 1970.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when it is not there.
    pub fn changed(&self, digest: &Digest) -> Result<i64> {
        let metadata = fs::symlink_metadata(self.path(digest)).context(|| format!("find blob {digest}"))?;
        Ok(metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()))
    }

    /// Opens a blob for reading. Its bytes were verified when it came; a disk may have damaged them since.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when it is not there.
    pub fn reader(&self, digest: &Digest) -> Result<File> {
        File::open(self.path(digest)).context(|| format!("open blob {digest}"))
    }

    /// How a blob is compressed.
    ///
    /// # Errors
    /// As [`reader`](Self::reader), and [`NotImplemented`](dhow_errdefs::Class::NotImplemented) for bzip2 and xz.
    pub fn compression(&self, digest: &Digest) -> Result<Compression> {
        let looked = Compression::look(self.reader(digest)?).context(|| format!("read blob {digest}"))?;
        Ok(looked.0)
    }

    /// Reads a small blob (a config, a manifest) whole and verifies it.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when it is not there, [`DataLoss`](dhow_errdefs::Class::DataLoss)
    /// when its bytes do not have that digest any more.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.reader(digest)?;
        file.take(DOCUMENT_MAX + 1).read_to_end(&mut bytes).context(|| format!("read blob {digest}"))?;
        if bytes.len() as u64 > DOCUMENT_MAX {
            return Err(Error::exhausted(format!("blob {digest} is larger than {DOCUMENT_MAX} bytes")));
        }
        if Digest::of(&bytes) != *digest {
            return Err(
                Error::data_loss(format!("blob {digest} is damaged")).with_hint("remove the image and get it again")
            );
        }
        Ok(bytes)
    }

    /// Whether a blob still has the bytes that its name says.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when it is not there, or what reading says.
    pub fn verify(&self, digest: &Digest) -> Result<bool> {
        let mut file = self.reader(digest)?;
        let (mut hasher, mut buffer) = (Hasher::new(), vec![0; 256 << 10]);
        loop {
            match file.read(&mut buffer).context(|| format!("read blob {digest}"))? {
                0 => return Ok(hasher.finish() == *digest),
                length => hasher.update(&buffer[..length]),
            }
        }
    }

    /// Deletes a blob, whoever refers to it. Says whether it was there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn delete(&self, digest: &Digest) -> Result<bool> {
        self.trash.discard(&self.path(digest))
    }

    /// All blobs, in no order. Files that are not named like blobs are passed over.
    ///
    /// # Errors
    /// What the file system says.
    pub fn list(&self) -> Result<Vec<Blob>> {
        let step = || format!("list {}", self.blobs.display());
        let mut blobs = Vec::new();
        for entry in fs::read_dir(&self.blobs).context(step)? {
            let entry = entry.context(step)?;
            let digest = entry.file_name().to_str().and_then(|hex| format!("sha256:{hex}").parse().ok());
            if let Some(digest) = digest {
                blobs.push(Blob { digest, size: entry.metadata().context(step)?.len() });
            }
        }
        Ok(blobs)
    }

    /// Puts one small blob on the disk, and the name it has.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when it is not there, or what the file system says: then it may not be
    /// relied on.
    pub fn settle(&self, digest: &Digest) -> Result<()> {
        let folder = File::open(&self.blobs).and_then(|folder| folder.sync_all());
        self.reader(digest)?.sync_all().and(folder).context(|| format!("sync blob {digest}"))
    }

    /// Puts everything written so far on the disk, with one call for the whole file system.
    ///
    /// # Errors
    /// What the file system says: then nothing written before may be relied on.
    pub fn sync(&self) -> Result<()> {
        let dir = File::open(&self.blobs).context(|| format!("open {}", self.blobs.display()))?;
        rustix::fs::syncfs(&dir).map_err(io::Error::from).context(|| format!("sync {}", self.blobs.display()))
    }
}
