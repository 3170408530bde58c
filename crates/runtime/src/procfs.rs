//! The host's `/proc`, checked to be a real one, and files reached through it (CVE-2019-19921, CVE-2025-52881).
//!
//! A container's image or volume can put anything at the container's `/proc`; what has to be written there (security
//! labels, sysctls) would then not happen, or happen elsewhere. So the host's procfs is opened before, and files are
//! opened below that descriptor with a walk that crosses no mount, and checked again.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs, openat, openat2};
use rustix::io::Errno;

/// A descriptor of a procfs' root.
#[derive(Debug)]
pub(crate) struct Proc(OwnedFd);

impl Proc {
    /// Opens `/proc` of the calling process.
    pub(crate) fn open() -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let proc =
            openat(CWD, c"/proc", flags, Mode::empty()).map_err(std::io::Error::from).context(|| "open /proc")?;
        if !is_procfs(&proc) {
            return Err(Error::denied("/proc is not a proc file system"));
        }
        Ok(Self(proc))
    }

    /// Writes a file below; async-signal-safe. Fails with `EXDEV` where something is mounted over the way.
    pub(crate) fn write(&self, path: &CStr, value: &[u8]) -> Result<(), Errno> {
        let file = self.open_file(path, OFlags::WRONLY)?;
        match rustix::io::write(file, value) {
            Ok(written) if written == value.len() => Ok(()),
            Ok(_) => Err(Errno::IO),
            Err(errno) => Err(errno),
        }
    }

    /// Opens a file below; async-signal-safe.
    pub(crate) fn open_file(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)?;
        if is_procfs(&file) { Ok(file) } else { Err(Errno::XDEV) }
    }

    /// Follows a magic link such as `self/ns/time_for_children`; async-signal-safe.
    pub(crate) fn open_magic_link(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }
}

impl AsFd for Proc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether the file is on a procfs.
pub(crate) fn is_procfs(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|fs| fs.f_type == PROC_SUPER_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_but_no_link_leads_out() {
        let proc = Proc::open().unwrap();
        assert!(proc.open_file(c"self/status", OFlags::RDONLY).is_ok());
        assert_eq!(proc.open_file(c"self/root/etc/passwd", OFlags::RDONLY).unwrap_err(), Errno::LOOP);
        assert!(proc.open_file(c"../etc/passwd", OFlags::RDONLY).is_err());
    }
}
