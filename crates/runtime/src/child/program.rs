//! Finding the program and becoming it.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use dhow_sys::{cwd, exec, signal};
use rustix::fs::{Access, AtFlags, CWD, FileType, accessat, stat};
use rustix::io::Errno;
use rustix::process::chdir;

use super::{Line, fail, hooks, privileges};
use crate::plan::{Plan, World};
use crate::report::{At, Failure, Message, Outcome, Step, errno_of, send};

/// Marks all descriptors from `first` on to be closed when a program is executed.
pub(super) fn close_on_exec(first: u32) -> Outcome {
    exec::close_on_exec_from(first).at(Step::Line)
}

/// Closes every descriptor from 3 on that is not in the list, which is sorted.
pub(super) fn keep_only(kept: &[u32]) {
    let mut next = 3;
    for fd in kept {
        if next < *fd {
            // Failing, it leaves open what is marked close-on-exec anyway.
            let _ = exec::close_range(next, fd - 1);
        }
        next = next.max(fd + 1);
    }
    let _ = exec::close_range(next, u32::MAX);
}

/// Closes the descriptors in the list, which is sorted.
pub(super) fn close_all(descriptors: &[u32]) {
    for neighbours in descriptors.chunk_by(|one, next| one + 1 == *next) {
        if let (Some(first), Some(last)) = (neighbours.first(), neighbours.last()) {
            let _ = exec::close_range(*first, *last);
        }
    }
}

/// Goes to the program's working directory.
pub(super) fn change_directory(plan: &Plan<'_>) -> Outcome {
    chdir(plan.process.cwd.as_c_str()).at(Step::Cwd)
}

/// Refuses a working directory that is not below the root, which only a leaked descriptor can have led to.
pub(super) fn check_directory() -> Outcome {
    match cwd::is_reachable() {
        Ok(true) => Ok(()),
        Ok(false) => fail(Step::CwdOutside, 0, Errno::PERM),
        Err(error) => Err(error).at(Step::Cwd),
    }
}

/// Finds the first candidate that can be executed; says why not if there is none.
pub(super) fn look_up(plan: &mut Plan<'_>) -> Outcome {
    let process = &mut plan.process;
    let mut reason = Errno::NOENT;
    for (index, candidate) in process.candidates.iter().enumerate() {
        match executable(candidate) {
            Ok(()) => {
                process.chosen = index;
                return Ok(());
            }
            Err(errno) => reason = errno,
        }
    }
    fail(Step::Lookup, 0, if process.by_path { reason } else { Errno::NOENT })
}

fn executable(path: &CString) -> Result<(), Errno> {
    let file = stat(path.as_c_str())?;
    if FileType::from_raw_mode(file.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    accessat(CWD, path.as_c_str(), Access::EXEC_OK, AtFlags::EACCESS)
}

/// The last steps: hooks of the container's own, the filter, and the program.
pub(super) fn execute(plan: &mut Plan<'_>, line: &Line) -> Outcome<Infallible> {
    if let World::New(container) = &plan.world {
        hooks::start_container(&container.hooks)?;
    }
    // Once more: what the set-up opened is marked already, what a library might have opened is now.
    close_on_exec(plan.first_closed)?;
    if let Some(filter) = &plan.seccomp
        && let Some(listener) = filter.program().load().at(Step::Seccomp)?
    {
        send(line.as_fd(), Message::Listener, Some(listener.as_fd())).at(Step::Seccomp)?;
    }
    privileges::drop_filter_right(plan)?;
    if plan.process.signals_blocked {
        signal::block_all();
    }
    let errno = replace(plan);
    Err(Failure { step: Step::Execute, index: plan.process.chosen as u16, errno: errno.raw_os_error() })
}

fn replace(plan: &mut Plan<'_>) -> Errno {
    let process = &mut plan.process;
    let Some(path) = process.candidates.get(process.chosen) else { return Errno::NOENT };
    let (arguments, environment) = (&process.arguments, &process.environment);
    let error = match &mut process.home {
        Some(home) => match CStr::from_bytes_with_nul(&home.variable) {
            Ok(variable) => exec::execve_with(path, arguments, environment, variable, &mut home.slots),
            Err(_) => exec::execve(path, arguments, environment),
        },
        None => exec::execve(path, arguments, environment),
    };
    errno_of(error)
}
