//! dhow's own layout: binary records that carry a checksum.
//!
//! ```text
//! file    header "dhow-log", version (u32), the file's number (u32, from 1; 0: unknown); then records
//! record  D7 1E   marker
//!         u8      1 standard output, 2 standard error, 3 note
//!         u8      flags, 0
//!         u32     length of the line in bytes
//!         i64     nanoseconds since 1970
//!         …       the line, with its newline if it had one
//!         u32     CRC-32 of everything from the kind on
//!         u32     length of the whole record
//! ```
//!
//! All numbers are little-endian. The length at the end tells a record from the same bytes inside of another one's line
//! (a container that prints a log of dhow), and lets a reader walk backwards.

use std::borrow::Cow;

use super::{Kind, MAX_LINE, Parsed, Record};
use crate::{Stream, Timestamp};

const MAGIC: &[u8; 8] = b"dhow-log";
const VERSION: u32 = 1;
/// Bytes of a file's header.
pub(super) const HEADER: usize = 16;

pub(super) fn header(number: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..].copy_from_slice(&number.to_le_bytes());
    header
}

/// A file whose header is missing was cut off by somebody while it was written to; its entries count all the same.
pub(super) fn read_header(beginning: &[u8]) -> (usize, u32) {
    match beginning.first_chunk::<HEADER>() {
        Some(header) if header.starts_with(MAGIC) => (HEADER, number([header[12], header[13], header[14], header[15]])),
        Some(record) if record.starts_with(&MARKER) => (0, 0),
        // Damaged, or not written yet.
        _ => (HEADER, 0),
    }
}

const MARKER: [u8; 2] = [0xD7, 0x1E];
/// Bytes before the line.
const HEAD: usize = 16;
/// Bytes behind it.
const TAIL: usize = 8;

pub(super) fn encode(out: &mut Vec<u8>, kind: Kind, time: Timestamp, line: &[u8]) {
    let size = HEAD + line.len() + TAIL;
    out.reserve(size);
    let checked = out.len() + MARKER.len();
    let mut head = [0; HEAD];
    head[0..2].copy_from_slice(&MARKER);
    head[2] = code(kind);
    head[4..8].copy_from_slice(&(line.len() as u32).to_le_bytes());
    head[8..16].copy_from_slice(&time.0.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(line);
    let mut tail = [0; TAIL];
    tail[..4].copy_from_slice(&crc32fast::hash(&out[checked..]).to_le_bytes());
    tail[4..].copy_from_slice(&(size as u32).to_le_bytes());
    out.extend_from_slice(&tail);
}

fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Output(Stream::Stdout) => 1,
        Kind::Output(Stream::Stderr) => 2,
        Kind::Note => 3,
    }
}

fn kind(code: u8) -> Option<Kind> {
    match code {
        1 => Some(Kind::Output(Stream::Stdout)),
        2 => Some(Kind::Output(Stream::Stderr)),
        3 => Some(Kind::Note),
        _ => None,
    }
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let damaged = || Parsed::Damaged(next_candidate(bytes));
    if !MARKER.starts_with(&bytes[..bytes.len().min(2)]) {
        return damaged();
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Parsed::Incomplete };
    let length = number([head[4], head[5], head[6], head[7]]) as usize;
    let Some(kind) = kind(head[2]).filter(|_| length <= MAX_LINE + 1) else { return damaged() };
    let Some((line, rest)) = rest.split_at_checked(length) else { return Parsed::Incomplete };
    let Some([s0, s1, s2, s3, l0, l1, l2, l3]) = rest.first_chunk::<TAIL>().copied() else { return Parsed::Incomplete };
    let size = HEAD + length + TAIL;
    let sum = crc32fast::hash(&bytes[MARKER.len()..HEAD + length]);
    if number([l0, l1, l2, l3]) as usize != size || number([s0, s1, s2, s3]) != sum {
        return damaged();
    }
    let mut time = [0; 8];
    time.copy_from_slice(&head[8..16]);
    Parsed::Record(size, Record { kind, time: Timestamp(i64::from_le_bytes(time)), line: Cow::Borrowed(line) })
}

fn number(bytes: [u8; 4]) -> u32 {
    u32::from_le_bytes(bytes)
}

pub(super) fn next_candidate(bytes: &[u8]) -> usize {
    // The first byte of a marker may be the buffer's last.
    memchr::memchr_iter(MARKER[0], &bytes[1..])
        .map(|at| at + 1)
        .find(|at| bytes.get(at + 1).is_none_or(|second| *second == MARKER[1]))
        .unwrap_or(bytes.len())
}
