//! CPU scheduling attributes (sched_setattr(2)) and I/O priority (ioprio_set(2)) of the calling thread.

use std::io;

/// The kernel's `struct sched_attr`, first version (48 bytes).
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub struct Attributes {
    size: u32,
    /// `SCHED_OTHER` 0, `SCHED_FIFO` 1, `SCHED_RR` 2, `SCHED_BATCH` 3, `SCHED_IDLE` 5, `SCHED_DEADLINE` 6.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// −20 to 19.
    pub nice: i32,
    /// Static priority of the real-time policies, 1 to 99.
    pub priority: u32,
    /// Nanoseconds of run time per period (deadline).
    pub runtime: u64,
    /// Nanoseconds (deadline).
    pub deadline: u64,
    /// Nanoseconds (deadline).
    pub period: u64,
}

impl Attributes {
    /// The attributes of a policy, everything else zero.
    #[must_use]
    pub fn of(policy: u32) -> Self {
        Self { policy, ..Self::default() }
    }
}

/// Applies the attributes to the calling thread.
///
/// # Errors
/// `EPERM` without the right, `EINVAL` for values the policy does not allow.
pub fn set_attributes(mut attributes: Attributes) -> io::Result<()> {
    attributes.size = size_of::<Attributes>() as u32;
    // SAFETY: not wrapped by rustix; the kernel reads `size` bytes of a structure that lives through the call.
    match unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Sets the I/O class (1 real time, 2 best effort, 3 idle) and the level in it (0 to 7, 0 first) of this process.
///
/// # Errors
/// `EPERM` for the real-time class without the right, `EINVAL` for other numbers.
pub fn set_io_priority(class: u32, level: u32) -> io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_SHIFT: u32 = 13;
    // SAFETY: not wrapped by rustix or libc; takes integers only.
    match unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, (class << CLASS_SHIFT) | level) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
