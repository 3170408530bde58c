//! The working directory as the kernel names it.

use std::io;

/// Whether the working directory can be reached from this process's root. One that cannot is a door out of a container
/// (CVE-2024-21626); the kernel marks its name with `(unreachable)` (getcwd(2)).
///
/// # Errors
/// `ENOENT` for a directory that was removed.
pub fn is_reachable() -> io::Result<bool> {
    let mut buffer = [0u8; libc::PATH_MAX as usize];
    // SAFETY: the raw call, because libc's falls back to code that allocates. It writes at most the given length.
    match unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(buffer[0] == b'/'),
    }
}
