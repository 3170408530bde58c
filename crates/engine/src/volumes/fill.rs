//! Copying what an image has at a volume's place into the volume.
//!
//! The image is not trusted: its tree is walked by descriptors, links are copied and never followed.

use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat,
    chownat, fgetxattr, flistxattr, fsetxattr, ioctl_ficlone, linkat, mkdirat, mknodat, openat, readlinkat, seek,
    statat, symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::rootfs::Root;

/// Copies the tree at `place` in the image into an empty folder; says whether the image has a folder there.
pub(super) fn from_image(root: &Root, place: &str, target: &Path, stepped: &dyn Fn()) -> Result<bool> {
    let step = || format!("copy {place} of the image");
    let source = root.open(place, OFlags::RDONLY | OFlags::DIRECTORY).context(step)?;
    let Some(source) = source else { return Ok(false) };
    open_folder(target).and_then(|target| copy_all(source.as_fd(), target.as_fd(), stepped)).context(step)?;
    Ok(true)
}

/// Copies all of a folder into an empty one, which becomes like it. Tells that it goes on by `stepped`.
pub(super) fn content(source: &Path, target: &Path, stepped: &dyn Fn()) -> io::Result<()> {
    copy_all(open_folder(source)?.as_fd(), open_folder(target)?.as_fd(), stepped)
}

fn copy_all(source: BorrowedFd<'_>, target: BorrowedFd<'_>, stepped: &dyn Fn()) -> io::Result<()> {
    Copier { top: target, path: Vec::new(), linked: HashMap::new(), stepped }.folder(source, target)?;
    same_folder(source, target)
}

/// Gives a folder the owner, mode and attributes of another whose place it takes.
pub(super) fn folder_itself(source: &Path, target: &Path) -> io::Result<()> {
    same_folder(open_folder(source)?.as_fd(), open_folder(target)?.as_fd())
}

fn same_folder(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let stat = rustix::fs::fstat(source)?;
    attributes(source, target)?;
    rustix::fs::fchown(target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(target, Mode::from_raw_mode(stat.st_mode))?;
    Ok(rustix::fs::futimens(target, &times(&stat))?)
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// A copy that is being made. Nobody else changes its target.
struct Copier<'a> {
    top: BorrowedFd<'a>,
    /// Of the folder that is being copied, below the top.
    path: Vec<u8>,
    /// Files with several names by device and number, and the path of the first one.
    linked: HashMap<(u64, u64), Vec<u8>>,
    stepped: &'a dyn Fn(),
}

impl Copier<'_> {
    /// Copies what is in a folder. Depth is bounded by the open files, which the kernel bounds.
    fn folder(&mut self, source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
        for entry in Dir::read_from(source)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
            self.copy((source, target), name, &stat)?;
            (self.stepped)();
        }
        Ok(())
    }

    fn copy(&mut self, (source, target): (BorrowedFd<'_>, BorrowedFd<'_>), name: &CStr, stat: &Stat) -> io::Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::Directory && self.is_linked(target, name, stat)? {
            return Ok(());
        }
        match kind {
            FileType::Directory => {
                mkdirat(target, name, Mode::RWXU)?;
                let (from, to) = (open(source, name, OFlags::DIRECTORY)?, open(target, name, OFlags::DIRECTORY)?);
                let length = self.path.len();
                self.path.extend_from_slice(&[name.to_bytes(), b"/"].concat());
                self.folder(from.as_fd(), to.as_fd())?;
                self.path.truncate(length);
                attributes(from.as_fd(), to.as_fd())?;
            }
            FileType::RegularFile => {
                let from = File::from(open(source, name, OFlags::NONBLOCK)?);
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let to = File::from(openat(target, name, flags, Mode::RUSR | Mode::WUSR)?);
                contents(&from, &to, self.stepped)?;
                attributes(from.as_fd(), to.as_fd())?;
            }
            FileType::Symlink => symlinkat(readlinkat(source, name, Vec::new())?, target, name)?,
            FileType::Socket => return Ok(()),
            _ => match mknodat(target, name, kind, Mode::from_raw_mode(stat.st_mode), stat.st_rdev) {
                // Without root there are no devices, and a volume can do without them.
                Err(Errno::PERM) => return Ok(()),
                result => result?,
            },
        }
        ownership(target, name, stat, kind == FileType::Symlink)
    }

    /// Gives what was copied under another name this one, too.
    fn is_linked(&mut self, target: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let key = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.linked.get(&key) {
            match linkat(self.top, first.as_slice(), target, name, AtFlags::empty()) {
                // The first one was left out, or has as many names as there can be.
                Err(Errno::NOENT | Errno::MLINK | Errno::NAMETOOLONG) => {}
                linked => return Ok(linked.map(|()| true)?),
            }
        }
        self.linked.insert(key, [self.path.as_slice(), name.to_bytes()].concat());
        Ok(false)
    }
}

/// Bytes that are copied between two steps.
const STEP: u64 = 1 << 20;

/// Shares the blocks where the file system can; else holes stay holes.
fn contents(from: &File, to: &File, stepped: &dyn Fn()) -> io::Result<()> {
    if ioctl_ficlone(to, from).is_ok() {
        return Ok(());
    }
    let size = from.metadata()?.len();
    let mut at = 0;
    while at < size {
        let start = match seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole until the end.
            Err(Errno::NXIO) => break,
            // A file system that does not tell.
            Err(_) => return whole(from, to, stepped),
        };
        let Ok(end) = seek(from, SeekFrom::Hole(start)) else { return whole(from, to, stepped) };
        seek(from, SeekFrom::Start(start))?;
        seek(to, SeekFrom::Start(start))?;
        if piece(from, to, end.saturating_sub(start), stepped)? == 0 {
            // It has become shorter.
            break;
        }
        at = end;
    }
    // A hole at the end.
    if to.metadata()?.len() < size { to.set_len(size) } else { Ok(()) }
}

fn whole(from: &File, to: &File, stepped: &dyn Fn()) -> io::Result<()> {
    seek(from, SeekFrom::Start(0))?;
    seek(to, SeekFrom::Start(0))?;
    piece(from, to, u64::MAX, stepped).map(drop)
}

/// Copies so many bytes, or up to the end, and says how many they were.
fn piece(from: &File, mut to: &File, length: u64, stepped: &dyn Fn()) -> io::Result<u64> {
    let mut copied = 0;
    while copied < length {
        match io::copy(&mut from.take(STEP.min(length - copied)), &mut to)? {
            0 => break,
            more => copied += more,
        }
        stepped();
    }
    Ok(copied)
}

fn open(dir: BorrowedFd<'_>, name: &CStr, more: OFlags) -> io::Result<OwnedFd> {
    Ok(openat(dir, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more, Mode::empty())?)
}

/// Owner first: the kernel takes set-user-ID bits away when it changes.
fn ownership(target: BorrowedFd<'_>, name: &CStr, stat: &Stat, link: bool) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(target, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !link {
        chmodat(target, name, Mode::from_raw_mode(stat.st_mode), AtFlags::empty())?;
    }
    Ok(utimensat(target, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |tv_sec: i64, nanos: u64| Timespec { tv_sec, tv_nsec: i64::try_from(nanos).unwrap_or_default() };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Extended attributes; those that this file system or this user cannot have are left out.
fn attributes(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    // `XATTR_LIST_MAX`
    let mut names = vec![0_u8; 64 << 10];
    let length = match flistxattr(source, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0_u8; 64 << 10];
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if let Ok(size) = fgetxattr(source, name, &mut value[..]) {
            let _ = fsetxattr(target, name, &value[..size], XattrFlags::empty());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_store::Overlay;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn a_tree_arrives_with_modes_links_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["lower/data/sub", "upper", "work", "volume"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("lower/data/sub/file"), "x").unwrap();
        fs::set_permissions(path("lower/data/sub/file"), fs::Permissions::from_mode(0o4750)).unwrap();
        fs::set_permissions(path("lower/data"), fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("/etc/shadow", path("lower/data/link")).unwrap();
        let overlay =
            Overlay { lower: vec![path("lower")], upper: path("upper"), work: path("work"), userxattr: false };
        let Ok(root) = Root::of_overlay(&overlay) else {
            eprintln!("SKIPPED: overlay cannot be mounted here");
            return;
        };
        assert!(from_image(&root, "/data", &path("volume"), &|| {}).unwrap());
        let (copied, original) = (path("volume/sub/file"), path("lower/data/sub/file"));
        let (copied, original) = (fs::metadata(copied).unwrap(), fs::metadata(original).unwrap());
        assert_eq!((copied.mode(), copied.mtime()), (original.mode(), original.mtime()));
        assert_eq!(fs::read_link(path("volume/link")).unwrap(), Path::new("/etc/shadow"));
        assert_eq!(fs::metadata(path("volume")).unwrap().mode() & 0o7777, 0o1777);
        assert!(!from_image(&root, "/missing", &path("volume"), &|| {}).unwrap());
    }

    #[test]
    fn files_with_several_names_and_with_holes_are_such_files_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("from/sub")).unwrap();
        fs::create_dir(path("to")).unwrap();
        let holes = File::create(path("from/sub/holes")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&holes, b"here", 64 << 20).unwrap();
        holes.set_len(128 << 20).unwrap();
        fs::hard_link(path("from/sub/holes"), path("from/other")).unwrap();
        content(&path("from"), &path("to"), &|| {}).unwrap();
        let [one, two] = ["to/sub/holes", "to/other"].map(|name| fs::metadata(path(name)).unwrap());
        assert_eq!((one.ino(), one.nlink(), one.len()), (two.ino(), 2, 128 << 20));
        assert!(one.blocks() * 512 < 1 << 20, "{} blocks", one.blocks());
        let mut here = [0; 4];
        std::os::unix::fs::FileExt::read_exact_at(&File::open(path("to/other")).unwrap(), &mut here, 64 << 20).unwrap();
        assert_eq!(&here, b"here");
    }
}
