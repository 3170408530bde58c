//! Execution domains (personality(2)).

use std::io;

/// Sets the execution domain and its flags.
///
/// # Errors
/// `EINVAL` for one the kernel does not know.
pub fn set(persona: u32) -> io::Result<()> {
    // SAFETY: not wrapped by rustix; takes an integer and touches no memory.
    match unsafe { libc::personality(libc::c_ulong::from(persona)) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
