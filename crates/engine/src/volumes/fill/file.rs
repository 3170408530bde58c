//! One file of a copy, and what a copy has of the original beside its bytes.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod,
    fchown, fgetxattr, fsetxattr, futimens, ioctl_ficlone, openat, seek, utimensat,
};
use rustix::io::Errno;

/// Bytes that are copied between two steps.
const STEP: u64 = 1 << 20;

/// Shares the blocks where the file system can; else holes stay holes.
pub(super) fn contents(from: &File, to: &File, stepped: &dyn Fn()) -> io::Result<()> {
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

/// Gives a file or a folder all that another one has beside its content.
pub(super) fn same(source: BorrowedFd<'_>, target: BorrowedFd<'_>, stat: &Stat) -> io::Result<()> {
    // In this order: a change of the owner takes file capabilities and set-user-ID bits away (chown(2)).
    fchown(target, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    attributes(source, target)?;
    fchmod(target, Mode::from_raw_mode(stat.st_mode))?;
    Ok(futimens(target, &times(stat))?)
}

/// The same with what cannot be opened: a link, a pipe, a device. Others may be at the folder: what has come to the name
/// since is changed at most itself, and no link is followed.
pub(super) fn same_by_name(folder: BorrowedFd<'_>, name: &CStr, stat: &Stat, link: bool) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if !link {
        let this = openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let path = format!("/proc/self/fd/{}", this.as_raw_fd());
        // Of a link the kernel has no mode to change.
        match chmodat(CWD, path, Mode::from_raw_mode(stat.st_mode), AtFlags::empty()) {
            Err(Errno::OPNOTSUPP) => {}
            changed => changed?,
        }
    }
    Ok(utimensat(folder, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
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
    let names = dhow_archive::attribute_names(source)?;
    if names.is_empty() {
        return Ok(());
    }
    let mut value = vec![0_u8; 64 << 10];
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if let Ok(size) = fgetxattr(source, name, &mut value[..]) {
            let _ = fsetxattr(target, name, &value[..size], XattrFlags::empty());
        }
    }
    Ok(())
}
