//! Replacing the process image: argument vectors prepared ahead, `execve(2)`, and the way out when it fails.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::ptr;

/// A vector of strings in the form `execve(2)` wants, built before the fork so that the child allocates nothing.
#[derive(Debug)]
pub struct Vector {
    strings: Vec<CString>,
    /// Pointers into `strings`, then at least one null.
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers point into the heap buffers of `strings`, which move with the value and are never changed
// through a shared reference.
unsafe impl Send for Vector {}
// SAFETY: as above; `&Vector` only reads.
unsafe impl Sync for Vector {}

impl Vector {
    /// A vector of these strings.
    #[must_use]
    pub fn new(strings: Vec<CString>) -> Self {
        let mut pointers: Vec<*const c_char> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(ptr::null());
        Self { strings, pointers }
    }

    /// The strings.
    #[must_use]
    pub fn strings(&self) -> &[CString] {
        &self.strings
    }

    /// A view of the vector with one more string at its end, for what only the child can know; `buffer` must have room
    /// for every pointer, the new one and the null, else the extra string is left out.
    fn with_extra<'a>(&'a self, extra: &'a CStr, buffer: &'a mut [*const c_char]) -> *const *const c_char {
        let count = self.strings.len();
        if buffer.len() < count + 2 {
            return self.pointers.as_ptr();
        }
        buffer[..count].copy_from_slice(&self.pointers[..count]);
        buffer[count] = extra.as_ptr();
        buffer[count + 1] = ptr::null();
        buffer.as_ptr()
    }
}

/// Room for the environment with one more variable; made before the fork.
#[derive(Debug)]
pub struct Slots(Vec<*const c_char>);

// SAFETY: between calls the pointers in the buffer are never read.
unsafe impl Send for Slots {}
// SAFETY: as above; a shared reference gives no access to the buffer.
unsafe impl Sync for Slots {}

impl Slots {
    /// Enough room for `vector` and one more string.
    #[must_use]
    pub fn for_one_more(vector: &Vector) -> Self {
        Self(vec![ptr::null(); vector.strings.len() + 2])
    }
}

/// Runs `path` in place of this process. Returns only on failure.
pub fn execve(path: &CStr, arguments: &Vector, environment: &Vector) -> io::Error {
    // SAFETY: all three point to null-terminated data that lives until the call returns, and it returns only when
    // nothing was replaced.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    io::Error::last_os_error()
}

/// Like [`execve`], with one more environment variable, for instance a `HOME` found in the container's own files.
pub fn execve_with(
    path: &CStr,
    arguments: &Vector,
    environment: &Vector,
    extra: &CStr,
    slots: &mut Slots,
) -> io::Error {
    let environment = environment.with_extra(extra, &mut slots.0);
    // SAFETY: as in `execve`; `environment` points into a null-terminated buffer borrowed for this call.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment) };
    io::Error::last_os_error()
}

/// Ends this process at once: no exit handler, no flush, nothing of the parent's that the copy might run.
pub fn exit(status: i32) -> ! {
    // SAFETY: `_exit` touches no memory and does not return.
    unsafe { libc::_exit(status) }
}

/// Marks every open descriptor from `first` on to be closed at the next [`execve`] (close_range(2), Linux 5.11).
///
/// # Errors
/// `EINVAL` and `ENOSYS` on older kernels.
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: not wrapped by rustix; takes integers, and closes nothing now.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Closes every descriptor from `first` to `last`, both included, whoever owns them.
///
/// For the child of a fork, which has copies of descriptors that it never made and whose owners live in the parent.
///
/// # Errors
/// `ENOSYS` before Linux 5.9.
pub fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: not wrapped by rustix, because closing a descriptor that somebody owns breaks I/O safety. In the child of a
    // fork nobody does: the owners in its copied memory are never dropped, since it ends in execve or _exit.
    match unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
