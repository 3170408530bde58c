//! The reader of tars for others who read archives that they do not trust.

use std::io::{self, BufRead, Read};

use dhow_errdefs::Result;

use dhow_archive::{Archive, Kind};

/// Reads a tar from the beginning to the end. What it holds in memory is bounded whatever the archive says.
///
/// After [`next`](TarReader::next) returned a file, its contents are read with [`Read`].
#[derive(Debug)]
pub struct TarReader<R> {
    archive: Archive<R>,
}

/// A member of a tar. Its names are as written: they may be absolute, and they may try to climb.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TarMember {
    /// Its name.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: TarMemberKind,
}

/// What a member of a tar is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TarMemberKind {
    /// A file of that many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A symbolic link to a name relative to its own folder.
    Symlink(Vec<u8>),
    /// Another name of the member with this one.
    Hardlink(Vec<u8>),
    /// A device, a pipe, or a file with holes: nothing that belongs into an archive of documents.
    Other,
}

impl<R: BufRead> TarReader<R> {
    /// Begins to read.
    pub fn new(input: R) -> Self {
        Self { archive: Archive::new(input, false) }
    }

    /// The next member; none at the end marker. Contents of the one before that were not read are passed over.
    ///
    /// # Errors
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when the archive is damaged or ends too early,
    /// [`ResourceExhausted`](dhow_errdefs::Class::ResourceExhausted) when a name is longer than a name can be.
    #[expect(clippy::should_implement_trait, reason = "the members borrow the reader's contents, in turn")]
    pub fn next(&mut self) -> Result<Option<TarMember>> {
        let Some(entry) = self.archive.next()? else { return Ok(None) };
        let kind = match entry.kind {
            Kind::File { size, extents: None } => TarMemberKind::File(size),
            Kind::Directory => TarMemberKind::Folder,
            Kind::Symlink(target) => TarMemberKind::Symlink(target),
            Kind::Hardlink(target) => TarMemberKind::Hardlink(target),
            _ => TarMemberKind::Other,
        };
        Ok(Some(TarMember { path: entry.path, kind }))
    }

    /// Reads on to the end of the stream, where only zeros may follow.
    ///
    /// # Errors
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when something else follows.
    pub fn finish(self) -> Result<()> {
        self.archive.finish()
    }
}

/// The contents of the present file.
impl<R: BufRead> Read for TarReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.archive.contents().map_err(io::Error::other)?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.archive.consume(length);
        Ok(length)
    }
}
