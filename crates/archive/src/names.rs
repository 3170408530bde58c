//! What is in a folder.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::Dir;

/// The names in an open folder, as they are read, without `.` and `..`.
///
/// # Errors
/// What getdents64(2) says, at once or with a name.
pub fn names(folder: impl AsFd) -> io::Result<impl Iterator<Item = io::Result<CString>>> {
    let name = |entry: Result<rustix::fs::DirEntry, rustix::io::Errno>| match entry {
        Ok(entry) if matches!(entry.file_name().to_bytes(), b"." | b"..") => None,
        Ok(entry) => Some(Ok(entry.file_name().to_owned())),
        Err(error) => Some(Err(error.into())),
    };
    Ok(Dir::read_from(folder)?.filter_map(name))
}
