//! Takes a tree away in place, by descriptors, without following links.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use crate::names;

/// A folder that is being emptied.
struct Level {
    folder: OwnedFd,
    name: CString,
    names: Vec<CString>,
}

/// Removes the entry `name` of a folder, with all below it. What is gone already is no error.
pub(crate) fn tree(folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    let mut levels: Vec<Level> = Vec::new();
    levels.extend(entry(folder, name)?);
    while let Some(level) = levels.last_mut() {
        if let Some(name) = level.names.pop() {
            let inner = entry(level.folder.as_fd(), name)?;
            levels.extend(inner);
            continue;
        }
        let Some(done) = levels.pop() else { break };
        let parent = levels.last().map_or(folder, |level| level.folder.as_fd());
        gone(unlinkat(parent, &done.name, AtFlags::REMOVEDIR))?;
    }
    Ok(())
}

/// Removes what is no folder; a folder is to be emptied first.
fn entry(folder: BorrowedFd<'_>, name: CString) -> Result<Option<Level>, Errno> {
    match unlinkat(folder, &name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return gone(result).map(|()| None),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(folder, &name, flags, Mode::empty())?;
    let inside = names(&opened).and_then(Iterator::collect);
    let names = inside.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(Some(Level { folder: opened, name, names }))
}

fn gone(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}
