//! Copying a directory of the image into a new tmpfs (`tmpcopyup`).

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RawDir, Stat, Timespec, Timestamps, Uid, chmodat, chownat, fchmod, fchown,
    mkdirat, mknodat, openat, readlinkat_raw, sendfile, statat, symlinkat, utimensat,
};
use rustix::io::Errno;

/// Deeper trees are refused: the recursion is on the stack.
const DEEPEST: usize = 64;
const ENTRIES: usize = 2048;

/// Copies everything below `from` to `to`, both directories, with owners, modes and times.
pub(super) fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(from)?;
    copy_entries(from, to, DEEPEST)?;
    chownat(to, c"", owner(&stat).0, owner(&stat).1, AtFlags::EMPTY_PATH)
}

fn copy_entries(from: BorrowedFd<'_>, to: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
    if depth == 0 {
        return Err(Errno::LOOP);
    }
    // The descriptors may be of O_PATH.
    let list = openat(from, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut space = [MaybeUninit::<u8>::uninit(); ENTRIES];
    let mut entries = RawDir::new(list.as_fd(), &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            copy_entry(from, to, name, depth)?;
        }
    }
    Ok(())
}

fn copy_entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
    let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, mode)?;
            let (source, copy) = (open_directory(from, name)?, open_directory(to, name)?);
            copy_entries(source.as_fd(), copy.as_fd(), depth - 1)?;
        }
        FileType::RegularFile => return copy_file(from, to, name, &stat),
        FileType::Symlink => copy_link(from, to, name)?,
        kind => mknodat(to, name, kind, mode, stat.st_rdev)?,
    }
    chownat(to, name, owner(&stat).0, owner(&stat).1, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        // Changing the owner clears the set-user-ID bits.
        chmodat(to, name, mode, AtFlags::empty())?;
    }
    utimensat(to, name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW)
}

fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    openat(parent, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> Result<(), Errno> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let source = openat(from, name, OFlags::RDONLY | flags, Mode::empty())?;
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | flags;
    let copy = openat(to, name, create, Mode::from_raw_mode(0o600))?;
    while sendfile(&copy, &source, None, 1 << 30)? > 0 {}
    let (uid, gid) = owner(stat);
    fchown(&copy, uid, gid)?;
    fchmod(&copy, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    rustix::fs::futimens(&copy, &times(stat))
}

fn copy_link(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let mut text = [0u8; 4097];
    let length = readlinkat_raw(from, name, &mut text[..4096])?;
    text[length.min(4096)] = 0;
    symlinkat(CStr::from_bytes_until_nul(&text).map_err(|_| Errno::INVAL)?, to, name)
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanoseconds: u64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as i64 };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}
