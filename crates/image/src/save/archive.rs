//! The tar.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use dhow_errdefs::{Result, ResultExt};
use dhow_oci::Digest;
use dhow_store::Store;
use tar::{Builder, EntryType, Header};

use super::{Bytes, Member, documents};
use crate::stream;

/// Writes the blobs and the documents, in the same order with the same headers every time. `made`: when the last image was.
pub(super) fn write(
    store: &Store,
    blobs: &BTreeMap<Digest, Member>,
    made: u64,
    documents: &[(&str, Vec<u8>)],
    archive: impl Write,
) -> Result<()> {
    let mut tar = Builder::new(archive);
    let step = || "write the archive";
    for (folder, made) in [("blobs/", made), ("blobs/sha256/", 0)] {
        append(&mut tar, folder, made, 0, &[][..]).context(step)?;
    }
    for (digest, Member { bytes, made }) in blobs {
        append(&mut tar, &documents::path(digest), *made, bytes.size(), open(store, digest, bytes)?)
            .context(|| format!("write blob {digest}"))?;
    }
    for (name, document) in documents {
        append(&mut tar, name, 0, document.len() as u64, document.as_slice()).context(step)?;
    }
    tar.into_inner().context(step)?.flush().context(step)
}

fn open<'a>(store: &'a Store, digest: &Digest, bytes: &'a Bytes) -> Result<Box<dyn Read + 'a>> {
    Ok(match bytes {
        Bytes::Stored(_) => Box::new(store.content().reader(digest)?),
        Bytes::Inflated { blob, .. } => Box::new(stream::open(store.content().reader(blob)?)?.1),
        Bytes::Made(bytes) => Box::new(bytes.as_slice()),
    })
}

/// A member that belongs to nobody. `made`: seconds since 1970.
fn append<W: Write>(tar: &mut Builder<W>, name: &str, made: u64, size: u64, contents: impl Read) -> io::Result<()> {
    let (kind, mode) = if name.ends_with('/') { (EntryType::Directory, 0o755) } else { (EntryType::Regular, 0o644) };
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(made);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_cksum();
    tar.append(&header, Exactly { contents, left: size })
}

/// As many bytes as the header says: a blob that was cut must not shift everything behind it.
struct Exactly<R> {
    contents: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.contents.read(&mut buffer[..most])?;
        if length == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends too early"));
        }
        self.left -= length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_short_is_an_error_and_what_is_too_long_is_cut() {
        let mut tar = Builder::new(Vec::new());
        append(&mut tar, "a", 0, 2, &b"abc"[..]).unwrap();
        assert_eq!(append(&mut tar, "b", 0, 4, &b"abc"[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
