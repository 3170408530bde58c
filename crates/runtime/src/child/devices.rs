//! Device nodes, and the links beside them.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_sys::mount::{attach, clone_tree};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, chownat, fstat, mknodat, openat, statat, symlinkat, unlinkat};
use rustix::io::Errno;

use super::target::{self, Want};
use crate::plan::Container;
use crate::plan::devices::{Device, LINKS};
use crate::report::{At, Outcome, Step, errno_of};

/// Makes the nodes and links, unless /dev is the host's own.
pub(super) fn make_all(root: &OwnedFd, container: &Container) -> Outcome {
    let Some(devices) = &container.devices else { return Ok(()) };
    let dev = target::open(root.as_fd(), c"dev", Want::Directory).at(Step::DeviceLink)?;
    for (index, device) in devices.iter().enumerate() {
        make(root.as_fd(), &dev, device).at_index(Step::Device, index)?;
    }
    for (name, text) in LINKS {
        link(&dev, name, text).at(Step::DeviceLink)?;
    }
    Ok(())
}

fn make(root: BorrowedFd<'_>, dev: &OwnedFd, device: &Device) -> Result<(), Errno> {
    match device.path.to_bytes_with_nul().strip_prefix(b"dev/") {
        // Nearly all are right there, and the directory is open.
        Some(name) if !name.contains(&b'/') => {
            make_in(dev.as_fd(), CStr::from_bytes_until_nul(name).map_err(|_| Errno::INVAL)?, device)
        }
        _ => {
            let bytes = device.path.to_bytes_with_nul();
            let start = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
            let name = CStr::from_bytes_until_nul(&bytes[start..]).map_err(|_| Errno::INVAL)?;
            make_in(parent(root, &device.path, Want::Directory)?.as_fd(), name, device)
        }
    }
}

/// The directory a path is in, inside the root; made where it is missing.
pub(super) fn parent(root: BorrowedFd<'_>, path: &CStr, want: Want) -> Result<OwnedFd, Errno> {
    let bytes = path.to_bytes();
    let mut space = [0u8; 4096];
    let slash = bytes.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let room = space.get_mut(1..=slash).ok_or(Errno::NAMETOOLONG)?;
    room.copy_from_slice(&bytes[..slash]);
    space[0] = b'/';
    target::open(root, CStr::from_bytes_until_nul(&space).map_err(|_| Errno::NAMETOOLONG)?, want)
}

fn make_in(directory: BorrowedFd<'_>, name: &CStr, device: &Device) -> Result<(), Errno> {
    match mknodat(directory, name, device.kind, device.mode, device.number) {
        Ok(()) => {}
        // The image's or a volume's own: it is good if it is the very device, and no way in if it is not.
        Err(Errno::EXIST) => return check(directory, name, device),
        // In a user namespace nobody makes nodes.
        Err(Errno::PERM) => return bind(directory, name, device),
        Err(errno) => return Err(errno),
    }
    match device.owner {
        Some((uid, gid)) => chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW),
        None => Ok(()),
    }
}

fn check(directory: BorrowedFd<'_>, name: &CStr, device: &Device) -> Result<(), Errno> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let same = FileType::from_raw_mode(stat.st_mode) == device.kind && stat.st_rdev == device.number;
    if same || device.kind == FileType::Fifo { Ok(()) } else { Err(Errno::EXIST) }
}

/// Binds the host's node over an empty file.
fn bind(directory: BorrowedFd<'_>, name: &CStr, device: &Device) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let host = openat(CWD, device.host_path.as_c_str(), flags, Mode::empty())?;
    let stat = fstat(&host)?;
    if FileType::from_raw_mode(stat.st_mode) != device.kind || stat.st_rdev != device.number {
        return Err(Errno::NODEV);
    }
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(directory, name, create, Mode::from_raw_mode(0o666)) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno),
    }
    let target = openat(directory, name, flags, Mode::empty())?;
    attach(clone_tree(host, false).map_err(errno_of)?, target).map_err(errno_of)
}

/// A link that must be there; an image's own at its place is replaced only where it is /dev/ptmx, which must lead to
/// the container's own terminals.
fn link(dev: &OwnedFd, name: &CStr, text: &CStr) -> Result<(), Errno> {
    match symlinkat(text, dev, name) {
        Err(Errno::EXIST) if name == c"ptmx" => {
            unlinkat(dev, name, AtFlags::empty())?;
            symlinkat(text, dev, name)
        }
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}
