//! Folders that an archive does not describe, because only something in them changed.
//!
//! In an overlay the uppermost folder decides: a `/tmp` made for `/tmp/x` would lose its sticky bit. So such a folder
//! gets owner, permissions, attributes and time of the one it covers, in the layers below.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::attributes::belongs_to_overlay;
use super::name::Name;
use super::tree::{FOLDER, open_plain};

/// Makes each of the folders `implied` in `diff` like the one it covers in `below` (top first).
pub(super) fn inherit(diff: &Path, implied: &[Name], below: &[PathBuf]) -> Result<()> {
    if implied.is_empty() || below.is_empty() {
        return Ok(());
    }
    let open = |path: &Path| File::open(path).context(|| format!("open {}", path.display()));
    let top = open(diff)?;
    let below: Vec<File> = below.iter().map(|path| open(path)).collect::<Result<_>>()?;
    // Deepest first, for the times.
    for name in implied.iter().rev() {
        let made = (|| match covered(&below, name) {
            Some(from) => copy(from.as_fd(), open_plain(top.as_fd(), name, FOLDER)?.as_fd()),
            None => Ok(()),
        })();
        made.map_err(io::Error::from).context(|| format!("set attributes of {name}"))?;
    }
    Ok(())
}

/// The uppermost thing of that name, if it is a folder.
fn covered(below: &[File], name: &Name) -> Option<OwnedFd> {
    for layer in below {
        match open_plain(layer.as_fd(), name, FOLDER) {
            Ok(folder) => return Some(folder),
            Err(Errno::NOENT) => {}
            // A file, a link or a whiteout hides what is further below.
            Err(_) => return None,
        }
    }
    None
}

fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let stat = rustix::fs::fstat(from)?;
    rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    copy_xattrs(from, to)?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    rustix::fs::futimens(
        to,
        &Timestamps {
            last_access: time(stat.st_atime, stat.st_atime_nsec.cast_signed()),
            last_modification: time(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
        },
    )
}

fn copy_xattrs(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut names = vec![0u8; 64 << 10];
    let length = match rustix::fs::flistxattr(from, &mut names[..]) {
        Err(Errno::NOTSUP) => return Ok(()),
        length => length?,
    };
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty() && !belongs_to_overlay(name)) {
        let mut value = vec![0u8; 64 << 10];
        let length = rustix::fs::fgetxattr(from, name, &mut value[..])?;
        rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}
