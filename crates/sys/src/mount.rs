//! What rustix lacks of the new mount API: attributes (mount_setattr(2)) and mounts passed by descriptor alone.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::mount::{MoveMountFlags, OpenTreeFlags};

/// Read-only (`MOUNT_ATTR_RDONLY`).
pub const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// Set-user-ID bits have no effect.
pub const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// Device nodes have no effect.
pub const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
/// Nothing is executed from there.
pub const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;
/// The field of the three access-time settings; to change one, clear the field and set the value.
pub const ATIME_FIELD: u64 = libc::MOUNT_ATTR__ATIME;
/// Access times are relative to modification (the default, value 0).
pub const RELATIME: u64 = libc::MOUNT_ATTR_RELATIME;
/// Access times are not kept.
pub const NOATIME: u64 = libc::MOUNT_ATTR_NOATIME;
/// Access times are always kept.
pub const STRICTATIME: u64 = libc::MOUNT_ATTR_STRICTATIME;
/// No access times of directories.
pub const NODIRATIME: u64 = libc::MOUNT_ATTR_NODIRATIME;
/// Ids are translated through a user namespace.
pub const IDMAP: u64 = libc::MOUNT_ATTR_IDMAP;
/// Symbolic links are not followed.
pub const NOSYMFOLLOW: u64 = libc::MOUNT_ATTR_NOSYMFOLLOW;

/// `MS_SHARED`: mounts and unmounts travel both ways.
pub const SHARED: u64 = libc::MS_SHARED;
/// `MS_SLAVE`: mounts and unmounts come in only.
pub const SLAVE: u64 = libc::MS_SLAVE;
/// `MS_PRIVATE`: nothing travels.
pub const PRIVATE: u64 = libc::MS_PRIVATE;
/// `MS_UNBINDABLE`: private, and cannot be bound elsewhere.
pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;

/// A change of attributes; the default changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// [`SHARED`], [`SLAVE`], [`PRIVATE`], [`UNBINDABLE`] or 0 for no change.
    pub propagation: u64,
}

impl Change {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Changes the mount that `mount` is the root of, and with `recursive` all below it.
///
/// # Errors
/// `EINVAL` when the descriptor is not the root of a mount, `EPERM` for a locked attribute, `ENOSYS` before Linux 5.12.
pub fn set_attributes(mount: impl AsFd, change: Change, recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: 0,
    };
    setattr(mount.as_fd(), c"", recursive, &attributes)
}

/// Translates the ids of a detached mount through a user namespace.
///
/// # Errors
/// `EINVAL` for a file system that cannot do that, `EPERM` without `CAP_SYS_ADMIN` where the file system was mounted.
pub fn set_id_map(mount: impl AsFd, user_namespace: impl AsFd, recursive: bool) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: user_namespace.as_fd().as_raw_fd() as u64,
    };
    setattr(mount.as_fd(), c"", recursive, &attributes)
}

fn setattr(dir: BorrowedFd<'_>, path: &CStr, recursive: bool, attributes: &libc::mount_attr) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: not wrapped by rustix 1.1 (its function panics). The kernel reads a null-terminated string and `size`
    // bytes of `attributes`, both alive through the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const *attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A detached copy of the mount tree at `file`, whatever kind of file that is.
///
/// # Errors
/// `EINVAL` when the file is in another mount namespace, `EPERM` without `CAP_SYS_ADMIN`.
pub fn clone_tree(file: impl AsFd, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    Ok(rustix::mount::open_tree(file, c"", flags)?)
}

/// Attaches a detached mount on the file that `target` has open. No path is walked, so nothing can be swapped under it.
///
/// # Errors
/// `EINVAL` when one is a directory and the other is not; `ELOOP` for a mount onto itself.
pub fn attach(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, c"", target, c"", flags)?)
}
