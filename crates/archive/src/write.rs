//! Writes the entries of a tar.
//!
//! POSIX headers, with PAX records for what does not fit into them, as Go's `archive/tar` writes them; files with holes in
//! GNU's PAX format 1.0 (GNU tar manual, "Storing Sparse Files"), which Go reads, too.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use tar::{EntryType, Header};

use crate::read::{BLOCK, Entry, Extent, Kind, Time};

/// Bytes that are read of a file at once.
const PIECE: usize = 128 << 10;

/// What fits into a header: 11 octal digits for sizes and times, 7 for owners and devices (POSIX.1-2024, `pax`).
const LARGEST: u64 = 0o777_7777_7777;
const LARGEST_ID: u32 = 0o777_7777;

/// Bytes of a header's field for a name.
const NAME: usize = 100;

/// A tar that is being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins to write.
    pub fn new(out: W) -> Self {
        Self { out, buffer: Vec::new() }
    }

    /// Adds an entry. `contents` is the file that a [`Kind::File`] is read from: as many bytes as its size says. Where the
    /// file has become shorter, zeros stand in, because a container may cut its files while they are read.
    ///
    /// # Errors
    /// What reading and writing say.
    pub fn append(&mut self, entry: &Entry, contents: Option<&File>) -> io::Result<()> {
        let map = match &entry.kind {
            Kind::File { extents: Some(extents), .. } => Some(sparse_map(extents)),
            _ => None,
        };
        self.head(entry, map.as_deref())?;
        let Kind::File { size, extents } = &entry.kind else { return Ok(()) };
        if let Some(map) = map {
            self.out.write_all(&map)?;
        }
        let whole = [Extent { offset: 0, length: *size }];
        let extents = extents.as_deref().unwrap_or(&whole);
        for extent in extents {
            self.piece(contents, *extent)?;
        }
        self.pad(extents.iter().map(|extent| extent.length).sum())
    }

    /// Writes the end marker and gives the output back.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn head(&mut self, entry: &Entry, map: Option<&[u8]>) -> io::Result<()> {
        let stored = stored(entry, map);
        let records = records(entry, stored, map.is_some());
        if !records.is_empty() {
            let name = [b"PaxHeaders.0/", last(&entry.path)].concat();
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_size(records.len() as u64);
            put(&mut header.as_old_mut().name, &name);
            self.block(&mut header)?;
            self.out.write_all(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.block(&mut header(entry, stored, map.is_some()))
    }

    fn block(&mut self, header: &mut Header) -> io::Result<()> {
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn piece(&mut self, contents: Option<&File>, Extent { mut offset, length: mut left }: Extent) -> io::Result<()> {
        self.buffer.resize(PIECE, 0);
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            let read = match contents {
                Some(file) => read_at(file, &mut self.buffer[..most], offset)?,
                None => 0,
            };
            if read == 0 {
                self.buffer[..most].fill(0);
            }
            let length = if read == 0 { most } else { read };
            self.out.write_all(&self.buffer[..length])?;
            (offset, left) = (offset + length as u64, left - length as u64);
        }
        Ok(())
    }

    fn pad(&mut self, written: u64) -> io::Result<()> {
        let padding = written.wrapping_neg() % BLOCK as u64;
        self.out.write_all(&[0; BLOCK][..padding as usize])
    }
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Bytes that follow the header.
fn stored(entry: &Entry, map: Option<&[u8]>) -> u64 {
    match &entry.kind {
        Kind::File { extents: Some(extents), .. } => {
            extents.iter().map(|extent| extent.length).sum::<u64>() + map.map_or(0, <[u8]>::len) as u64
        }
        Kind::File { size, extents: None } => *size,
        _ => 0,
    }
}

fn header(entry: &Entry, stored: u64, sparse: bool) -> Header {
    let mut header = Header::new_ustar();
    header.set_mode(entry.mode);
    header.set_uid(u64::from(entry.uid).min(LARGEST_ID.into()));
    header.set_gid(u64::from(entry.gid).min(LARGEST_ID.into()));
    header.set_size(if stored <= LARGEST { stored } else { 0 });
    header.set_mtime(u64::try_from(entry.mtime.seconds).ok().filter(|time| *time <= LARGEST).unwrap_or_default());
    let (kind, link) = match &entry.kind {
        Kind::File { .. } => (EntryType::Regular, None),
        Kind::Directory => (EntryType::Directory, None),
        Kind::Symlink(target) => (EntryType::Symlink, Some(target)),
        Kind::Hardlink(target) => (EntryType::Link, Some(target)),
        Kind::Character { .. } => (EntryType::Char, None),
        Kind::Block { .. } => (EntryType::Block, None),
        Kind::Fifo => (EntryType::Fifo, None),
    };
    header.set_entry_type(kind);
    if let Kind::Character { major, minor } | Kind::Block { major, minor } = entry.kind {
        // A header of this kind has these fields.
        let _ = header.set_device_major(major).and_then(|()| header.set_device_minor(minor));
    }
    let old = header.as_old_mut();
    match sparse {
        true => put(&mut old.name, &[b"GNUSparseFile.0/", last(&entry.path)].concat()),
        false => put(&mut old.name, &entry.path),
    }
    if let Some(link) = link {
        put(&mut old.linkname, link);
    }
    header
}

/// The PAX records for what the header cannot say, sorted by their keys.
fn records(entry: &Entry, stored: u64, sparse: bool) -> Vec<u8> {
    let mut records = Vec::new();
    let mut add = |key: &[u8], value: &[u8]| record(&mut records, key, value);
    if let (true, Kind::File { size, .. }) = (sparse, &entry.kind) {
        add(b"GNU.sparse.major", b"1");
        add(b"GNU.sparse.minor", b"0");
        add(b"GNU.sparse.name", &entry.path);
        add(b"GNU.sparse.realsize", size.to_string().as_bytes());
    }
    let mut xattrs: Vec<_> = entry.xattrs.iter().collect();
    xattrs.sort();
    for (name, value) in xattrs {
        add(&[b"SCHILY.xattr.", name.as_slice()].concat(), value);
    }
    if entry.gid > LARGEST_ID {
        add(b"gid", entry.gid.to_string().as_bytes());
    }
    if let Kind::Symlink(target) | Kind::Hardlink(target) = &entry.kind
        && needs_record(target)
    {
        add(b"linkpath", target);
    }
    if entry.mtime.nanoseconds > 0 || !u64::try_from(entry.mtime.seconds).is_ok_and(|time| time <= LARGEST) {
        add(b"mtime", decimal(entry.mtime).as_bytes());
    }
    if !sparse && needs_record(&entry.path) {
        add(b"path", &entry.path);
    }
    if stored > LARGEST {
        add(b"size", stored.to_string().as_bytes());
    }
    if entry.uid > LARGEST_ID {
        add(b"uid", entry.uid.to_string().as_bytes());
    }
    records
}

/// Seconds with a fraction, if there is one (POSIX.1-2024 `pax`, "mtime"): -0.25 is a quarter before 1970.
fn decimal(Time { seconds, nanoseconds }: Time) -> String {
    let (sign, whole, nanoseconds) = match (seconds < 0, nanoseconds) {
        (true, 1..) => ("-", -(seconds + 1), 1_000_000_000 - nanoseconds),
        _ => ("", seconds, nanoseconds),
    };
    let fraction = if nanoseconds > 0 { format!(".{nanoseconds:09}") } else { String::new() };
    format!("{sign}{whole}{fraction}")
}

fn needs_record(name: &[u8]) -> bool {
    name.len() > NAME || !name.is_ascii()
}

/// `<length> <key>=<value>\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} ").as_bytes());
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// As much of a text as there is room for; what does not fit stands in a record.
fn put(field: &mut [u8], text: &[u8]) {
    let text = &text[..text.len().min(field.len())];
    for (to, from) in field.iter_mut().zip(text) {
        *to = if from.is_ascii() { *from } else { b'_' };
    }
}

fn last(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// How many pieces there are, then offset and length of each, in lines; filled up to whole blocks.
fn sparse_map(extents: &[Extent]) -> Vec<u8> {
    let mut map = format!("{}\n", extents.len()).into_bytes();
    for extent in extents {
        map.extend_from_slice(format!("{}\n{}\n", extent.offset, extent.length).as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::Archive;
    use proptest::prelude::*;

    fn entry(path: &[u8], kind: Kind) -> Entry {
        let mtime = Time { seconds: 1_700_000_000, nanoseconds: 0 };
        Entry { path: path.to_vec(), kind, mode: 0o4755, uid: 1, gid: 2, mtime, xattrs: Vec::new() }
    }

    fn round(entry: &Entry) -> Entry {
        let mut writer = Writer::new(Vec::new());
        writer.append(entry, None).unwrap();
        let tar = writer.finish().unwrap();
        let mut archive = Archive::new(tar.as_slice(), false);
        let back = archive.next().unwrap().unwrap();
        assert_eq!(archive.next().unwrap(), None);
        back
    }

    #[test]
    fn what_does_not_fit_into_a_header_stands_in_records() {
        let mut wanted = entry(&b"long/".repeat(60), Kind::Directory);
        (wanted.uid, wanted.gid) = (4_000_000_000, LARGEST_ID + 1);
        wanted.mtime.seconds = -5;
        wanted.xattrs = vec![(b"security.capability".to_vec(), vec![1, 0, 10, 255]), (b"user.x".to_vec(), vec![])];
        assert_eq!(round(&wanted), wanted);
        let link = entry("\u{e9}".as_bytes(), Kind::Symlink(b"x".repeat(200)));
        assert_eq!(round(&link), link);
        let device = entry(b"dev", Kind::Character { major: 4095, minor: 1_048_575 });
        assert_eq!(round(&device), device);
    }

    #[test]
    fn fractions_of_seconds_come_back() {
        for (seconds, nanoseconds) in [(1_700_000_000, 5), (-1, 750_000_000), (-5, 1), (0, 999_999_999), (-5, 0)] {
            let wanted = Entry { mtime: Time { seconds, nanoseconds }, ..entry(b"x", Kind::Fifo) };
            assert_eq!(round(&wanted), wanted);
        }
    }

    #[test]
    fn holes_are_kept() {
        let extents = vec![Extent { offset: 4096, length: 512 }, Extent { offset: 1 << 40, length: 0 }];
        let file = entry(b"a/holes", Kind::File { size: 1 << 40, extents: Some(extents) });
        assert_eq!(round(&file), file);
    }

    #[test]
    fn go_and_gnu_agree_about_where_a_file_ends() {
        let mut writer = Writer::new(Vec::new());
        writer.append(&entry(b"x", Kind::File { size: 513, extents: None }), None).unwrap();
        writer.append(&entry(b"y", Kind::Fifo), None).unwrap();
        let tar = writer.finish().unwrap();
        assert_eq!(tar.len(), BLOCK * (1 + 2 + 1 + 2));
    }

    proptest! {
        #[test]
        fn any_name_comes_back(path in prop::collection::vec(1_u8..=255, 1..300), target in prop::collection::vec(1_u8..=255, 1..300)) {
            let wanted = entry(&path, Kind::Symlink(target));
            prop_assert_eq!(round(&wanted), wanted);
        }

        #[test]
        fn a_record_counts_itself(key in "[a-z]{1,10}", value in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut records = Vec::new();
            record(&mut records, key.as_bytes(), &value);
            let text = records.split(|byte| *byte == b' ').next().unwrap();
            prop_assert_eq!(std::str::from_utf8(text).unwrap().parse::<usize>().unwrap(), records.len());
        }
    }
}
