//! Session keyrings (keyrings(7)).

use std::io;
use std::ptr;

/// Gives this process a new, empty session keyring, so that it shares no keys with its parent. It has no name: a keyring
/// with a name can be joined by others who know it.
///
/// # Errors
/// `ENOSYS` without keyrings, `EDQUOT` at the user's quota of keys, `EACCES`/`EPERM` where a filter forbids it.
pub fn new_session() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: no wrapper exists in rustix; without a name the call reads no memory.
    match unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<libc::c_char>()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
