//! Session keyrings (keyrings(7)).

use std::ffi::CStr;
use std::io;

/// Gives this process a new session keyring of that name, so that it shares no keys with its parent.
///
/// # Errors
/// `ENOSYS` without keyrings, `EDQUOT` at the user's quota of keys, `EACCES`/`EPERM` where a filter forbids it.
pub fn join_session(name: &CStr) -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: no wrapper exists in rustix; the call reads one null-terminated string.
    match unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
