//! One entry, from its header and the records before it.

use dhow_errdefs::{Error, Result};
use tar::{EntryType, Header};

use super::pax::Pax;
use super::sparse::{Extent, Map};
use super::{field, text};

/// Something in a tree, as an archive describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// As written: it may be absolute, and it may try to climb.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-user-ID, set-group-ID and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was changed last.
    pub mtime: Time,
    /// Extended attributes, names and values.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file; its contents follow.
    File {
        /// With holes.
        size: u64,
        /// Where the contents belong, if the file has holes.
        extents: Option<Vec<Extent>>,
    },
    /// A folder.
    Directory,
    /// The target, as written.
    Symlink(Vec<u8>),
    /// The other name, as written.
    Hardlink(Vec<u8>),
    /// A character device.
    Character {
        /// Its driver.
        major: u32,
        /// Which one of the driver's.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Its driver.
        major: u32,
        /// Which one of the driver's.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// A time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Since 1970; negative before.
    pub seconds: i64,
    /// Below 1,000,000,000.
    pub nanoseconds: u32,
}

/// What came before the header because it does not fit into it.
#[derive(Debug, Default)]
pub(super) struct Long {
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) pax: Pax,
}

impl Long {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none()
    }
}

/// Whether contents follow the header. Some writers state a size for links and folders too; nothing follows then.
pub(super) fn has_contents(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

/// Puts an entry together. `stored` bytes of contents follow.
pub(super) fn read(header: &Header, long: Long, stored: u64, map: Option<Map>) -> Result<Entry> {
    let Long { name, link, pax } = long;
    // The order in which Go's reader lets them win.
    let path = name.or(pax.path).unwrap_or_else(|| header.path_bytes().into_owned());
    let link = link.or(pax.link).unwrap_or_else(|| text(header.as_old().linkname.to_vec()));
    let kind = kind(header, &path, link, stored, map)?;
    Ok(Entry {
        kind,
        mode: (field::number(&header.as_old().mode, "mode")? & 0o7777) as u32,
        uid: owner(pax.uid, &header.as_old().uid, "user ID")?,
        gid: owner(pax.gid, &header.as_old().gid, "group ID")?,
        mtime: match pax.mtime {
            Some(time) => time,
            None => Time { seconds: field::number(&header.as_old().mtime, "time")?, nanoseconds: 0 },
        },
        xattrs: pax.xattrs,
        path,
    })
}

fn kind(header: &Header, path: &[u8], link: Vec<u8>, stored: u64, map: Option<Map>) -> Result<Kind> {
    Ok(match header.entry_type() {
        // Before POSIX a folder was a file whose name ends with a slash.
        EntryType::Regular if path.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => match map {
            Some(map) => Kind::File { size: map.size, extents: Some(map.extents) },
            None => Kind::File { size: stored, extents: None },
        },
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink(link),
        EntryType::Link => Kind::Hardlink(link),
        EntryType::Char => device(header).map(|(major, minor)| Kind::Character { major, minor })?,
        EntryType::Block => device(header).map(|(major, minor)| Kind::Block { major, minor })?,
        EntryType::Fifo => Kind::Fifo,
        other => {
            let (kind, path) = (char::from(other.as_byte()), String::from_utf8_lossy(path));
            return Err(Error::invalid(format!("the archive has an entry of unknown type {kind:?}: {path}")));
        }
    })
}

fn device(header: &Header) -> Result<(u32, u32)> {
    let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
        (Some(ustar), _) => (&ustar.dev_major, &ustar.dev_minor),
        (_, Some(gnu)) => (&gnu.dev_major, &gnu.dev_minor),
        _ => return Err(Error::data_loss("the archive has a device in a header without device numbers")),
    };
    let number =
        |field: &[u8; 8]| u32::try_from(field::number(field, "device number")?).map_err(|_| bad("device number"));
    Ok((number(major)?, number(minor)?))
}

fn owner(pax: Option<u64>, header: &[u8], what: &str) -> Result<u32> {
    let id = match pax {
        Some(id) => id,
        None => field::unsigned(header, what)?,
    };
    // The highest one means "leave it" to chown(2).
    u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or_else(|| bad(what))
}

fn bad(what: &str) -> Error {
    Error::data_loss(format!("the archive has a bad {what} in a header"))
}
