//! Extended attributes: which ones travel, reading them, setting them.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fstatfs};
use rustix::io::Errno;

/// Most bytes of attributes of one file: a reader must not hold more (`XATTR_LIST_MAX` allows many times that).
const MOST: usize = 512 << 10;

/// Attributes by name.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Whether an attribute means the same in another tree: the user's own, capabilities, access lists. The rest belongs to
/// this machine's file systems, to its security modules, or to overlay, where it would say which folders a container sees.
pub(crate) fn travels(name: &[u8]) -> bool {
    if name.starts_with(b"user.overlay.") {
        return false;
    }
    name.starts_with(b"user.")
        || matches!(name, b"security.capability" | b"system.posix_acl_access" | b"system.posix_acl_default")
}

/// Whether an attribute belongs to the tree itself: those that travel, and those of whoever made a tree of overlays in it.
/// Only security modules' and file systems' own are left out.
pub(crate) fn belongs(name: &[u8]) -> bool {
    travels(name) || name.starts_with(b"user.") || name.starts_with(b"trusted.")
}

/// The attributes of an open file that `wanted` chooses. What a file system does not have is not there.
pub(crate) fn read(file: BorrowedFd<'_>, wanted: fn(&[u8]) -> bool) -> Result<Xattrs, Errno> {
    match attribute_names(file)? {
        names if names.is_empty() => Ok(Vec::new()),
        names => read_all(file, &names, wanted),
    }
}

/// The names of an open file's extended attributes, each with a NUL behind it: none where there can be none.
///
/// # Errors
/// What the kernel says.
pub fn attribute_names(file: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let mut names = [0_u8; 4096];
    match flistxattr(file, &mut names) {
        Ok(length) => Ok(names[..length].to_vec()),
        Err(Errno::RANGE) => long_names(file),
        Err(error) if means_none(error, || is_fuse(file)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Whether an error says that a file has no attributes, or none that we may know. Programs behind FUSE answer what they like
/// to a question that they do not understand: `rclone` says EIO, which of a disk is the truth.
fn means_none(error: Errno, is_fuse: impl FnOnce() -> bool) -> bool {
    matches!(error, Errno::NOTSUP | Errno::NOSYS | Errno::PERM | Errno::ACCESS) || (error == Errno::IO && is_fuse())
}

fn is_fuse(file: BorrowedFd<'_>) -> bool {
    // `FUSE_SUPER_MAGIC` of linux/magic.h
    fstatfs(file).is_ok_and(|system| system.f_type == 0x6573_5546)
}

fn long_names(file: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    // `XATTR_LIST_MAX`
    let mut names = vec![0; 64 << 10];
    let length = flistxattr(file, &mut names[..])?;
    names.truncate(length);
    Ok(names)
}

fn read_all(file: BorrowedFd<'_>, names: &[u8], wanted: fn(&[u8]) -> bool) -> Result<Xattrs, Errno> {
    let (mut found, mut total) = (Vec::new(), 0);
    for name in names.split_inclusive(|byte| *byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if !wanted(name.to_bytes()) {
            continue;
        }
        let mut value = vec![0_u8; 64 << 10];
        match fgetxattr(file, name, &mut value[..]) {
            Ok(length) => value.truncate(length),
            // Taken away meanwhile.
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(error),
        }
        total += value.len();
        if total > MOST {
            return Err(Errno::TOOBIG);
        }
        found.push((name.to_bytes().to_vec(), value));
    }
    Ok(found)
}

/// Sets the attributes that `wanted` chooses. Those that this file system does not have, or this user may not set, are left
/// out.
pub(crate) fn set(file: &File, xattrs: &[(Vec<u8>, Vec<u8>)], wanted: fn(&[u8]) -> bool) -> Result<(), Errno> {
    for (name, value) in xattrs.iter().filter(|(name, _)| wanted(name)) {
        match rustix::fs::fsetxattr(file, OsStr::from_bytes(name), value, XattrFlags::empty()) {
            Err(Errno::NOTSUP | Errno::PERM | Errno::INVAL) => {}
            result => result?,
        }
    }
    Ok(())
}

/// The path by which an open file is reached again, whatever has become of its name.
pub(crate) fn magic(file: impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_behind_fuse_does_not_know_is_no_fault_of_a_disk() {
        assert!(means_none(Errno::NOTSUP, || false) && means_none(Errno::IO, || true));
        assert!(!means_none(Errno::IO, || false) && !means_none(Errno::NODATA, || true));
    }

    #[test]
    fn what_belongs_to_this_machine_stays() {
        for name in ["user.x", "security.capability", "system.posix_acl_default"] {
            assert!(travels(name.as_bytes()), "{name}");
        }
        for name in
            ["trusted.overlay.opaque", "user.overlay.redirect", "security.selinux", "trusted.x", "system.nfs4_acl"]
        {
            assert!(!travels(name.as_bytes()), "{name}");
        }
        for (name, whether) in
            [("trusted.overlay.opaque", true), ("user.overlay.redirect", true), ("security.ima", false)]
        {
            assert_eq!(belongs(name.as_bytes()), whether, "{name}");
        }
    }
}
