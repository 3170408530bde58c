//! New processes through `clone3(2)`.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::thread::ThreadNameSpaceType as Namespaces;

/// What the child starts with.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Namespaces made for the child. The time namespace is not among them: its offsets have to be written before
    /// anybody lives in it (time_namespaces(7)).
    pub namespaces: Namespaces,
    /// A cgroup v2 directory in which the child is born (`CLONE_INTO_CGROUP`, Linux 5.7).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The child becomes a sibling: a child of the caller's parent (`CLONE_PARENT`), who also learns its exit.
    pub sibling: bool,
}

/// libc has this constant with an overflow into the sign.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// The two returns of [`fork`].
#[derive(Debug)]
pub enum Fork {
    /// In the parent.
    Parent {
        /// The child's process id as the parent sees it.
        pid: i32,
        /// A descriptor of the child: it polls readable when the child ends, and never means another process.
        pidfd: OwnedFd,
    },
    /// In the child. It is a copy of the calling thread alone, so it must only use async-signal-safe functions and
    /// leave by [`exec::execve`](crate::exec::execve) or [`exec::exit`](crate::exec::exit).
    Child,
}

/// Makes a child process with a copy of the caller's memory; its exit is told with `SIGCHLD`.
///
/// Signals should be [blocked](crate::signal::Blocked) around the call, so that no handler of the parent runs in the
/// child.
///
/// # Errors
/// What clone3(2) says: `EPERM` without the right to make the namespaces, `ENOSPC` or `EUSERS` at a limit of nested
/// namespaces, `EAGAIN` at a limit of processes, `EBUSY`/`EOPNOTSUPP` from the cgroup.
pub fn fork(request: &Request<'_>) -> io::Result<Fork> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: `clone_args` is a plain C structure of integers, for which all-zero means "nothing asked for".
    let mut args: libc::clone_args = unsafe { mem::zeroed() };
    args.flags = libc::CLONE_PIDFD as u64 | u64::from(request.namespaces.bits());
    args.pidfd = &raw mut pidfd as u64;
    if request.sibling {
        // The signal is inherited from the caller then, and naming one is an error.
        args.flags |= libc::CLONE_PARENT as u64;
    } else {
        args.exit_signal = libc::SIGCHLD as u64;
    }
    if let Some(cgroup) = request.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no libc or rustix wrapper has clone3. Neither CLONE_VM nor a stack is asked for, so the child runs on a
    // copy of this stack like after fork(2); `args` and `pidfd` outlive the call. What the child may do is documented
    // on `Fork::Child`.
    let mut result = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
    if result < 0 && request.cgroup.is_none() && io::Error::last_os_error().raw_os_error() == Some(libc::ENOSYS) {
        result = older_clone(args.flags | args.exit_signal, &mut pidfd);
    }
    match result {
        0 => Ok(Fork::Child),
        // SAFETY: the kernel stored a new descriptor, owned by nobody else, because of CLONE_PIDFD.
        pid if pid > 0 => Ok(Fork::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The same through `clone(2)`: Docker's seccomp list answers `ENOSYS` to clone3, whose flags a filter cannot see, so
/// that a container's init has to do with this.
fn older_clone(flags: u64, pidfd: &mut libc::c_int) -> libc::c_long {
    let none = 0_usize;
    // SAFETY: as for clone3 above. Without CLONE_VM and with a null stack it forks; the descriptor goes where the third
    // argument says because of CLONE_PIDFD, on every architecture dhow is built for.
    unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut *pidfd, none, none) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    use std::os::fd::AsFd;

    #[test]
    fn a_child_is_reaped_through_its_descriptor() {
        let request = Request { namespaces: Namespaces::empty(), cgroup: None, sibling: false };
        let (pid, pidfd) = match fork(&request).unwrap() {
            Fork::Child => crate::exec::exit(7),
            Fork::Parent { pid, pidfd } => (pid, pidfd),
        };
        let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert!(pid > 0);
        assert_eq!(status.exit_status(), Some(7));
    }
}
