//! Signal masks, dispositions and `signalfd(2)`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// The number of signals the kernel knows (`_NSIG`).
const SIGNALS: i32 = 64;

/// Room for the kernel's `struct sigaction` (32 bytes with a 64-bit mask).
#[repr(C)]
struct KernelAction([u64; 8]);

fn set_of(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the whole set; `sigaddset` ignores numbers out of range.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        set.assume_init()
    }
}

/// All signals are blocked for the calling thread while this lives; dropping it brings the old mask back.
#[derive(Debug)]
pub struct Blocked {
    old: libc::sigset_t,
}

impl Blocked {
    /// Blocks every signal that can be blocked.
    #[must_use]
    pub fn all() -> Self {
        let mut full = MaybeUninit::uninit();
        let mut old = MaybeUninit::uninit();
        // SAFETY: both sets are written before they are read; pthread_sigmask(SIG_SETMASK) with valid pointers cannot
        // fail.
        unsafe {
            libc::sigfillset(full.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, full.as_ptr(), old.as_mut_ptr());
            Self { old: old.assume_init() }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: `old` was filled by the kernel.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.old, ptr::null_mut()) };
    }
}

/// Blocks these signals and no others for the calling thread, for good: the way to receive them through [`SignalFd`].
pub fn block_only(signals: &[i32]) {
    let set = set_of(signals);
    // SAFETY: a valid set, and no old mask is asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) };
}

/// Blocks all signals for the calling thread and for the program that it becomes.
pub fn block_all() {
    std::mem::forget(Blocked::all());
}

/// Gives every signal its default disposition and unblocks all: a new program must not inherit that Rust ignores
/// `SIGPIPE`, nor what the parent blocked. For a child after the fork.
pub fn reset() {
    (1..=SIGNALS).for_each(heed);
    block_only(&[]);
}

/// Gives a signal its default disposition: whoever started us may have left it ignored.
pub fn heed(signal: i32) {
    // SAFETY: the raw call, because libc's refuses the numbers it reserves (32 and 33), which a parent may have left
    // ignored. All-zero is SIG_DFL without flags, which runs no code of ours; SIGKILL and SIGSTOP are refused, which is
    // what they need. `KernelAction` is at least as large as the kernel's structure on every architecture.
    unsafe {
        let action = KernelAction([0; 8]);
        libc::syscall(libc::SYS_rt_sigaction, signal, &raw const action, ptr::null_mut::<KernelAction>(), 8usize);
    }
}

/// A descriptor that reads pending signals (signalfd(2)). The signals must be [blocked](block_only).
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// A signal read from a [`SignalFd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The signal's number.
    pub signal: i32,
    /// Who sent it; for `SIGCHLD`, which child.
    pub pid: i32,
}

impl SignalFd {
    /// A non-blocking descriptor for these signals.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let set = set_of(signals);
        // SAFETY: a valid set; -1 asks for a new descriptor, which nobody else owns.
        unsafe {
            match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(Self(OwnedFd::from_raw_fd(fd))),
            }
        }
    }

    /// The next pending signal; `None` when there is none.
    ///
    /// # Errors
    /// What read(2) says.
    pub fn read(&self) -> io::Result<Option<Received>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        loop {
            // SAFETY: the kernel writes whole records only, at most `size` bytes.
            let read = unsafe { libc::read(self.0.as_raw_fd(), info.as_mut_ptr().cast(), size) };
            if read == size as isize {
                // SAFETY: a whole record was written.
                let info = unsafe { info.assume_init() };
                return Ok(Some(Received { signal: info.ssi_signo as i32, pid: info.ssi_pid as i32 }));
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(None),
                _ => return Err(error),
            }
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends a signal to the process behind a pidfd, by number, so that real-time signals can be sent too.
///
/// # Errors
/// `ESRCH` when it has ended, `EPERM` without the right, `EINVAL` for what is no signal.
pub fn send(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let info = ptr::null::<libc::siginfo_t>();
    // SAFETY: rustix' wrapper takes named signals only. Without a siginfo the kernel reads no memory of ours.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_fd().as_raw_fd(), signal, info, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The number of a signal from its name, with or without `SIG`, or from its number; also `RTMIN+n` and `RTMAX-n`.
#[must_use]
pub fn parse(name: &str) -> Option<i32> {
    if let Ok(number) = name.parse::<i32>() {
        return (1..=SIGNALS).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == bare) {
        return Some(*number);
    }
    let (base, rest, sign) = match (bare.strip_prefix("RTMIN"), bare.strip_prefix("RTMAX")) {
        (Some(rest), _) => (libc::SIGRTMIN(), rest, '+'),
        (_, Some(rest)) => (libc::SIGRTMAX(), rest, '-'),
        _ => return None,
    };
    let offset = match rest.strip_prefix(sign) {
        Some(digits) => digits.parse::<i32>().ok().filter(|n| (0..=30).contains(n))?,
        None if rest.is_empty() => 0,
        None => return None,
    };
    Some(if sign == '+' { base + offset } else { base - offset })
}

/// The name of a signal without `SIG`, if it has one.
#[must_use]
pub fn name(signal: i32) -> Option<&'static str> {
    NAMES.iter().find(|(_, number)| *number == signal).map(|(name, _)| *name)
}

/// signal(7), the names first that the kernel prefers.
const NAMES: [(&str, i32); 37] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
    ("IOT", libc::SIGIOT),
    ("CLD", libc::SIGCHLD),
    ("POLL", libc::SIGPOLL),
    ("UNUSED", libc::SIGSYS),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_realtime_signals_parse() {
        assert_eq!(parse("KILL"), Some(9));
        assert_eq!(parse("sigterm"), Some(15));
        assert_eq!(parse("64"), Some(64));
        assert_eq!(parse("RTMIN+3"), Some(37));
        assert_eq!(parse("SIGRTMAX-1"), Some(63));
        for wrong in ["", "0", "65", "NOPE", "RTMIN-3", "RTMIN+99"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        assert_eq!(name(15), Some("TERM"));
    }
}
