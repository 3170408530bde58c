//! Copying what an image has at a volume's place into the volume.
//!
//! The image is not trusted: its tree is walked by descriptors, links are copied and never followed.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    fgetxattr, flistxattr, fsetxattr, mkdirat, mknodat, openat, readlinkat, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

use crate::rootfs::Root;

/// Copies the tree at `place` in the image into an empty folder; says whether the image has a folder there.
pub(super) fn from_image(root: &Root, place: &str, target: &Path) -> Result<bool> {
    let step = || format!("copy {place} of the image");
    let source = root.open(place, OFlags::RDONLY | OFlags::DIRECTORY).context(step)?;
    let Some(source) = source else { return Ok(false) };
    open_folder(target).and_then(|target| copy_all(source.as_fd(), target.as_fd())).context(step)?;
    Ok(true)
}

/// Copies all of a folder into an empty one, which becomes like it.
pub(super) fn content(source: &Path, target: &Path) -> io::Result<()> {
    copy_all(open_folder(source)?.as_fd(), open_folder(target)?.as_fd())
}

fn copy_all(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    folder(source, target)?;
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
    Ok(())
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Copies what is in a folder. Depth is bounded by the open files, which the kernel bounds.
fn folder(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    for entry in Dir::read_from(source)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        copy(source, target, name, &stat)?;
    }
    Ok(())
}

fn copy(source: BorrowedFd<'_>, target: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<()> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    match kind {
        FileType::Directory => {
            mkdirat(target, name, Mode::RWXU)?;
            let (from, to) = (open(source, name, OFlags::DIRECTORY)?, open(target, name, OFlags::DIRECTORY)?);
            folder(from.as_fd(), to.as_fd())?;
            attributes(from.as_fd(), to.as_fd())?;
        }
        FileType::RegularFile => {
            let from = open(source, name, OFlags::NONBLOCK)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let to = openat(target, name, flags, Mode::RUSR | Mode::WUSR)?;
            let (mut from, mut to) = (File::from(from), File::from(to));
            io::copy(&mut from, &mut to)?;
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
    let time = |tv_sec: i64, nanos: u64| Timespec { tv_sec, tv_nsec: i64::try_from(nanos).unwrap_or_default() };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    Ok(utimensat(target, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Extended attributes; those that this file system or this user cannot have are left out.
fn attributes(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    let mut names = [0_u8; 4096];
    let length = match flistxattr(source, &mut names) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::RANGE) => return Ok(()),
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
        assert!(from_image(&root, "/data", &path("volume")).unwrap());
        let (copied, original) = (path("volume/sub/file"), path("lower/data/sub/file"));
        let (copied, original) = (fs::metadata(copied).unwrap(), fs::metadata(original).unwrap());
        assert_eq!((copied.mode(), copied.mtime()), (original.mode(), original.mtime()));
        assert_eq!(fs::read_link(path("volume/link")).unwrap(), Path::new("/etc/shadow"));
        assert_eq!(fs::metadata(path("volume")).unwrap().mode() & 0o7777, 0o1777);
        assert!(!from_image(&root, "/missing", &path("volume")).unwrap());
    }
}
