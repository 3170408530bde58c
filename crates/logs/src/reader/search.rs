//! Where to begin: the last lines, or the first at a time, without reading what is before them.

use std::collections::VecDeque;

use dhow_errdefs::Result;

use super::Query;
use super::cursor::Cursor;
use crate::Timestamp;
use crate::format::{Format, MAX_RECORD, Parsed};

/// How much is looked at in one step; more than two entries of the largest size.
const CHUNK: u64 = 4 * MAX_RECORD as u64;

/// Drops the files that are not wanted at all and moves the first wanted one to its first wanted entry.
pub(super) fn seek(files: &mut VecDeque<Cursor>, format: Format, query: &Query) -> Result<()> {
    match (query.tail, query.since) {
        (Some(lines), _) => seek_tail(files, format, lines),
        (None, Some(since)) => seek_since(files, format, since),
        (None, None) => Ok(()),
    }
}

fn seek_tail(files: &mut VecDeque<Cursor>, format: Format, lines: u64) -> Result<()> {
    let mut tail = Tail { wanted: lines, found: 0, unterminated: true };
    for index in (0..files.len()).rev() {
        if let Some(position) = tail.search(&mut files[index], format)? {
            files.drain(..index);
            files[0].seek(position);
            return Ok(());
        }
    }
    Ok(())
}

/// Counts lines backwards.
struct Tail {
    wanted: u64,
    found: u64,
    /// No line's end was seen yet: a last line without one counts too.
    unterminated: bool,
}

impl Tail {
    /// Where the wanted lines begin, if they begin in this file.
    fn search(&mut self, file: &mut Cursor, format: Format) -> Result<Option<u64>> {
        let (first, mut end) = (file.first()?, file.end()?);
        if self.wanted == 0 {
            return Ok(Some(end));
        }
        // Of the entry behind the one that is looked at; there can be damage between them.
        let mut next = None;
        while end > first {
            let begin = end.saturating_sub(CHUNK).max(first);
            let records = records(&file.read_at(begin, end)?, format);
            for record in records.iter().rev() {
                if self.enough_before(record) {
                    return Ok(Some(next.unwrap_or(begin + record.end)));
                }
                next = Some(begin + record.start);
            }
            end = match records.first() {
                Some(record) => begin + record.start,
                // Damage all over; an entry that begins before may reach into it.
                None if begin > first => begin + MAX_RECORD as u64,
                None => first,
            };
        }
        Ok(None)
    }

    /// Counts an entry; whether the wanted lines begin behind it.
    fn enough_before(&mut self, record: &Place) -> bool {
        if record.ends_line || self.unterminated {
            if self.found == self.wanted {
                return true;
            }
            self.found += 1;
        }
        self.unterminated = false;
        false
    }
}

/// An entry inside a chunk.
struct Place {
    start: u64,
    end: u64,
    time: Timestamp,
    ends_line: bool,
}

/// The entries that are whole in a chunk, which can begin inside one.
fn records(chunk: &[u8], format: Format) -> Vec<Place> {
    let (mut places, mut at) = (Vec::new(), 0);
    while at < chunk.len() {
        match format.parse(&chunk[at..]) {
            Parsed::Record(size, record) => {
                let (start, end) = (at as u64, (at + size) as u64);
                places.push(Place { start, end, time: record.time, ends_line: record.line.ends_with(b"\n") });
                at += size;
            }
            Parsed::Damaged(size) => at += size,
            Parsed::Incomplete => at += format.next_candidate(&chunk[at..]),
        }
    }
    places
}

/// Files are looked at from the newest on, because older ones may have to be unpacked for it.
fn seek_since(files: &mut VecDeque<Cursor>, format: Format, since: Timestamp) -> Result<()> {
    for index in (1..files.len()).rev() {
        if first_time(&mut files[index], format)?.is_some_and(|time| time < since) {
            files.drain(..index);
            break;
        }
    }
    if let Some(file) = files.front_mut() {
        let position = search_time(file, format, since)?;
        file.seek(position);
    }
    Ok(())
}

fn first_time(file: &mut Cursor, format: Format) -> Result<Option<Timestamp>> {
    let begin = file.first()?;
    let end = (begin + CHUNK).min(file.end()?);
    Ok(records(&file.read_at(begin, end)?, format).first().map(|record| record.time))
}

/// The end of an entry that is older than `since`, at most a chunk before the first that is not.
fn search_time(file: &mut Cursor, format: Format, since: Timestamp) -> Result<u64> {
    let (mut low, mut high) = (file.first()?, file.end()?);
    while high > low + CHUNK {
        let middle = low + (high - low) / 2;
        let chunk = file.read_at(middle, (middle + CHUNK).min(high))?;
        match records(&chunk, format).first() {
            Some(record) if record.time < since => low = middle + record.end,
            _ => high = middle,
        }
    }
    Ok(low)
}
