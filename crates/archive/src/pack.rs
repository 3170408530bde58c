//! From a tree to an archive.
//!
//! Folders are walked by descriptors, names sorted by their bytes, without recursion: a container decides how deep its
//! tree is. What vanishes while it is walked is left out.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, SeekFrom, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::attributes;
use crate::names;
use crate::read::{Entry, Extent, Kind, Time};
use crate::write::Writer;

/// `PATH_MAX`: nothing could be called by a longer name.
const LONGEST: usize = 4096;

/// More pieces than this, and a file is written with its holes filled.
const MOST_EXTENTS: usize = 64 << 10;

/// What something in a tree means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// What it is.
    Thing,
    /// That the layers below have nothing of that name any more (OCI image-spec, layer.md, "Whiteouts").
    Whiteout,
    /// Nothing.
    Nothing,
}

/// What a tree is.
pub trait View {
    /// What the entry `name` of an open folder means.
    ///
    /// # Errors
    /// That it cannot be in an archive.
    fn meaning(&self, _folder: BorrowedFd<'_>, _name: &CStr, _stat: &Stat) -> Result<Meaning> {
        Ok(Meaning::Thing)
    }

    /// Whether what is in a folder belongs to the tree.
    fn enters(&self, _folder: BorrowedFd<'_>) -> bool {
        true
    }

    /// Whether nothing of the layers below shows through a folder.
    fn is_opaque(&self, _folder: BorrowedFd<'_>) -> bool {
        false
    }

    /// Whether files with holes are written with their holes; not every reader knows them.
    fn keeps_holes(&self) -> bool {
        false
    }

    /// Whether the tree is to come back as it is, for our own reader: with fractions of seconds, and with the attributes
    /// of overlays that are in it.
    fn is_exact(&self) -> bool {
        false
    }
}

/// A tree that is what it looks like.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl View for Plain {}

/// A tree that is to come back as it is.
#[derive(Debug, Clone, Copy)]
pub struct Exact;

impl View for Exact {
    fn keeps_holes(&self) -> bool {
        true
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// Writes trees into an archive.
pub struct Packer<'v, W, V: ?Sized> {
    writer: Writer<W>,
    view: &'v V,
    /// Files with several names by device and number, and the name that came first.
    linked: HashMap<(u64, u64), Vec<u8>>,
}

/// A folder that is being walked.
struct Level {
    folder: OwnedFd,
    path: Vec<u8>,
    names: std::vec::IntoIter<CString>,
}

impl<'v, W: Write, V: View + ?Sized> Packer<'v, W, V> {
    /// Begins an archive.
    pub fn new(out: W, view: &'v V) -> Self {
        Self { writer: Writer::new(out), view, linked: HashMap::new() }
    }

    /// Adds the entry `name` of a folder, and all below it, under the name `path`. Says whether it is there.
    ///
    /// # Errors
    /// What reading the tree and writing the archive say.
    pub fn thing(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> Result<bool> {
        let Some(stat) = look(folder, name).context(|| format!("lstat {}", path.escape_ascii()))? else {
            return Ok(false);
        };
        if let Some(level) = self.entry(folder, name, &stat, path)? {
            self.walk(level)?;
        }
        Ok(true)
    }

    /// Adds an open folder, and all below it, under the name `path`.
    ///
    /// # Errors
    /// As [`thing`](Self::thing).
    pub fn folder(&mut self, folder: OwnedFd, path: &[u8]) -> Result<()> {
        let level = self.open_folder(folder, path)?;
        self.walk(level)
    }

    /// Adds everything below an open folder, but not the folder.
    ///
    /// # Errors
    /// As [`thing`](Self::thing).
    pub fn below(&mut self, folder: OwnedFd) -> Result<()> {
        let names = sorted_names(folder.as_fd()).context(|| "read /")?;
        self.walk(Level { folder, path: Vec::new(), names })
    }

    /// Writes the end of the archive and gives the output back.
    ///
    /// # Errors
    /// What writing says.
    pub fn finish(self) -> Result<W> {
        self.writer.finish().context(|| "write the archive")
    }

    fn walk(&mut self, top: Level) -> Result<()> {
        let mut levels = vec![top];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            let path = join(&level.path, name.to_bytes());
            if path.len() > LONGEST {
                return Err(Error::invalid(format!("{}…: file name too long", path[..200].escape_ascii())));
            }
            let Some(stat) = look(level.folder.as_fd(), &name).context(|| format!("lstat {}", path.escape_ascii()))?
            else {
                continue;
            };
            if let Some(inner) = self.entry(level.folder.as_fd(), &name, &stat, &path)? {
                levels.push(inner);
            }
        }
        Ok(())
    }

    /// Writes one entry; for a folder, what is in it is to be walked next.
    fn entry(&mut self, folder: BorrowedFd<'_>, name: &CStr, stat: &Stat, path: &[u8]) -> Result<Option<Level>> {
        match self.view.meaning(folder, name, stat)? {
            Meaning::Nothing => return Ok(None),
            Meaning::Whiteout => {
                let (parent, last) = split(path);
                return self.marker(&[parent, b".wh.", last].concat(), stat).map(|()| None);
            }
            Meaning::Thing => {}
        }
        let step = || format!("read {}", path.escape_ascii());
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => match open(folder, name, OFlags::RDONLY | OFlags::DIRECTORY).context(step)? {
                Some(opened) => return self.open_folder(opened, path).map(Some),
                None => return Ok(None),
            },
            FileType::RegularFile => self.file(folder, name, path).context(step)?,
            // An archive cannot say what a socket is, and nothing could be done with it.
            FileType::Socket => {}
            _ => self.special(folder, name, stat, path).context(step)?,
        }
        Ok(None)
    }

    fn open_folder(&mut self, folder: OwnedFd, path: &[u8]) -> Result<Level> {
        let step = || format!("read {}", path.escape_ascii());
        let stat = rustix::fs::fstat(&folder).map_err(io::Error::from).context(step)?;
        let xattrs = self.attributes(folder.as_fd()).map_err(io::Error::from).context(step)?;
        let shown = if path.ends_with(b"/") { path.to_vec() } else { [path, b"/"].concat() };
        self.write(&Entry { xattrs, ..self.described(shown.clone(), Kind::Directory, &stat) }, None)?;
        if self.view.is_opaque(folder.as_fd()) {
            self.marker(&[shown.as_slice(), b".wh..wh..opq"].concat(), &stat)?;
        }
        let names = match self.view.enters(folder.as_fd()) {
            true => sorted_names(folder.as_fd()).context(step)?,
            false => Vec::new().into_iter(),
        };
        Ok(Level { folder, path: path.to_vec(), names })
    }

    /// A file that says something about the layers below.
    fn marker(&mut self, path: &[u8], stat: &Stat) -> Result<()> {
        let mtime = Time { seconds: 0, nanoseconds: 0 };
        let kind = Kind::File { size: 0, extents: None };
        self.write(&Entry { mode: 0o600, mtime, ..self.described(path.to_vec(), kind, stat) }, None)
    }

    fn file(&mut self, folder: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> io::Result<()> {
        // Only what is known to be a file is opened: opening a device could do anything to the machine.
        let Some(found) = open(folder, name, OFlags::PATH)? else { return Ok(()) };
        let stat = rustix::fs::fstat(&found)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        if let Some(first) = self.known(&stat, path) {
            return self.append(&self.described(path.to_vec(), Kind::Hardlink(first), &stat), None);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat(CWD, attributes::magic(&found), flags, Mode::empty())?);
        let size = stat.st_size.cast_unsigned();
        let extents = if self.view.keeps_holes() { holes(&file, &stat)? } else { None };
        let xattrs = self.attributes(file.as_fd())?;
        self.append(
            &Entry { xattrs, ..self.described(path.to_vec(), Kind::File { size, extents }, &stat) },
            Some(&file),
        )
    }

    fn special(&mut self, folder: BorrowedFd<'_>, name: &CStr, stat: &Stat, path: &[u8]) -> io::Result<()> {
        if let Some(first) = self.known(stat, path) {
            return self.append(&self.described(path.to_vec(), Kind::Hardlink(first), stat), None);
        }
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => match readlinkat(folder, name, Vec::new()) {
                Ok(target) => Kind::Symlink(target.into_bytes()),
                // Something else by now.
                Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                Err(error) => return Err(error.into()),
            },
            FileType::CharacterDevice => Kind::Character { major, minor },
            FileType::BlockDevice => Kind::Block { major, minor },
            FileType::Fifo => Kind::Fifo,
            _ => return Ok(()),
        };
        self.append(&self.described(path.to_vec(), kind, stat), None)
    }

    /// The first name of a file that was seen before under another one.
    fn known(&mut self, stat: &Stat, path: &[u8]) -> Option<Vec<u8>> {
        if stat.st_nlink < 2 {
            return None;
        }
        let key = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.linked.get(&key) {
            return Some(first.clone());
        }
        self.linked.insert(key, path.to_vec());
        None
    }

    fn attributes(&self, file: BorrowedFd<'_>) -> Result<attributes::Xattrs, Errno> {
        attributes::read(file, if self.view.is_exact() { attributes::belongs } else { attributes::travels })
    }

    /// An entry without extended attributes. Times are whole seconds, as in Docker's archives, where nobody wants more.
    fn described(&self, path: Vec<u8>, kind: Kind, stat: &Stat) -> Entry {
        let nanoseconds = if self.view.is_exact() { u32::try_from(stat.st_mtime_nsec).unwrap_or_default() } else { 0 };
        Entry {
            path,
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Time { seconds: stat.st_mtime, nanoseconds },
            xattrs: Vec::new(),
        }
    }

    fn append(&mut self, entry: &Entry, contents: Option<&File>) -> io::Result<()> {
        self.writer.append(entry, contents)
    }

    fn write(&mut self, entry: &Entry, contents: Option<&File>) -> Result<()> {
        self.append(entry, contents).context(|| format!("write {}", entry.path.escape_ascii()))
    }
}

fn look(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Stat>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens what is there if it still is what it was.
fn open(folder: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> io::Result<Option<OwnedFd>> {
    match openat(folder, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// In an order that does not depend on the file system.
fn sorted_names(folder: BorrowedFd<'_>) -> io::Result<std::vec::IntoIter<CString>> {
    let mut names = names(folder)?.collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names.into_iter())
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if folder.is_empty() || folder.ends_with(b"/") { b"" } else { b"/" };
    [folder, slash, name].concat()
}

/// The folder with its slash, and the last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    path.split_at(path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1))
}

/// Where the data of a file is, if it has holes that are worth the trouble.
fn holes(file: &File, stat: &Stat) -> io::Result<Option<Vec<Extent>>> {
    let size = stat.st_size.cast_unsigned();
    if stat.st_blocks.cast_unsigned() * 512 >= size {
        return Ok(None);
    }
    let (mut extents, mut at) = (Vec::new(), 0);
    while at < size {
        let offset = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(offset) if offset < size => offset,
            // Nothing but a hole until the end.
            Ok(_) | Err(Errno::NXIO) => break,
            Err(Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(file, SeekFrom::Hole(offset))?.min(size);
        extents.push(Extent { offset, length: end.saturating_sub(offset) });
        at = end;
        if extents.len() > MOST_EXTENTS {
            return Ok(None);
        }
    }
    // GNU's format ends a map with the end of the file.
    extents.push(Extent { offset: size, length: 0 });
    Ok(Some(extents))
}

impl<W, V: ?Sized> std::fmt::Debug for Packer<'_, W, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("linked", &self.linked.len()).finish_non_exhaustive()
    }
}
