//! The program's own binary, opened so that no container can write to it (CVE-2019-5736).
//!
//! A process inside a container reaches the binary of whoever started it through `/proc/<pid>/exe`. If that file could
//! be opened for writing, root in the container would replace the host's engine. So every process that comes near a
//! container is executed from a descriptor on a read-only view: a detached clone of the binary's mount (costs nothing
//! and shares the page cache), or, where mounts are not allowed, a sealed copy in memory.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags};
use rustix::mount::OpenTreeFlags;

use crate::mount;

/// A descriptor to execute this very program from. (Allocates: open it before the fork.)
#[derive(Debug)]
pub struct ProtectedExe {
    file: OwnedFd,
}

impl ProtectedExe {
    /// Opens the running binary through a detached read-only mount, else as a sealed copy in memory.
    ///
    /// # Errors
    /// When neither works: no `/proc`, no memory.
    pub fn open() -> io::Result<Self> {
        let file = read_only_view().or_else(|_| sealed_copy())?;
        Ok(Self { file })
    }

    /// `/proc/self/fd/N`: what to execute. The descriptor is close-on-exec, so the new program does not inherit it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// Whether the running binary is out of a container's reach already: on a read-only mount, or a sealed copy.
#[must_use]
pub fn is_protected() -> bool {
    let Ok(file) = File::open("/proc/self/exe") else { return false };
    let read_only = rustix::fs::fstatvfs(&file).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    read_only || rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SealFlags::WRITE))
}

impl AsFd for ProtectedExe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl From<ProtectedExe> for OwnedFd {
    fn from(executable: ProtectedExe) -> Self {
        executable.file
    }
}

/// The binary on a mount that is read-only and attached nowhere, so that nobody can make it writable again: once the
/// tree's descriptor is closed the mount belongs to no namespace and mount_setattr(2) refuses it.
fn read_only_view() -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(CWD, c"/proc/self/exe", flags)?;
    mount::set_attributes(&tree, mount::Change { set: mount::RDONLY, ..Default::default() }, false)?;
    Ok(rustix::fs::openat(
        CWD,
        format!("/proc/self/fd/{}", tree.as_raw_fd()),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn sealed_copy() -> io::Result<OwnedFd> {
    let mut source = File::open("/proc/self/exe")?;
    let copy = rustix::fs::memfd_create(c"dhow", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    io::copy(&mut source, &mut copy)?;
    rustix::fs::fchmod(&copy, Mode::from_raw_mode(0o555))?;
    rustix::fs::fcntl_add_seals(&copy, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    fn cannot_be_written(file: &OwnedFd) {
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let error = OpenOptions::new().write(true).open(path).map(|mut f| io::Write::write_all(&mut f, b"x"));
        assert!(matches!(error, Err(_) | Ok(Err(_))), "the binary can be written");
    }

    #[test]
    fn the_sealed_copy_is_complete_and_cannot_be_written() {
        let copy = sealed_copy().unwrap();
        let size = rustix::fs::fstat(&copy).unwrap().st_size;
        assert_eq!(size as u64, std::fs::metadata("/proc/self/exe").unwrap().len());
        cannot_be_written(&copy);
    }

    #[test]
    fn the_detached_view_cannot_be_written_nor_made_writable() {
        let Ok(view) = read_only_view() else {
            eprintln!("SKIPPED: detached mounts need CAP_SYS_ADMIN");
            return;
        };
        cannot_be_written(&view);
        let writable = mount::Change { clear: mount::RDONLY, ..Default::default() };
        // A child that another test makes at this moment has the tree's descriptor until it executes its program.
        let refused = || mount::set_attributes(&view, writable, false).is_err();
        let pause = || std::thread::sleep(std::time::Duration::from_millis(1));
        assert!((0..1000).any(|_| refused() || (pause(), false).1));
    }
}
