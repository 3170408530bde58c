//! A blob that is being written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::{Digest, Hasher};

use super::{Blob, Content};
use crate::lease::Lease;
use crate::room::Room;

/// What is shorter is fetched again as fast as it is looked for.
const WORTH: u64 = 256 << 10;

/// After so many bytes the disk is asked to begin, so that the sync at the end is short.
const BEHIND: u64 = 8 << 20;

/// A blob that is being written: hashed on the way, invisible until [committed](Ingest::commit), gone when dropped.
///
/// One that was [resumed](Content::resume) has to be read again up to where it was cut before more is written.
#[derive(Debug)]
pub struct Ingest<'a> {
    content: &'a Content,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    size: u64,
    room: Room,
    /// Bytes that the disk was asked to write.
    begun: u64,
    /// It has the name of what it is to become, so that somebody may go on with it.
    resumable: bool,
    /// It has its name, or is left for the next one who wants it.
    kept: bool,
}

impl<'a> Ingest<'a> {
    pub(super) fn begin(content: &'a Content, path: PathBuf, room: Room) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(&path).context(|| format!("create {}", path.display()))?;
        Ok(Self { content, path, file, hasher: Hasher::new(), size: 0, room, begun: 0, resumable: false, kept: false })
    }

    pub(super) fn go_on(content: &'a Content, path: PathBuf, room: Room) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).context(|| format!("open {}", path.display()))?;
        Ok(Self { content, path, file, hasher: Hasher::new(), size: 0, room, begun: 0, resumable: true, kept: false })
    }

    /// Reads on in what is there from an earlier time; 0 when there is no more of it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn replay(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        self.size += length as u64;
        self.begun = self.size;
        Ok(length)
    }

    /// Leaves what has come for the next one who wants this blob, if it is worth it and can be found again.
    pub fn leave(mut self) {
        self.kept = self.resumable && self.size >= WORTH;
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
        self.kept = true;
        Ok(Blob { digest: found, size: self.size })
    }
}

impl Write for Ingest<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room.check(self.size + bytes.len() as u64, "the blob is")?;
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        if self.size - self.begun >= BEHIND {
            // Whether it does is for the sync to find out.
            let _ = dhow_sys::writeback::begin(&self.file, self.begun, self.size - self.begun);
            self.begun = self.size;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Ingest<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // If even that fails, the next start finds it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
