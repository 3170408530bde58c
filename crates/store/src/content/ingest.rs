//! A blob that is being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, Hasher};

use super::{Blob, Content};
use crate::lease::Lease;
use crate::room::Room;

/// A blob that is being written: hashed on the way, invisible until [committed](Ingest::commit), gone when dropped.
#[derive(Debug)]
pub struct Ingest<'a> {
    content: &'a Content,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    room: Room,
    published: bool,
}

impl<'a> Ingest<'a> {
    pub(super) fn begin(content: &'a Content, path: PathBuf, room: Room) -> Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .context(|| format!("create {}", path.display()))?;
        Ok(Self { content, path, file, hasher: Hasher::new(), size: 0, room, published: false })
    }

    /// How many bytes were written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Verifies the blob and makes it visible, held by `lease`. A blob that is there already is kept.
    ///
    /// It is not synced: whoever records it calls [`Content::sync`] before.
    ///
    /// # Errors
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when size or digest are not the expected ones: nothing is left then.
    pub fn commit(mut self, lease: &Lease, digest: Option<&Digest>, size: Option<u64>) -> Result<Blob> {
        if let Some(expected) = size
            && expected != self.size
        {
            return Err(Error::data_loss(format!("blob has {} bytes, expected {expected}", self.size)));
        }
        let found = std::mem::take(&mut self.hasher).finish();
        if let Some(expected) = digest
            && *expected != found
        {
            return Err(Error::data_loss(format!("blob has digest {found}, expected {expected}")));
        }
        let target = self.content.path(&found);
        lease.hold_blob(&found, || fs::rename(&self.path, &target)).context(|| format!("publish blob {found}"))?;
        self.published = true;
        Ok(Blob { digest: found, size: self.size })
    }
}

impl Write for Ingest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room.check(self.size + bytes.len() as u64, "the blob is")?;
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ingest<'_> {
    fn drop(&mut self) {
        if !self.published {
            // If even that fails, the next start finds it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
