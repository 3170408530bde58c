//! Entering a new user namespace (user_namespaces(7)).

use std::io;

use rustix::thread::{UnshareFlags, unshare_unsafe};

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
