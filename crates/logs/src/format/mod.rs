//! How entries are laid out in a file.

mod go_json;
mod json_file;
mod local;

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};

use crate::{Driver, Stream, Timestamp};

/// The most bytes of a line in one entry, without the newline; what is longer is cut (Docker's `defaultBufSize`).
pub(crate) const MAX_LINE: usize = 16 * 1024;

/// The most bytes an entry takes in a file, in either format (a byte can become six: `\u0001`).
pub(crate) const MAX_RECORD: usize = 6 * (MAX_LINE + 1) + 128;

/// The two layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Local,
    JsonFile,
}

/// Whose words an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Output(Stream),
    Note,
}

/// An entry inside a buffer. A json-file's text has to be decoded, so it is not always a part of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) kind: Kind,
    pub(crate) time: Timestamp,
    pub(crate) line: std::borrow::Cow<'a, [u8]>,
}

/// What the beginning of a buffer is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// An entry of so many bytes.
    Record(usize, Record<'a>),
    /// The beginning of one, as far as one can see.
    Incomplete,
    /// Something else; the next place where an entry can begin is so many bytes further on, or behind the buffer.
    Damaged(usize),
}

impl Format {
    /// The layout of a driver.
    pub(crate) fn of(driver: Driver) -> Result<Self> {
        match driver {
            Driver::Local | Driver::Journald | Driver::Syslog => Ok(Self::Local),
            Driver::JsonFile => Ok(Self::JsonFile),
            Driver::None => Err(Error::not_implemented("configured logging driver does not support reading")),
        }
    }

    /// Appends what each file begins with; `number` counts the files of a log from 1.
    pub(crate) fn begin(self, out: &mut Vec<u8>, number: u32) {
        match self {
            Self::Local => out.extend_from_slice(&local::header(number)),
            Self::JsonFile => {}
        }
    }

    /// The most bytes a file begins with.
    pub(crate) const HEADER: usize = local::HEADER;

    /// Bytes of the beginning of a file before its first entry, and the file's number; 0 where it is not known.
    pub(crate) fn read_header(self, beginning: &[u8]) -> (usize, u32) {
        match self {
            Self::Local => local::read_header(beginning),
            Self::JsonFile => (0, 0),
        }
    }

    /// Appends an entry; `attributes` as [`Format::attributes`] has made them.
    pub(crate) fn encode(self, out: &mut Vec<u8>, entry: (Kind, Timestamp, &[u8]), attributes: &[u8]) {
        let (kind, time, line) = entry;
        match self {
            Self::Local => local::encode(out, kind, time, line),
            Self::JsonFile => json_file::encode(out, kind, time, line, attributes),
        }
    }

    /// A container's attributes as they stand in every entry: in Docker's format only, since the engine knows them.
    pub(crate) fn attributes(self, attributes: &BTreeMap<String, String>) -> Vec<u8> {
        match self {
            Self::Local => Vec::new(),
            Self::JsonFile => json_file::attributes(attributes),
        }
    }

    /// Reads the entry at the beginning of `bytes`, which is not empty.
    pub(crate) fn parse(self, bytes: &[u8]) -> Parsed<'_> {
        match self {
            Self::Local => local::parse(bytes),
            Self::JsonFile => json_file::parse(bytes),
        }
    }

    /// How many bytes further on an entry can begin, behind the first byte.
    pub(crate) fn next_candidate(self, bytes: &[u8]) -> usize {
        match self {
            Self::Local => local::next_candidate(bytes),
            Self::JsonFile => json_file::next_candidate(bytes),
        }
    }
}
