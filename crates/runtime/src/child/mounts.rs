//! Working off the list of mounts.

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use dhow_sys::mount::{self, Change, set_attributes};
use rustix::fs::{AtFlags, FileType, Mode, chmodat, fstat, mkdirat, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

use super::target::{self, Want};
use super::{copy_up, rootfs};
use crate::plan::Container;
use crate::plan::mounts::{FileSystem, Kind, Mount, Parameter, Source};
use crate::procfs::is_procfs;
use crate::report::{At, Outcome, Step, errno_of};

/// Mounts everything, in the order of the spec.
pub(super) fn attach_all(root: &OwnedFd, container: &Container) -> Outcome {
    for (index, mount) in container.mounts.iter().enumerate() {
        attach_one(root.as_fd(), mount, index)?;
    }
    Ok(())
}

fn attach_one(root: BorrowedFd<'_>, mount: &Mount, index: usize) -> Outcome {
    if let Kind::Link(text) = &mount.kind {
        return link(root, text, &mount.target).at_index(Step::Mount, index);
    }
    // Before the target is made: what a tmpfs takes over is only what the image has.
    let image_mode = image_mode(root, mount);
    let target = open_target(root, mount).at_index(Step::MountTarget, index)?;
    // A link in the image may lead to where the plan would not have allowed it.
    if !mount.may_be_on_proc && is_procfs(&target) {
        return super::fail(Step::ProcTarget, index, Errno::INVAL);
    }
    match &mount.kind {
        Kind::Bind { source: Source::Tree(tree), .. } => bind(tree, mount, &target, index),
        Kind::Bind { source: Source::Path { path, recursive }, .. } => {
            bind(&rootfs::clone_path(path, *recursive).at_index(Step::Mount, index)?, mount, &target, index)
        }
        Kind::New(fs) if fs.classic.is_some() => classic(root, fs, mount, &target).at_index(Step::Mount, index),
        Kind::New(fs) => new(fs, mount, &target, image_mode, index),
        Kind::Change => change(&target, mount).at_index(Step::Mount, index),
        Kind::Link(_) => Ok(()),
    }
}

fn bind(tree: &OwnedFd, mount: &Mount, target: &OwnedFd, index: usize) -> Outcome {
    change(tree, mount).at_index(Step::Mount, index)?;
    attach(tree, target).at_index(Step::Mount, index)
}

fn open_target(root: BorrowedFd<'_>, mount: &Mount) -> Result<OwnedFd, Errno> {
    match mount.kind {
        Kind::Change => target::find(root, &mount.target),
        Kind::Bind { directory: false, .. } => target::open(root, &mount.target, Want::File),
        _ if mount.plain_target => target::open_plain(root, &mount.target),
        _ => target::open(root, &mount.target, Want::Directory),
    }
}

/// The mode that a tmpfs gets where its options name none: that of the image's directory.
fn image_mode(root: BorrowedFd<'_>, mount: &Mount) -> Option<Mode> {
    let Kind::New(fs) = &mount.kind else { return None };
    let named = |parameter: &Parameter| matches!(parameter, Parameter::Value(key, _) if key.as_c_str() == c"mode");
    if fs.name.as_c_str() != c"tmpfs" || fs.parameters.iter().any(named) {
        return None;
    }
    let stat = fstat(target::find(root, &mount.target).ok()?).ok()?;
    Some(Mode::from_raw_mode(stat.st_mode & 0o7777))
}

/// A new file system, complete before anybody can reach it.
fn new(fs: &FileSystem, mount: &Mount, target: &OwnedFd, mode: Option<Mode>, index: usize) -> Outcome {
    // What is copied in needs a writable mount first.
    let set = if fs.copy_up { mount.change.set & !mount::RDONLY } else { mount.change.set };
    let made = match make(fs, set) {
        // Not in this user namespace; the host's own then, with the same attributes.
        Err(Errno::PERM) if fs.fallback.is_some() => {
            return host_instead(fs, mount, target).at_index(Step::Mount, index);
        }
        result => result.at_index(Step::Mount, index)?,
    };
    if let Some(mode) = mode {
        chmodat(&made, c".", mode, AtFlags::empty()).at_index(Step::Mount, index)?;
    }
    for place in &fs.places {
        mkdirat(&made, place.as_c_str(), Mode::from_raw_mode(0o755)).at_index(Step::Mount, index)?;
    }
    if fs.copy_up {
        copy_up::copy(target.as_fd(), made.as_fd()).at_index(Step::CopyUp, index)?;
        change(&made, mount).at_index(Step::Mount, index)?;
    }
    let propagation = Change { set: 0, clear: 0, ..mount.change };
    for (extra, recursive) in [(propagation, false), (mount.recursive, true)] {
        if !extra.is_empty() {
            set_attributes(&made, extra, recursive).at_index(Step::Mount, index)?;
        }
    }
    attach(&made, target).at_index(Step::Mount, index)
}

/// Attaches a mount, and says what move_mount(2) means when it refuses a file on a directory or the other way round.
fn attach(tree: &OwnedFd, target: &OwnedFd) -> Result<(), Errno> {
    let kind = |file: &OwnedFd| fstat(file).map(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    match mount::attach(tree, target).map_err(errno_of) {
        Err(Errno::INVAL) if kind(tree)? != kind(target)? => Err(Errno::NOTDIR),
        attached => attached,
    }
}

fn make(fs: &FileSystem, attributes: u64) -> Result<OwnedFd, Errno> {
    let context = fsopen(fs.name.as_c_str(), FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", fs.source.as_c_str())?;
    for parameter in &fs.parameters {
        match parameter {
            Parameter::Flag(key) => fsconfig_set_flag(&context, key.as_c_str())?,
            Parameter::Value(key, value) => fsconfig_set_string(&context, key.as_c_str(), value.as_c_str())?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(attributes as u32))
}

fn host_instead(fs: &FileSystem, mount: &Mount, target: &OwnedFd) -> Result<(), Errno> {
    let Some(path) = &fs.fallback else { return Err(Errno::PERM) };
    let tree = rootfs::clone_path(path, true)?;
    if fs.name.as_c_str() == c"proc" && !is_procfs(&tree) {
        return Err(Errno::PERM);
    }
    // For all below too: the host's /sys has mounts of its own.
    set_attributes(&tree, Change { clear: 0, ..mount.change }, true).map_err(errno_of)?;
    attach(&tree, target)
}

/// mount(2) on the descriptor's name, for parameters too long for fsconfig(2); the root is opened anew for attributes.
fn classic(root: BorrowedFd<'_>, fs: &FileSystem, mount: &Mount, target: &OwnedFd) -> Result<(), Errno> {
    let Some(data) = &fs.classic else { return Err(Errno::INVAL) };
    let mut name = [0; 32];
    let path = descriptor_path(target, &mut name)?;
    rustix::mount::mount(fs.source.as_c_str(), path, fs.name.as_c_str(), MountFlags::empty(), data.as_c_str())?;
    change(&target::find(root, &mount.target)?, mount).map_err(errno_of)
}

/// `/proc/self/fd/N`, on the stack.
fn descriptor_path<'a>(file: &OwnedFd, buffer: &'a mut [u8; 32]) -> Result<&'a CStr, Errno> {
    const PREFIX: &[u8] = b"/proc/self/fd/";
    buffer[..PREFIX.len()].copy_from_slice(PREFIX);
    let digits = super::hooks::Decimal::of(file.as_raw_fd());
    let end = PREFIX.len() + digits.bytes().len();
    buffer[PREFIX.len()..end].copy_from_slice(digits.bytes());
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::INVAL)
}

/// Applies a mount's attributes: the recursive ones first, so that the mount's own win.
fn change(tree: &OwnedFd, mount: &Mount) -> std::io::Result<()> {
    for (change, recursive) in [(mount.recursive, true), (mount.change, false)] {
        if !change.is_empty() {
            set_attributes(tree, change, recursive)?;
        }
    }
    Ok(())
}

/// A link in a directory that an earlier mount made.
fn link(root: BorrowedFd<'_>, text: &CStr, path: &CStr) -> Result<(), Errno> {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|byte| *byte == b'/').ok_or(Errno::INVAL)?;
    let name = CStr::from_bytes_until_nul(&bytes[slash + 1..]).map_err(|_| Errno::INVAL)?;
    match symlinkat(text, super::devices::parent(root, path, Want::Directory)?, name) {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}
