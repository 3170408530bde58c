//! Deletes trees of any depth, relative to a folder's descriptor.
//!
//! A container or an image decides what a tree looks like: paths longer than `PATH_MAX`, thousands of levels, immutable
//! files. So nothing recurses and no path is followed: each folder inside a folder is moved up to the trash itself
//! first, and then emptied in its turn.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FileType, IFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Deletes `name` in `trash` with all that is below it; `trash` is used as scratch space. What cannot be deleted is left
/// there, the rest is deleted, and the first error is returned.
pub(crate) fn tree(trash: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    tree_while(trash, name, &|| false, &|_| false)
}

/// The same. Between two folders it asks whether to `stop`, and of one that could not be emptied whether to try it `again`.
pub(super) fn tree_while(
    trash: BorrowedFd<'_>,
    name: &CStr,
    stop: &dyn Fn() -> bool,
    again: &dyn Fn(Errno) -> bool,
) -> io::Result<()> {
    let mut folders = Vec::new();
    let mut failure = remove(trash, name, trash, &mut folders).err();
    while let Some(folder) = folders.pop() {
        if stop() {
            return Err(Errno::INTR.into());
        }
        match empty(trash, &folder, &mut folders) {
            Err(error) if again(error) => folders.push(folder),
            Err(error) => failure = failure.or(Some(error)),
            Ok(()) => {}
        }
    }
    failure.map_or(Ok(()), |error| Err(error.into()))
}

/// Deletes `name` in a folder, whatever it is, with itself as scratch space. Says whether it was there.
pub(super) fn in_place(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    let removed = match open(folder, name) {
        Err(Errno::NOENT) => return Ok(false),
        // No folder, or a link to one.
        Err(Errno::NOTDIR) => unlink(folder, name, AtFlags::empty()),
        opened => {
            let opened = opened?;
            let inside = dhow_archive::names(&opened)?.collect::<io::Result<Vec<_>>>()?;
            inside.iter().map(|name| tree(opened.as_fd(), name)).fold(Ok(()), Result::and)?;
            unlink(folder, name, AtFlags::REMOVEDIR)
        }
    };
    Ok(removed.map(|()| true)?)
}

/// Deletes what is in a folder of the trash, then the folder. Folders inside are moved out and queued.
fn empty(trash: BorrowedFd<'_>, name: &CStr, folders: &mut Vec<CString>) -> Result<(), Errno> {
    let folder = open(trash, name)?;
    let mut failure = None;
    for entry in Dir::read_from(&folder)? {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let removed = match entry.file_type() {
            FileType::Directory => set_aside(folder.as_fd(), entry.file_name(), trash, folders),
            _ => remove(folder.as_fd(), entry.file_name(), trash, folders),
        };
        failure = failure.or(removed.err());
    }
    match failure {
        Some(error) => Err(error),
        None => rustix::fs::unlinkat(trash, name, AtFlags::REMOVEDIR),
    }
}

/// Deletes a file, or sets a folder aside.
fn remove(folder: BorrowedFd<'_>, name: &CStr, trash: BorrowedFd<'_>, folders: &mut Vec<CString>) -> Result<(), Errno> {
    match unlink(folder, name, AtFlags::empty()) {
        // POSIX says EPERM for a folder, Linux EISDIR.
        Err(Errno::ISDIR) => set_aside(folder, name, trash, folders),
        result => result,
    }
}

fn unlink(folder: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, flags) {
        Err(Errno::PERM | Errno::ACCESS) => {
            unlock(folder, name);
            rustix::fs::unlinkat(folder, name, flags)
        }
        result => result,
    }
}

/// Moves a folder up into the trash, where it is emptied later.
fn set_aside(
    folder: BorrowedFd<'_>,
    name: &CStr,
    trash: BorrowedFd<'_>,
    folders: &mut Vec<CString>,
) -> Result<(), Errno> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    if rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    let mut unlocked = false;
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let aside = CString::new(format!("aside-{}-{number}", std::process::id())).map_err(|_| Errno::INVAL)?;
        match rustix::fs::renameat_with(folder, name, trash, aside.as_c_str(), RenameFlags::NOREPLACE) {
            Ok(()) => {
                folders.push(aside);
                return Ok(());
            }
            // A leftover of a former engine with the same process number.
            Err(Errno::EXIST) => {}
            Err(Errno::PERM | Errno::ACCESS) if !unlocked => {
                unlock(folder, name);
                unlocked = true;
            }
            Err(error) => return Err(error),
        }
    }
}

fn open(folder: BorrowedFd<'_>, name: &CStr) -> Result<rustix::fd::OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(folder, name, flags, Mode::empty());
    let folder_fd = match open() {
        Err(Errno::ACCESS) => {
            unlock(folder, name);
            open()?
        }
        result => result?,
    };
    Ok(folder_fd)
}

/// Takes away what forbids deletion: the attributes `immutable` and `append only` of the entry and of its folder, and
/// missing permissions. Whether it helped shows when the deletion is tried again.
fn unlock(folder: BorrowedFd<'_>, name: &CStr) {
    clear_flags(folder);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let is =
        rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| FileType::from_raw_mode(stat.st_mode));
    if matches!(is, Ok(FileType::Directory)) {
        permit(folder, name);
    }
    // Opening a device could do anything to the machine.
    if matches!(is, Ok(FileType::Directory | FileType::RegularFile))
        && let Ok(file) = rustix::fs::openat(folder, name, flags, Mode::empty())
    {
        clear_flags(file.as_fd());
    }
}

/// Others may put a link in the folder's place at any moment: the folder is held before its mode is changed.
fn permit(folder: BorrowedFd<'_>, name: &CStr) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if let Ok(held) = rustix::fs::openat(folder, name, flags, Mode::empty()) {
        let path = format!("/proc/self/fd/{}", held.as_raw_fd());
        let _ = rustix::fs::chmodat(rustix::fs::CWD, path, Mode::RWXU, AtFlags::empty());
    }
}

fn clear_flags(file: BorrowedFd<'_>) {
    let locks = IFlags::IMMUTABLE | IFlags::APPEND;
    if let Ok(flags) = rustix::fs::ioctl_getflags(file)
        && flags.intersects(locks)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags - locks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::path::Path;

    fn delete(trash: &Path, name: &str) -> io::Result<()> {
        let dir = File::open(trash).unwrap();
        tree(dir.as_fd(), &CString::new(name).unwrap())
    }

    fn is_empty(dir: &Path) -> bool {
        fs::read_dir(dir).unwrap().next().is_none()
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_deleted() {
        let trash = tempfile::tempdir().unwrap();
        let mut at: rustix::fd::OwnedFd = File::open(trash.path()).unwrap().into();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, "deep", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        delete(trash.path(), "deep").unwrap();
        assert!(is_empty(trash.path()));
    }

    #[test]
    fn in_place_nothing_beside_the_tree_is_touched() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let delete = |name: &str| {
            let folder = File::open(folder.path()).unwrap();
            in_place(folder.as_fd(), &CString::new(name).unwrap()).unwrap()
        };
        fs::create_dir_all(folder.path().join("tree/a/b/c")).unwrap();
        fs::write(folder.path().join("tree/a/file"), "x").unwrap();
        fs::write(folder.path().join("file"), "x").unwrap();
        fs::write(outside.path().join("keep"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        assert_eq!(["tree", "tree", "file", "link"].map(delete), [true, false, true, true]);
        assert!(is_empty(folder.path()) && outside.path().join("keep").exists());
    }

    #[test]
    fn links_are_deleted_not_followed() {
        let (trash, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("keep"), "x").unwrap();
        fs::create_dir(trash.path().join("t")).unwrap();
        std::os::unix::fs::symlink(outside.path(), trash.path().join("t/link")).unwrap();
        delete(trash.path(), "t").unwrap();
        assert!(is_empty(trash.path()));
        assert!(outside.path().join("keep").exists());
    }

    #[test]
    fn immutable_files_and_closed_folders_are_deleted() {
        let trash = tempfile::tempdir().unwrap();
        let closed = trash.path().join("t/closed");
        fs::create_dir_all(&closed).unwrap();
        let file = File::create(closed.join("file")).unwrap();
        let folder = File::open(&closed).unwrap();
        if rustix::fs::ioctl_setflags(&file, IFlags::IMMUTABLE).is_err() {
            eprintln!("NOT RUN: this file system or user cannot make files immutable");
            return;
        }
        rustix::fs::ioctl_setflags(&folder, IFlags::IMMUTABLE).unwrap();
        assert!(fs::remove_file(closed.join("file")).is_err(), "the test made nothing immutable");
        delete(trash.path(), "t").unwrap();
        assert!(is_empty(trash.path()));
    }
}
