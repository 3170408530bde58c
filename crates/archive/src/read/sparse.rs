//! Files with holes: where the pieces of data belong.

use std::io::BufRead;

use dhow_errdefs::{Error, Result};
use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::{Archive, BLOCK, field};

/// More pieces than this are an attack on memory.
const EXTENTS_MAX: usize = 1 << 20;

/// A piece of data in a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// From the file's beginning.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
}

/// A file with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    /// The size with holes.
    pub(super) size: u64,
    pub(super) extents: Vec<Extent>,
}

impl Map {
    /// The map, if it is in order and speaks of exactly `stored` bytes of data.
    pub(super) fn checked(self, stored: u64) -> Result<Self> {
        let mut end = 0;
        let mut total: u64 = 0;
        for extent in &self.extents {
            let next = extent.offset.checked_add(extent.length).filter(|next| *next <= self.size);
            match next {
                Some(next) if extent.offset >= end => end = next,
                _ => return Err(bad("overlaps itself or exceeds its file")),
            }
            total += extent.length;
        }
        if total == stored && i64::try_from(self.size).is_ok() { Ok(self) } else { Err(bad("does not fit its data")) }
    }
}

/// The map of GNU's old format, which is in the header and in blocks after it.
#[derive(Debug)]
pub(super) struct Old {
    map: Map,
    /// Whether another block follows.
    pub(super) more: bool,
}

pub(super) fn old(header: &Header) -> Result<Old> {
    let gnu = header.as_gnu().ok_or_else(|| bad("is in a header that is not GNU's"))?;
    let size = field::unsigned(&gnu.realsize, "size of a sparse file")?;
    let mut old = Old { map: Map { size, extents: Vec::new() }, more: gnu.isextended[0] != 0 };
    old.take(&gnu.sparse)?;
    Ok(old)
}

impl Old {
    pub(super) fn extend(&mut self, block: &[u8; BLOCK]) -> Result<()> {
        let mut extension = GnuExtSparseHeader::new();
        extension.as_mut_bytes().copy_from_slice(block);
        self.more = extension.isextended[0] != 0;
        self.take(&extension.sparse)
    }

    pub(super) fn finish(self, stored: u64) -> Result<Map> {
        self.map.checked(stored)
    }

    fn take(&mut self, pairs: &[GnuSparseHeader]) -> Result<()> {
        // Unused pairs are zeros.
        for pair in pairs.iter().take_while(|pair| pair.offset[0] != 0) {
            push(
                &mut self.map.extents,
                Extent {
                    offset: field::unsigned(&pair.offset, "sparse offset")?,
                    length: field::unsigned(&pair.numbytes, "sparse length")?,
                },
            )?;
        }
        Ok(())
    }
}

/// The map of PAX 1.0, which is before the data: decimal numbers in lines (how many pairs, then the pairs), filled up
/// to a whole block.
pub(super) fn read_extents<R: BufRead>(archive: &mut Archive<R>) -> Result<Vec<Extent>> {
    let before = archive.remaining;
    let count = line(archive)?;
    let mut extents = Vec::new();
    for _ in 0..count {
        let (offset, length) = (line(archive)?, line(archive)?);
        push(&mut extents, Extent { offset, length })?;
    }
    while !(before - archive.remaining).is_multiple_of(BLOCK as u64) {
        archive.byte()?;
    }
    Ok(extents)
}

fn line<R: BufRead>(archive: &mut Archive<R>) -> Result<u64> {
    let mut number: Option<u64> = None;
    loop {
        match (archive.byte()?, number) {
            (b'\n', Some(number)) => return Ok(number),
            (digit @ b'0'..=b'9', _) => {
                let next = number.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add((digit - b'0').into()));
                number = Some(next.ok_or_else(|| bad("has a number that is too large"))?);
            }
            _ => return Err(bad("is malformed")),
        }
    }
}

fn push(extents: &mut Vec<Extent>, extent: Extent) -> Result<()> {
    if extents.len() == EXTENTS_MAX {
        return Err(bad("has too many pieces"));
    }
    extents.push(extent);
    Ok(())
}

fn bad(what: &str) -> Error {
    Error::data_loss(format!("the archive has a sparse map that {what}"))
}
