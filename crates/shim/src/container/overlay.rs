//! Layers mounted for an external runtime, where only the shim and its children see them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::thread::ThreadNameSpaceType;

/// Gives the shim a mount namespace of its own. Descriptors of directories that were opened before lead outside of it.
pub(super) fn leave_the_host() -> Result<()> {
    dhow_sys::namespace::unshare(ThreadNameSpaceType::MOUNT).context(|| "make a mount namespace")?;
    // What the host mounts is still to be seen here, and what is mounted here is not to be seen by the host.
    let flags = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", flags).map_err(io::Error::from).context(|| "make mounts private")
}

/// Mounts layers, after [`leave_the_host`].
pub(super) fn mount(lower: &[PathBuf], [upper, work]: [&Path; 2], options: &[String], target: &Path) -> Result<()> {
    let context = || format!("mount layers at {}", target.display());
    fs::create_dir_all(target).context(context)?;
    let overlay = dhow_runtime::detached_overlay(lower, upper, work, options)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = rustix::fs::openat(CWD, target, flags, Mode::empty()).map_err(io::Error::from).context(context)?;
    dhow_sys::mount::attach(overlay, target).context(context)
}

/// Unmounts them, and removes the directory where they were. Without force: it is empty then.
pub(super) fn unmount(target: &Path) -> Result<()> {
    let context = || format!("unmount {}", target.display());
    rustix::mount::unmount(target, UnmountFlags::DETACH).map_err(io::Error::from).context(context)?;
    fs::remove_dir(target).context(context)
}
