//! Hooks that run inside the container's namespaces: programs started by a process that may not allocate.

use std::os::fd::{AsFd, OwnedFd};

use dhow_sys::clone::{Fork, Request, fork};
use dhow_sys::exec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::{Errno, write};
use rustix::process::{Resource, Signal, WaitId, WaitIdOptions, getpid, pidfd_send_signal, setrlimit, waitid};
use rustix::stdio::{dup2_stderr, dup2_stdin};
use rustix::thread::ThreadNameSpaceType as Flags;

use crate::plan::hooks::{ChildHook, Hooks, Said, StateText};
use crate::report::{At, Outcome, Step, errno_of};

/// In the container's namespaces, while the host's files are still there.
pub(super) fn create_container(hooks: &Hooks) -> Outcome {
    run_all(hooks, (&hooks.create_container, &hooks.creating), Step::CreateContainerHook)
}

/// In the container, right before its program.
pub(super) fn start_container(hooks: &Hooks) -> Outcome {
    run_all(hooks, (&hooks.start_container, &hooks.created), Step::StartContainerHook)
}

fn run_all(hooks: &Hooks, (list, state): (&[ChildHook], &StateText), step: Step) -> Outcome {
    for (index, hook) in list.iter().enumerate() {
        run(hook, state, hooks.said.as_ref()).at_index(step, index)?;
    }
    Ok(())
}

fn run(hook: &ChildHook, state: &StateText, said: Option<&Said>) -> Result<(), Errno> {
    let input = input(state)?;
    let request = Request { namespaces: Flags::empty(), cgroup: None, sibling: false };
    match fork(&request).map_err(errno_of)? {
        Fork::Child => become_hook(hook, &input, said),
        Fork::Parent { pidfd, .. } => wait(&pidfd, hook.timeout),
    }
}

/// The state as a file: a pipe would have to be fed while the hook runs.
fn input(state: &StateText) -> Result<OwnedFd, Errno> {
    let file = memfd_create(c"state", MemfdFlags::CLOEXEC)?;
    let pid = Decimal::of(getpid().as_raw_pid());
    for part in [state.before.as_slice(), pid.bytes(), &state.after] {
        let mut rest = part;
        while !rest.is_empty() {
            let written = write(&file, rest)?;
            rest = rest.get(written..).unwrap_or_default();
        }
    }
    seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

fn become_hook(hook: &ChildHook, input: &OwnedFd, said: Option<&Said>) -> ! {
    let limited = hook.open_files.is_none_or(|limit| setrlimit(Resource::Nofile, limit).is_ok());
    if limited && dup2_stdin(input).is_ok() && said.is_none_or(|said| dup2_stderr(said).is_ok()) {
        exec::execve(&hook.path, &hook.arguments, &hook.environment);
    }
    // What a shell says of a command it cannot run.
    exec::exit(126)
}

/// `CHILD` when the hook failed, `TIME` when it took too long.
fn wait(pidfd: &OwnedFd, timeout: Option<i64>) -> Result<(), Errno> {
    let limit = timeout.map(|seconds| Timespec { tv_sec: seconds, tv_nsec: 0 });
    let late = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], limit.as_ref())? == 0;
    if late {
        pidfd_send_signal(pidfd, Signal::KILL)?;
    }
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)?;
    match status.and_then(|status| status.exit_status()) {
        _ if late => Err(Errno::TIME),
        Some(0) => Ok(()),
        _ => Err(Errno::CHILD),
    }
}

/// A number in decimal, on the stack.
pub(super) struct Decimal {
    digits: [u8; 12],
    start: usize,
}

impl Decimal {
    /// Of a number that is not negative.
    pub(super) fn of(number: i32) -> Self {
        let mut decimal = Self { digits: [b'0'; 12], start: 12 };
        let mut rest = number.unsigned_abs();
        while decimal.start == 12 || rest > 0 {
            decimal.start -= 1;
            decimal.digits[decimal.start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        decimal
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 4_194_304, i32::MAX] {
            assert_eq!(Decimal::of(number).bytes(), number.to_string().as_bytes());
        }
    }
}
