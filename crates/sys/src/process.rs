//! What the kernel tells of a process. Not for the child between `clone3` and `execve`: it allocates.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, set_parent_process_death_signal};

use crate::{descriptors, signal};

/// Lets a command begin with no signal blocked or ignored, whatever we do with ours, with the limit of open files that this
/// process had before it raised its own, and end with the thread that started it (prctl(2), `PR_SET_PDEATHSIG`).
pub fn leave_nothing_to(command: &mut Command) {
    let begin = || {
        signal::reset();
        descriptors::restore_limit()?;
        Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
    };
    // SAFETY: in the child it makes system calls only, and allocates nothing.
    unsafe { command.pre_exec(begin) };
}

/// Numbers of fields in `/proc/PID/stat`, as proc_pid_stat(5) counts them.
pub mod field {
    /// One letter; `Z` and `X` have ended.
    pub const STATE: usize = 3;
    /// The parent.
    pub const PARENT: usize = 4;
    /// The session.
    pub const SESSION: usize = 6;
    /// When it began, in clock ticks since the boot.
    pub const BEGAN: usize = 22;
    /// The address after its command line.
    pub const ARGUMENTS_END: usize = 49;
}

/// The number of the first field after the program's name, which may hold anything, blanks and parentheses too.
const FIRST: usize = field::STATE;

/// A line of `/proc/PID/stat`.
#[derive(Debug)]
pub struct Stat(String);

impl Stat {
    /// Of a process by its number.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn of(pid: i32) -> io::Result<Self> {
        fs::read_to_string(format!("/proc/{pid}/stat")).map(Self)
    }

    /// Of this one.
    ///
    /// # Errors
    /// Without `/proc`.
    pub fn own() -> io::Result<Self> {
        fs::read_to_string("/proc/self/stat").map(Self)
    }

    /// A field by its [number](field), from 3 on.
    #[must_use]
    pub fn get<T: FromStr>(&self, number: usize) -> Option<T> {
        let (_, fields) = self.0.rsplit_once(')')?;
        fields.split_ascii_whitespace().nth(number.checked_sub(FIRST)?)?.parse().ok()
    }
}

/// Whether a process has ended, reaped or not: its descriptor is readable then (pidfd_open(2)).
pub fn has_ended(pidfd: impl AsFd) -> bool {
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// A descriptor of a process; `None` when it is gone.
#[must_use]
pub fn open(pid: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()
}

/// Waits for the end of a process, at most so long. An interruption counts as an answer: the callers look again.
pub fn wait(pidfd: impl AsFd, at_most: Duration) {
    let timeout = Timespec { tv_sec: at_most.as_secs().cast_signed(), tv_nsec: at_most.subsec_nanos().into() };
    let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout));
}

/// Waits for the end of a process until then, whatever interrupts; says whether it has ended.
pub fn ends_before(pidfd: impl AsFd, deadline: Instant) -> bool {
    while !has_ended(&pidfd) {
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return false;
        }
        wait(&pidfd, rest);
    }
    true
}

/// Sends SIGKILL through descriptors, so that a number that is in use again is never hit, and waits until all have ended, or
/// until then.
pub fn end(processes: &[OwnedFd], deadline: Instant) {
    for process in processes {
        // Who has ended meanwhile needs no signal.
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
    for process in processes {
        wait(process, deadline.saturating_duration_since(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_after_the_name_whatever_that_is() {
        let stat = Stat("7 (a) b) S 1 2 3 rest".to_owned());
        assert_eq!(stat.get::<char>(field::STATE), Some('S'));
        assert_eq!((stat.get::<i32>(field::PARENT), stat.get::<i32>(field::SESSION)), (Some(1), Some(3)));
        assert_eq!((stat.get::<u64>(field::BEGAN), stat.get::<i32>(7), stat.get::<i32>(1)), (None, None, None));
        assert_eq!(Stat("nonsense".to_owned()).get::<char>(field::STATE), None);
    }

    #[test]
    fn the_kernel_counts_as_we_do() {
        let own = Stat::of(std::process::id() as i32).expect("this process");
        assert_eq!(own.get::<i32>(field::PARENT), Some(std::os::unix::process::parent_id() as i32));
        let session = rustix::process::getsid(None).expect("always").as_raw_pid();
        assert_eq!(own.get::<i32>(field::SESSION), Some(session));
    }
}
