//! Putting one entry into a tree.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufRead, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags, Timespec, Timestamps, Uid,
    chownat, fstat, linkat, mkdirat, mknodat, openat, openat2, renameat, statat, statx, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::attributes::{self, magic};
use crate::read::{Archive, Entry, Extent, Kind, Time};
use crate::remove;
use crate::unpack::{Owner, Rules};

/// Folders that nobody described.
const IMPLIED: Mode = Mode::from_raw_mode(0o755);

/// Where an archive is unpacked to.
pub(crate) struct Target<'a> {
    root: BorrowedFd<'a>,
    destination: &'a [u8],
    rules: &'a Rules,
    /// The folder that the last entry was put into: an archive is written folder by folder.
    last: Option<(Vec<u8>, OwnedFd)>,
}

/// What is in a folder under that name, and whether it is a file that is mounted there. To rename another one over that from
/// outside of the container would unmount it in the container.
fn look(folder: BorrowedFd<'_>, name: &CString) -> Result<(Option<FileType>, bool), Errno> {
    let there = match statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::TYPE) {
        Ok(there) => there,
        Err(Errno::NOENT) => return Ok((None, false)),
        Err(error) => return Err(error),
    };
    let kind = FileType::from_raw_mode(there.stx_mode.into());
    let mounted = there.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) && kind != FileType::Directory;
    Ok((Some(kind), mounted))
}

/// Where an entry is put: an open folder, and a name in it.
struct Spot<'a> {
    folder: BorrowedFd<'a>,
    name: CString,
    kind: Option<FileType>,
    /// It is a file that is mounted there.
    mounted: bool,
    /// The whole of it, for messages.
    shown: String,
}

impl<'a> Target<'a> {
    pub(crate) fn new(root: BorrowedFd<'a>, destination: &'a [u8], rules: &'a Rules) -> Self {
        Self { root, destination, rules, last: None }
    }

    /// Puts an entry in its place.
    pub(crate) fn put<R: BufRead>(&mut self, name: &[u8], entry: &Entry, archive: &mut Archive<R>) -> Result<()> {
        let shown = self.shown(name);
        let (parent, last) = split(name);
        let folder = self.folder(parent).map_err(io::Error::from).context(|| format!("open {}", self.shown(parent)))?;
        let last = CString::new(last).map_err(io::Error::from).context(|| format!("open {shown}"))?;
        let (kind, mounted) =
            look(folder.as_fd(), &last).map_err(io::Error::from).context(|| format!("lstat {shown}"))?;
        let spot = Spot { folder: folder.as_fd(), name: last, kind, mounted, shown };
        self.check_kinds(&spot, entry)?;
        let put = match &entry.kind {
            Kind::File { size, extents } => return self.file(&spot, entry, (*size, extents.as_deref()), archive),
            Kind::Directory => self.directory(&spot, entry),
            _ if mounted => Err(Errno::BUSY),
            Kind::Symlink(target) => self.symlink(&spot, entry, target),
            Kind::Hardlink(other) => self.hardlink(&spot, other),
            Kind::Character { major, minor } => self.node(&spot, entry, FileType::CharacterDevice, (*major, *minor)),
            Kind::Block { major, minor } => self.node(&spot, entry, FileType::BlockDevice, (*major, *minor)),
            Kind::Fifo => self.node(&spot, entry, FileType::Fifo, (0, 0)),
        };
        put.map_err(io::Error::from).context(|| format!("write {}", spot.shown))
    }

    /// Sets the time of a folder.
    pub(crate) fn touch(&mut self, name: &[u8], time: Time) -> Result<()> {
        let touched = self.folder(name).and_then(|folder| set_times(&folder, time));
        match touched {
            // Taken away or replaced since.
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
            result => result.map_err(io::Error::from).context(|| format!("set the time of {}", self.shown(name))),
        }
    }

    /// Gives the destination itself what an entry says of it.
    pub(crate) fn become_like(&self, entry: &Entry) -> Result<()> {
        let path = [self.destination, b"/."].concat();
        let path = path.strip_prefix(b"/").unwrap_or(&path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let folder = openat2(self.root, path, flags, Mode::empty(), resolve);
        let like = folder.and_then(|folder| self.attributes(&File::from(folder), entry));
        like.map_err(io::Error::from).context(|| format!("write {}", self.rules.shown))
    }

    fn shown(&self, name: &[u8]) -> String {
        let slash = if self.rules.shown.ends_with('/') || name.is_empty() { "" } else { "/" };
        format!("{}{slash}{}", self.rules.shown, String::from_utf8_lossy(name))
    }

    fn check_kinds(&self, spot: &Spot<'_>, entry: &Entry) -> Result<()> {
        let Some(there) = spot.kind.filter(|_| self.rules.keeps_kinds) else { return Ok(()) };
        let (from, to) = match (there == FileType::Directory, entry.kind == Kind::Directory) {
            (true, false) => ("directory", "non-directory"),
            (false, true) => ("non-directory", "directory"),
            _ => return Ok(()),
        };
        Err(Error::invalid(format!("cannot overwrite {from} {:?} with {to} {:?}", spot.shown, self.rules.shown)))
    }

    /// The folder of that name below the destination, made if it is missing.
    fn folder(&mut self, name: &[u8]) -> Result<OwnedFd, Errno> {
        if let Some((known, folder)) = &self.last
            && known == name
        {
            return rustix::io::fcntl_dupfd_cloexec(folder, 0);
        }
        let folder = match self.open(name) {
            Err(Errno::NOENT) => self.make(name)?,
            result => result?,
        };
        self.last = Some((name.to_vec(), rustix::io::fcntl_dupfd_cloexec(&folder, 0)?));
        Ok(folder)
    }

    fn open(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let path = [self.destination, b"/", name, b"/."].concat();
        let path: &[u8] = path.strip_prefix(b"/").unwrap_or(&path);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }

    /// Makes a folder and those it is in, as far as they are missing.
    fn make(&self, name: &[u8]) -> Result<OwnedFd, Errno> {
        let mut missing = Vec::new();
        let mut there = name;
        let mut folder = loop {
            let (parent, last) = split(there);
            missing.push(last);
            match self.open(parent) {
                Err(Errno::NOENT) if !parent.is_empty() => there = parent,
                result => break result?,
            }
        };
        for last in missing.into_iter().rev() {
            mkdirat(&folder, last, IMPLIED)?;
            if let Owner::Of(uid, gid) = self.rules.owner {
                let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                chownat(&folder, last, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = openat(&folder, last, flags, Mode::empty())?;
        }
        Ok(folder)
    }

    fn directory(&self, spot: &Spot<'_>, entry: &Entry) -> Result<(), Errno> {
        if spot.kind != Some(FileType::Directory) {
            spot.clear()?;
            mkdirat(spot.folder, &spot.name, Mode::RWXU)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(spot.folder, &spot.name, flags, Mode::empty())?;
        self.attributes(&File::from(folder), entry)
    }

    fn symlink(&self, spot: &Spot<'_>, entry: &Entry, target: &[u8]) -> Result<(), Errno> {
        spot.clear()?;
        symlinkat(target, spot.folder, &spot.name)?;
        self.own(entry, |uid, gid| chownat(spot.folder, &spot.name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
        utimensat(spot.folder, &spot.name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn hardlink(&mut self, spot: &Spot<'_>, other: &[u8]) -> Result<(), Errno> {
        let (parent, last) = split(other);
        let folder = self.open(parent)?;
        let same =
            |one: &rustix::fs::Stat, two: &rustix::fs::Stat| (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino);
        let from = statat(&folder, last, AtFlags::SYMLINK_NOFOLLOW)?;
        match statat(spot.folder, &spot.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(there) if same(&from, &there) => return Ok(()),
            Ok(_) => spot.clear()?,
            Err(_) => {}
        }
        linkat(&folder, last, spot.folder, &spot.name, AtFlags::empty())
    }

    fn node(&self, spot: &Spot<'_>, entry: &Entry, kind: FileType, device: (u32, u32)) -> Result<(), Errno> {
        spot.clear()?;
        let number = rustix::fs::makedev(device.0, device.1);
        mknodat(spot.folder, &spot.name, kind, Mode::RUSR | Mode::WUSR, number)?;
        let node = openat(spot.folder, &spot.name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let mode = self.own(entry, |uid, gid| chownat(&node, "", uid, gid, AtFlags::EMPTY_PATH))?;
        // By the way that leads to this very node, whatever has its name by now.
        rustix::fs::chmod(magic(&node), mode)?;
        set_times(&node, entry.mtime)
    }

    /// A file is written under another name and takes its own when it is complete.
    fn file<R: BufRead>(
        &self,
        spot: &Spot<'_>,
        entry: &Entry,
        (size, extents): (u64, Option<&[Extent]>),
        archive: &mut Archive<R>,
    ) -> Result<()> {
        let step = || format!("write {}", spot.shown);
        let temporary = Temporary::create(spot.folder).context(step)?;
        let whole = [Extent { offset: 0, length: size }];
        for extent in extents.unwrap_or(&whole) {
            archive.copy_to(&temporary.file, *extent, step, |_| {})?;
        }
        if extents.is_some() {
            temporary.file.set_len(size).context(step)?;
        }
        self.attributes(&temporary.file, entry).map_err(io::Error::from).context(step)?;
        if spot.kind == Some(FileType::Directory) {
            spot.clear().map_err(io::Error::from).context(step)?;
        }
        temporary.take_place(spot).context(step)
    }

    /// Owner first: the kernel takes set-user-ID bits and capabilities away when it changes.
    fn attributes(&self, file: &File, entry: &Entry) -> Result<(), Errno> {
        let mode = self.own(entry, |uid, gid| rustix::fs::fchown(file, uid, gid))?;
        rustix::fs::fchmod(file, mode)?;
        let wanted = if self.rules.exact { attributes::belongs } else { attributes::travels };
        attributes::set(file, &entry.xattrs, wanted)?;
        rustix::fs::futimens(file, &times(entry.mtime))
    }

    /// Gives an entry to its owner and says which mode it gets then. An owner that this process may not give it to, or
    /// who has no number in this user namespace, does not get it; nor does anybody get that owner's rights.
    fn own(
        &self,
        entry: &Entry,
        chown: impl FnOnce(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> Result<Mode, Errno> {
        let owner = match self.rules.owner {
            Owner::Archived => chown(Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid))),
            Owner::Of(uid, gid) => chown(Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))),
            Owner::Caller => Ok(()),
        };
        match owner {
            Ok(()) => Ok(Mode::from_raw_mode(entry.mode)),
            Err(Errno::PERM | Errno::INVAL) => Ok(Mode::from_raw_mode(entry.mode & 0o1777)),
            Err(error) => Err(error),
        }
    }
}

impl Spot<'_> {
    /// Takes away what is there.
    fn clear(&self) -> Result<(), Errno> {
        if self.kind.is_some() { remove::tree(self.folder, self.name.to_bytes()) } else { Ok(()) }
    }
}

/// A file that is gone when it is dropped, unless it was given its name.
struct Temporary<'a> {
    folder: BorrowedFd<'a>,
    name: String,
    file: File,
}

impl<'a> Temporary<'a> {
    fn create(folder: BorrowedFd<'a>) -> io::Result<Self> {
        loop {
            let name = format!(".dhow-{:016x}", fastrand::u64(..));
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(folder, &name, flags, Mode::RUSR | Mode::WUSR) {
                Err(Errno::EXIST) => {}
                file => return Ok(Self { folder, name, file: file?.into() }),
            }
        }
    }

    fn take_place(mut self, spot: &Spot<'_>) -> io::Result<()> {
        // A file of the engine's or of the host's is mounted there: its contents can be replaced, not the file.
        if spot.mounted {
            return self.overwrite(&spot.name);
        }
        match renameat(self.folder, &self.name, self.folder, &spot.name) {
            Ok(()) => self.name.clear(),
            Err(Errno::BUSY) => self.overwrite(&spot.name)?,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn overwrite(&mut self, name: &CString) -> io::Result<()> {
        let found = openat(self.folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::RegularFile {
            return Err(Errno::BUSY.into());
        }
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC;
        let mut file = File::from(openat(CWD, magic(&found), flags, Mode::empty())?);
        rustix::fs::seek(&self.file, rustix::fs::SeekFrom::Start(0))?;
        io::copy(&mut self.file, &mut file)?;
        file.flush()
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = unlinkat(self.folder, &self.name, AtFlags::empty());
        }
    }
}

fn set_times(file: impl AsFd, time: Time) -> Result<(), Errno> {
    utimensat(CWD, magic(file), &times(time), AtFlags::empty())
}

fn times(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// The folder and the last component.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match name.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&name[..slash], &name[slash + 1..]),
        None => (b"", name),
    }
}
