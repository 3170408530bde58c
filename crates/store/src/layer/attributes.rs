//! Owners, permissions, extended attributes, times.

use std::ffi::OsStr;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::name::Name;
use super::tree::{Spot, refused};
use crate::root::Namespace;
use dhow_archive::{Entry, Time};

/// Sets attributes as far as this process may, and counts where it may not.
///
/// With all privileges a refusal is an error. Without them (an ordinary user, or root of a user namespace with few mapped
/// IDs) it is the rule, and the layer must still be usable: an owner that cannot be is the user itself, and what would
/// give that owner's rights away (set-user-ID, set-group-ID) goes with it.
#[derive(Debug)]
pub(super) struct Attributes {
    pub(super) namespace: Namespace,
    user: u32,
    group: u32,
    refused_owners: u64,
    refused_xattrs: u64,
    pub(super) refused_devices: u64,
}

impl Attributes {
    pub(super) fn new(namespace: Namespace) -> Self {
        let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { namespace, user, group, refused_owners: 0, refused_xattrs: 0, refused_devices: 0 }
    }

    /// Sets everything on an open file or folder, in the order that the kernel wants: a new owner clears set-user-ID and
    /// capabilities, and a change of mode changes an ACL.
    pub(super) fn set(&mut self, fd: BorrowedFd<'_>, entry: &Entry) -> Result<(), Errno> {
        let mode = match self.owner(entry, |uid, gid| rustix::fs::fchown(fd, uid, gid))? {
            true => entry.mode,
            false => entry.mode & 0o1777,
        };
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))?;
        for (name, value) in &entry.xattrs {
            self.xattr(name, |name| rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()))?;
        }
        rustix::fs::futimens(fd, &times(entry.mtime))
    }

    /// Sets everything on what cannot be opened: links, devices, fifos. Links have no mode.
    pub(super) fn set_at(&mut self, spot: &Spot<'_>, entry: &Entry, mode: bool) -> Result<(), Errno> {
        let owned = self.owner(entry, |uid, gid| {
            rustix::fs::chownat(&spot.folder.fd, spot.last, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
        })?;
        if mode {
            // It would follow a link; this is none, and nobody else is in the tree.
            let bits = if owned { entry.mode } else { entry.mode & 0o1777 };
            rustix::fs::chmodat(&spot.folder.fd, spot.last, Mode::from_raw_mode(bits), AtFlags::empty())?;
        }
        for (name, value) in &entry.xattrs {
            let path = spot.path();
            self.xattr(name, |name| rustix::fs::lsetxattr(path.as_os_str(), name, value, XattrFlags::empty()))?;
        }
        rustix::fs::utimensat(&spot.folder.fd, spot.last, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Marks a folder: nothing of the layers below shows through.
    pub(super) fn opaque(&self, folder: BorrowedFd<'_>) -> Result<(), Errno> {
        let name = format!("{}opaque", self.namespace.prefix());
        rustix::fs::fsetxattr(folder, name, b"y", XattrFlags::empty())
    }

    /// What the person should know.
    pub(super) fn notes(&self) -> Vec<String> {
        let count = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        [
            count(
                self.refused_owners,
                "entries belong to the user itself: their owners have no ID in this user namespace",
            ),
            count(self.refused_xattrs, "extended attributes were left out: this file system or user cannot set them"),
            count(self.refused_devices, "devices were left out: an ordinary user cannot make them"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    pub(super) fn is_privileged(&self) -> bool {
        self.namespace == Namespace::Trusted
    }

    /// Says whether the owner is the wanted one.
    fn owner(
        &mut self,
        entry: &Entry,
        chown: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> Result<bool, Errno> {
        if (entry.uid, entry.gid) == (self.user, self.group) {
            return Ok(true);
        }
        match chown(Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid))) {
            Ok(()) => Ok(true),
            Err(Errno::PERM | Errno::INVAL) if !self.is_privileged() => {
                self.refused_owners += 1;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn xattr(&mut self, name: &[u8], set: impl Fn(&OsStr) -> Result<(), Errno>) -> Result<(), Errno> {
        if belongs_to_overlay(name) {
            return Ok(());
        }
        match set(OsStr::from_bytes(name)) {
            Err(Errno::NOTSUP) => {
                self.refused_xattrs += 1;
                Ok(())
            }
            Err(Errno::PERM | Errno::ACCESS | Errno::INVAL) if !self.is_privileged() => {
                self.refused_xattrs += 1;
                Ok(())
            }
            result => result,
        }
    }
}

/// Overlay's own attributes (`redirect`, `metacopy`, `opaque` …) in an archive would let its author say where on the
/// host's layers a folder really is.
pub(super) fn belongs_to_overlay(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

/// Names of attributes that the kernel could read differently from us.
pub(super) fn check_names(name: &Name, entry: &Entry) -> Result<()> {
    if entry.xattrs.iter().any(|(key, _)| key.is_empty() || key.contains(&0)) {
        return Err(refused(name, "has an extended attribute with a bad name"));
    }
    Ok(())
}

fn times(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Puts the step around an error number.
pub(super) fn step<T>(result: Result<T, Errno>, what: &str, name: &Name) -> Result<T> {
    result.map_err(io::Error::from).context(|| format!("{what} {name}"))
}
