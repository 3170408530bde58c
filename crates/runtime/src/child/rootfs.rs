//! The root file system: attached, entered, and protected.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_sys::mount::{self, Change, attach as attach_mount, clone_tree, set_attributes};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, makedev, openat, openat2, statfs};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, unmount,
};
use rustix::process::{chdir, chroot, fchdir, pivot_root};

use super::target::{self, Want};
use crate::plan::mounts::Source;
use crate::plan::rootfs::Root;
use crate::plan::{Container, Plan};
use crate::report::{At, Outcome, Step, errno_of};

/// Attaches the root over the host's, in this mount namespace; the descriptor is its top.
///
/// Over `/` itself, because that is the one directory which is sure to be there and to be reachable by a user namespace's
/// root. Paths still start at the old root, which is below.
pub(super) fn attach(root: &Root) -> Outcome<OwnedFd> {
    // No mount or unmount from here on may travel to the host. Slave and not private: what the host unmounts must go
    // away here too, or its disks stay busy.
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM).at(Step::Propagation)?;
    let tree = match &root.source {
        Source::Tree(tree) => rustix::io::fcntl_dupfd_cloexec(tree, 3),
        Source::Path { path, recursive } => clone_path(path, *recursive),
    };
    let tree = tree.at(Step::Rootfs)?;
    let change = Change { propagation: root.during, ..Change::default() };
    set_attributes(&tree, change, true).at(Step::Rootfs)?;
    move_mount(&tree, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).at(Step::Rootfs)?;
    Ok(tree)
}

/// A detached copy of what is at a path of the host.
pub(super) fn clone_path(path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    let file = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    clone_tree(file, recursive).map_err(errno_of)
}

/// Makes the program's working directory if the image has none, as Docker and runc do.
pub(super) fn make_cwd(root: &OwnedFd, plan: &Plan<'_>) -> Outcome {
    match target::open(root.as_fd(), &plan.process.cwd, Want::Directory) {
        // A read-only image without the directory: entering it will say so. One that leads into /proc is checked later.
        Ok(_) | Err(Errno::ROFS | Errno::LOOP | Errno::NOTDIR | Errno::ACCESS) => Ok(()),
        Err(errno) => Err(errno).at(Step::MakeCwd),
    }
}

/// Makes the container's root the root of this namespace and lets go of the host's.
pub(super) fn pivot(root: &OwnedFd) -> Outcome {
    fchdir(root).at(Step::Pivot)?;
    match pivot_root(c".", c".") {
        // The old root is now stacked on the new one, here.
        Ok(()) => unmount(c".", UnmountFlags::DETACH).at(Step::Pivot)?,
        // An initial RAM disk cannot be left. The container's root covers it, so that `..` from there leads back to the
        // container's root even for a process that may chroot again.
        Err(Errno::INVAL) if is_ram_disk() => chroot(c".").at(Step::Pivot)?,
        Err(errno) => return Err(errno).at(Step::Pivot),
    }
    chdir(c"/").at(Step::Pivot)
}

/// Whether `/` is the kernel's initial root, a ramfs or tmpfs.
fn is_ram_disk() -> bool {
    const RAMFS: u64 = 0x8584_58f6;
    const TMPFS: u64 = 0x0102_1994;
    statfs(c"/").is_ok_and(|fs| [RAMFS, TMPFS].contains(&(fs.f_type as u64)))
}

/// Makes paths read-only and hides others.
pub(super) fn protect_paths(container: &Container) -> Outcome {
    for (index, path) in container.readonly.iter().enumerate() {
        make_readonly(path).at_index(Step::ReadonlyPath, index)?;
    }
    let mut empty = None;
    for (index, path) in container.masked.iter().enumerate() {
        mask(path, &mut empty).at_index(Step::MaskedPath, index)?;
    }
    Ok(())
}

/// Opens a path of the container, following links inside it only; `None` if there is no such thing to protect.
fn find(path: &CStr) -> Result<Option<OwnedFd>, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Ok(file) => Ok(Some(file)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn make_readonly(path: &CStr) -> Result<(), Errno> {
    let Some(target) = find(path)? else { return Ok(()) };
    let copy = clone_tree(&target, true).map_err(errno_of)?;
    let change = Change { set: mount::RDONLY, ..Change::default() };
    set_attributes(&copy, change, true).map_err(errno_of)?;
    attach_mount(copy, target).map_err(errno_of)
}

/// Hides a path: a file behind a null device that is surely one (CVE-2025-31133), a directory behind an empty one.
/// `empty` is the file system for directories, made when first needed.
fn mask(path: &CStr, empty: &mut Option<OwnedFd>) -> Result<(), Errno> {
    let Some(target) = find(path)? else { return Ok(()) };
    let directory = FileType::from_raw_mode(fstat(&target)?.st_mode) == FileType::Directory;
    let cover = match (directory, empty) {
        (false, _) => null_device()?,
        (true, Some(empty)) => clone_tree(empty.as_fd(), false).map_err(errno_of)?,
        (true, empty @ None) => {
            let made = empty_directory()?;
            attach_mount(&made, target).map_err(errno_of)?;
            *empty = Some(made);
            return Ok(());
        }
    };
    attach_mount(cover, target).map_err(errno_of)
}

/// A detached read-only copy of the mount at the container's null device. It is checked after it was cloned: what the
/// image or a volume puts at /dev/null in between changes nothing any more.
fn null_device() -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let file = openat2(CWD, c"/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
    let copy = clone_tree(file, false).map_err(errno_of)?;
    if is_null_device(copy.as_fd())? { Ok(copy) } else { Err(Errno::NXIO) }
}

fn is_null_device(file: BorrowedFd<'_>) -> Result<bool, Errno> {
    let stat = fstat(file)?;
    let character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    Ok(character && stat.st_rdev == makedev(1, 3))
}

/// A detached, empty, read-only directory.
fn empty_directory() -> Result<OwnedFd, Errno> {
    let fs = fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, c"nr_inodes", c"1")?;
    fsconfig_set_string(&fs, c"mode", c"555")?;
    fsconfig_create(&fs)?;
    let attributes = mount::RDONLY | mount::NOSUID | mount::NODEV | mount::NOEXEC;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::from_bits_retain(attributes as u32))
}

/// The last word about the root: read-only, and which mounts travel.
pub(super) fn seal(top: &OwnedFd, root: &Root) -> Outcome {
    if root.readonly {
        let change = Change { set: mount::RDONLY, ..Change::default() };
        set_attributes(top, change, false).at(Step::ReadonlyRoot)?;
    }
    let Some((propagation, recursive)) = root.after else { return Ok(()) };
    set_attributes(top, Change { propagation, ..Change::default() }, recursive).at(Step::RootPropagation)
}
