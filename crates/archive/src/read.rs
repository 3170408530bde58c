//! Reads the entries of a tar: framing, long names, PAX records, sparse maps.
//!
//! The `tar` crate gives the view of a header block; the framing is our own, because it must bound what an archive can
//! make us hold in memory, know sparse files of PAX, and refuse what two readers would read differently.
//!
//! Sources: POSIX.1-2024 `pax`, "pax Interchange Format"; GNU tar manual, "Basic Tar Format" and "Storing Sparse Files";
//! where they leave a choice, what Go's `archive/tar` does, because that is what made and reads the images of the world.

mod entry;
mod field;
mod pax;
mod sparse;

use std::fs::File;
use std::io::BufRead;
use std::os::unix::fs::FileExt;

use dhow_errdefs::{Error, Result, ResultExt};
use tar::{EntryType, Header};

use entry::Long;

pub use entry::{Entry, Kind, Time};
pub use sparse::Extent;

/// The unit of a tar, in bytes.
pub(crate) const BLOCK: usize = 512;

/// The longest record that is read into memory: PAX records hold names, link targets and extended attributes.
const RECORD_MAX: u64 = 1 << 20;

/// A tar that is being read.
#[derive(Debug)]
pub struct Archive<R> {
    input: R,
    /// Bytes of contents of the present entry that were not read yet.
    remaining: u64,
    /// Bytes between these contents and the next header.
    padding: u64,
    /// Whether the end marker may be missing, because the whole stream is checked by a digest.
    lenient: bool,
}

impl<R: BufRead> Archive<R> {
    /// Begins to read. `lenient`: the end marker may be missing.
    pub fn new(input: R, lenient: bool) -> Self {
        Self { input, remaining: 0, padding: 0, lenient }
    }

    /// The next entry; none at the end marker. Contents of the entry before that were not read are passed over.
    ///
    /// # Errors
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when the archive is damaged or ends too early,
    /// [`ResourceExhausted`](dhow_errdefs::Class::ResourceExhausted) when a name is longer than a name can be.
    #[expect(clippy::should_implement_trait, reason = "the entries borrow the archive's contents, in turn")]
    pub fn next(&mut self) -> Result<Option<Entry>> {
        let mut long = Long::default();
        loop {
            self.pass_over()?;
            let Some(block) = self.header()? else {
                return if long.is_empty() { Ok(None) } else { Err(truncated("a long name has no entry")) };
            };
            let header = Header::from_byte_slice(&block);
            self.frame(field::size(header)?)?;
            match header.entry_type() {
                EntryType::GNULongName => long.name = Some(text(self.record("a long name")?)),
                EntryType::GNULongLink => long.link = Some(text(self.record("a long link target")?)),
                EntryType::XHeader => long.pax = pax::parse(&self.record("a PAX record")?)?,
                // Docker passes over global records too: comments, mostly.
                EntryType::XGlobalHeader => {}
                // A volume label of GNU tar.
                kind if kind.as_byte() == b'V' => {}
                _ => return self.entry(header, long).map(Some),
            }
        }
    }

    /// The next piece of the present entry's contents; empty at their end. To be [consumed](Self::consume).
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn contents(&mut self) -> Result<&[u8]> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let piece = self.input.fill_buf().context(|| "read the archive")?;
        if piece.is_empty() {
            return Err(truncated("in the contents of a file"));
        }
        let length = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(piece.len());
        Ok(&piece[..length])
    }

    /// Writes one extent of the present entry's contents into a file, at its place; `step` names the writing in errors,
    /// `seen` is shown every byte.
    ///
    /// # Errors
    /// As [`next`](Self::next), or what writing says.
    pub fn copy_to(
        &mut self,
        file: &File,
        extent: Extent,
        step: impl Fn() -> String,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<()> {
        let Extent { mut offset, length: mut left } = extent;
        while left > 0 {
            let piece = self.contents()?;
            if piece.is_empty() {
                return Err(Error::data_loss("the archive has less data than it says"));
            }
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            file.write_all_at(&piece[..length], offset).context(&step)?;
            seen(&piece[..length]);
            self.consume(length);
            (offset, left) = (offset + length as u64, left - length as u64);
        }
        Ok(())
    }

    /// Says that `length` bytes of the last piece were used.
    pub fn consume(&mut self, length: usize) {
        self.input.consume(length);
        self.remaining -= length as u64;
    }

    /// After the end marker: reads on to the end of the stream, where only zeros may follow.
    ///
    /// # Errors
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when something else follows.
    pub fn finish(mut self) -> Result<()> {
        loop {
            let rest = self.input.fill_buf().context(|| "read the archive")?;
            if rest.is_empty() {
                return Ok(());
            }
            if rest.iter().any(|byte| *byte != 0) {
                return Err(Error::data_loss("the archive has other data after its end"));
            }
            let length = rest.len();
            self.input.consume(length);
        }
    }

    fn frame(&mut self, size: u64) -> Result<()> {
        if size > i64::MAX.unsigned_abs() {
            return Err(Error::data_loss(format!(
                "the archive has an entry of {size} bytes, more than a file can have"
            )));
        }
        self.remaining = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
        Ok(())
    }

    fn entry(&mut self, header: &Header, long: Long) -> Result<Entry> {
        let size = long.pax.size.unwrap_or(self.remaining);
        self.frame(if entry::has_contents(header.entry_type()) { size } else { 0 })?;
        let map = self.sparse_map(header, &long)?;
        entry::read(header, long, self.remaining, map)
    }

    /// Finds out where the data of a sparse file belongs, in the four ways there are to say it.
    fn sparse_map(&mut self, header: &Header, long: &Long) -> Result<Option<sparse::Map>> {
        if header.entry_type() == EntryType::GNUSparse {
            let mut blocks = sparse::old(header)?;
            while blocks.more {
                let mut block = [0; BLOCK];
                self.exactly(&mut block)?;
                blocks.extend(&block)?;
            }
            return blocks.finish(self.remaining).map(Some);
        }
        match &long.pax.sparse {
            Some(pax::Sparse::Map(map)) => map.clone().checked(self.remaining).map(Some),
            Some(pax::Sparse::InContents { size }) => {
                let extents = sparse::read_extents(self)?;
                sparse::Map { size: *size, extents }.checked(self.remaining).map(Some)
            }
            None => Ok(None),
        }
    }

    /// One byte of the contents.
    fn byte(&mut self) -> Result<u8> {
        let byte = *self.contents()?.first().ok_or_else(|| truncated("in a sparse map"))?;
        self.consume(1);
        Ok(byte)
    }

    fn record(&mut self, what: &str) -> Result<Vec<u8>> {
        if self.remaining > RECORD_MAX {
            return Err(Error::exhausted(format!("{what} of the archive is longer than {RECORD_MAX} bytes")));
        }
        let mut record = vec![0; self.remaining as usize];
        self.exactly(&mut record)?;
        self.remaining = 0;
        Ok(record)
    }

    /// The next header block; none at the end marker: a block of zeros (of the two there should be, one is enough).
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>> {
        if self.input.fill_buf().context(|| "read the archive")?.is_empty() {
            let missing = || truncated("before its end marker");
            return if self.lenient { Ok(None) } else { Err(missing()) };
        }
        let mut block = [0; BLOCK];
        self.exactly(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        field::verify_checksum(&block)?;
        Ok(Some(block))
    }

    fn pass_over(&mut self) -> Result<()> {
        let mut left = self.remaining + self.padding;
        (self.remaining, self.padding) = (0, 0);
        while left > 0 {
            let piece = self.input.fill_buf().context(|| "read the archive")?.len();
            if piece == 0 {
                return Err(truncated("in the contents of a file"));
            }
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(piece);
            self.input.consume(length);
            left -= length as u64;
        }
        Ok(())
    }

    fn exactly(&mut self, buffer: &mut [u8]) -> Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            let piece = self.input.fill_buf().context(|| "read the archive")?;
            if piece.is_empty() {
                return Err(truncated("in a header"));
            }
            let length = piece.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&piece[..length]);
            self.input.consume(length);
            filled += length;
        }
        Ok(())
    }
}

fn truncated(where_: &str) -> Error {
    Error::data_loss(format!("the archive ends too early: {where_}"))
}

/// Long names end with a NUL.
fn text(mut record: Vec<u8>) -> Vec<u8> {
    let end = record.iter().position(|byte| *byte == 0).unwrap_or(record.len());
    record.truncate(end);
    record
}

#[cfg(test)]
mod tests;
