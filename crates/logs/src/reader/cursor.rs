//! A position in one file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};

use crate::Entry;
use crate::compress;
use crate::files::{self, Identity, Origin, Whereabouts};
use crate::format::{Format, MAX_RECORD, Parsed};

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// Reads entries forward from a position.
#[derive(Debug)]
pub(super) struct Cursor {
    file: File,
    identity: Identity,
    format: Format,
    /// Compressed still: where it can be unpacked when it is wanted.
    packed: Option<PathBuf>,
    /// The compressed file while this reads what was in it: with it goes the lock.
    original: Option<File>,
    /// Bytes before the first entry, and the file's number, 0 where it is not known; once they were looked at.
    header: Option<(u64, u32)>,
    /// Where reading stops, for a file that is read as it was when it was opened.
    limit: u64,
    /// Position in the file of the end of `buffer`.
    position: u64,
    buffer: Vec<u8>,
    /// Bytes at the buffer's beginning that are done with.
    start: usize,
    /// Damaged bytes before `start` that were not told yet.
    skipped: u64,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Found {
    Record(Entry),
    /// So many bytes are damaged.
    Damage(u64),
    /// No whole entry is there, at the moment.
    End,
}

impl Cursor {
    /// At the beginning of a file; `bounded`: what is appended from now on does not count. A compressed file is unpacked
    /// into `directory` when something of it is wanted.
    pub(super) fn new(found: files::Found, format: Format, bounded: bool, directory: &Path) -> Result<Self> {
        let files::Found { file, identity, packed } = found;
        let limit = if bounded && !packed { length(&file)? } else { u64::MAX };
        let packed = packed.then(|| directory.to_owned());
        Ok(Self {
            file,
            identity,
            format,
            packed,
            original: None,
            header: None,
            limit,
            position: 0,
            buffer: Vec::new(),
            start: 0,
            skipped: 0,
        })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// What the file can be found by.
    pub(super) fn whereabouts(&self) -> Result<Whereabouts> {
        let is_packed = self.packed.is_some() || self.original.is_some();
        let metadata = self.file.metadata().context(|| "look at a log file")?;
        Ok(Whereabouts { identity: self.identity, origin: (!is_packed).then(|| Origin::from(&metadata)) })
    }

    /// Where the first entry is.
    pub(super) fn first(&mut self) -> Result<u64> {
        Ok(self.header()?.0)
    }

    /// The file's number; 0 where it is not known.
    pub(super) fn number(&mut self) -> Result<u32> {
        Ok(self.header()?.1)
    }

    fn header(&mut self) -> Result<(u64, u32)> {
        if let Some(header) = self.header {
            return Ok(header);
        }
        let beginning = self.read_at(0, Format::HEADER as u64)?;
        let (length, number) = self.format.read_header(&beginning);
        let header = (length as u64, number);
        // A fresh file has none yet.
        self.header = (beginning.len() == Format::HEADER).then_some(header);
        Ok(header)
    }

    fn unpack(&mut self) -> Result<()> {
        let Some(directory) = self.packed.take() else { return Ok(()) };
        let packed = self.file.try_clone().context(|| "copy a log file's descriptor")?;
        let (file, whole) =
            compress::unpack(packed, &directory).context(|| format!("unpack a log file in {}", directory.display()))?;
        if !whole {
            // How much is missing cannot be known.
            self.skipped += 1;
        }
        self.original = Some(std::mem::replace(&mut self.file, file));
        Ok(())
    }

    /// Where the file ends for this reader.
    pub(super) fn end(&mut self) -> Result<u64> {
        self.unpack()?;
        Ok(length(&self.file)?.min(self.limit))
    }

    pub(super) fn seek(&mut self, position: u64) {
        self.position = position;
        self.buffer.clear();
        self.start = 0;
    }

    /// Reads bytes of the file, wherever the cursor is. Fewer than wanted at the end.
    pub(super) fn read_at(&mut self, from: u64, to: u64) -> Result<Vec<u8>> {
        self.unpack()?;
        let mut bytes = vec![0; to.saturating_sub(from) as usize];
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], from + read as u64).context(|| "read a log file")? {
                0 => break,
                n => read += n,
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> Result<Found> {
        loop {
            let bytes = &self.buffer[self.start..];
            let parsed = if bytes.is_empty() { Parsed::Incomplete } else { self.format.parse(bytes) };
            match parsed {
                Parsed::Record(..) if self.skipped > 0 => return Ok(Found::Damage(std::mem::take(&mut self.skipped))),
                Parsed::Record(size, record) => {
                    let entry = Entry::from(record);
                    self.start += size;
                    return Ok(Found::Record(entry));
                }
                Parsed::Damaged(size) => {
                    self.skip(size);
                    continue;
                }
                Parsed::Incomplete => {}
            }
            if !self.fill()? {
                return Ok(Found::End);
            }
        }
    }

    fn skip(&mut self, size: usize) {
        self.skipped += size as u64;
        self.start += size;
    }

    /// Nothing more will be written: steps over what looks like the beginning of an entry, and returns how many damaged
    /// bytes there were up to the next whole one or the end.
    pub(super) fn give_up(&mut self) -> Result<u64> {
        loop {
            match self.next()? {
                Found::Damage(bytes) => return Ok(bytes),
                Found::Record(_) => unreachable!("the end was reached, and what follows damage comes after its note"),
                Found::End if self.start == self.buffer.len() => {
                    let bytes = std::mem::take(&mut self.skipped);
                    // It goes on behind the limit: an entry that was being written when the file was opened.
                    return Ok(if self.limit < length(&self.file)? { 0 } else { bytes });
                }
                Found::End => self.skip(self.format.next_candidate(&self.buffer[self.start..])),
            }
        }
    }

    /// Reads more; `false` at the end of the file.
    fn fill(&mut self) -> Result<bool> {
        self.unpack()?;
        if self.position == 0 {
            let first = self.first()?;
            if first > 0 && self.header.is_none() {
                return Ok(false);
            }
            self.position = first;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let room = self.limit.saturating_sub(self.position).min(CHUNK as u64) as usize;
        let end = self.buffer.len();
        debug_assert!(end <= MAX_RECORD + CHUNK, "a record is decided on when it is whole or too long");
        self.buffer.resize(end + room, 0);
        let read = self.file.read_at(&mut self.buffer[end..], self.position).context(|| "read a log file");
        self.buffer.truncate(end + read.as_ref().copied().unwrap_or(0));
        let read = read? as u64;
        self.position += read;
        if read == 0 && room > 0 {
            self.return_to_shortened_end()?;
        }
        Ok(read > 0)
    }

    /// A writer whose disk is full cuts off what did not fit; we may have seen the beginning of it. And some people empty
    /// the logs of others while they are written to.
    fn return_to_shortened_end(&mut self) -> Result<()> {
        let end = length(&self.file)?;
        if end < self.position {
            self.header = self.header.filter(|_| end > 0);
            self.seek(end);
        }
        Ok(())
    }
}

fn length(file: &File) -> Result<u64> {
    Ok(file.metadata().context(|| "look at a log file")?.len())
}
