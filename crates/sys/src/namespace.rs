//! Leaving namespaces for new ones (unshare(2)).

use std::io;

use rustix::thread::{ThreadNameSpaceType as Namespaces, UnshareFlags};

/// Moves the calling thread into new namespaces of these kinds.
///
/// # Errors
/// `EPERM` without the right, `ENOSPC`/`EUSERS` at a limit.
pub fn unshare(namespaces: Namespaces) -> io::Result<()> {
    let flags = UnshareFlags::from_bits_retain(namespaces.bits()).difference(UnshareFlags::FILES);
    // SAFETY: rustix marks this unsafe because of CLONE_FILES alone, which is masked out above.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Gives the calling thread a root and a working directory of its own, which entering a mount namespace needs.
///
/// # Errors
/// `ENOMEM`.
pub fn unshare_directories() -> io::Result<()> {
    // SAFETY: rustix marks this unsafe because of CLONE_FILES alone, which is not among the flags.
    Ok(unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }?)
}
