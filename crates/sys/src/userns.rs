//! Entering a new user namespace (user_namespaces(7)).

use std::io;
use std::os::fd::AsFd;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// Moves this process into a new user namespace and a new mount namespace owned by it. Until ids are mapped it is
/// nobody there, with all capabilities.
///
/// # Errors
/// `EINVAL` when the process has more than one thread, `EPERM` or `ENOSPC` where user namespaces are not allowed.
pub fn unshare() -> io::Result<()> {
    // SAFETY: no safe function exists because CLONE_FILES would invalidate descriptors that other threads hold. Neither
    // of these flags touches the descriptor table.
    unsafe { unshare_unsafe(UnshareFlags::NEWUSER | UnshareFlags::NEWNS) }.map_err(io::Error::from)
}

/// Moves this process into the user namespace and then the mount namespace of another one, given the files below its
/// `/proc/<pid>/ns`. Its owner may do that from outside.
///
/// # Errors
/// `EINVAL` when this process has more than one thread or is there already, `EPERM` when it does not own the namespace.
pub fn enter(user: impl AsFd, mount: impl AsFd) -> io::Result<()> {
    move_into_link_name_space(user.as_fd(), Some(LinkNameSpaceType::User))?;
    move_into_link_name_space(mount.as_fd(), Some(LinkNameSpaceType::Mount))?;
    Ok(())
}
