//! The init process of `--init`: process 1 of a container, for programs that are not made to be one.
//!
//! The engine binds our own binary (the protected view of it, read-only) to `/sbin/docker-init` in the container and
//! puts `/sbin/docker-init --` before the program's arguments. This is what happens then: the program is started as a
//! child, every signal is passed on to it, orphans are reaped, and the end is the program's end.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitCode;

use dhow_sys::signal::{self, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, WaitOptions};

use crate::program::{Process, Program, Setting};

/// Signals that tell of a fault in this very process: they are not passed on and not blocked.
const FAULTS: [Signal; 7] =
    [Signal::ILL, Signal::ABORT, Signal::BUS, Signal::FPE, Signal::SEGV, Signal::TRAP, Signal::SYS];

/// Runs the program in `arguments`, after an optional `--`, and ends as it ended: with its code, or 128 + n for signal n;
/// 127 and 126 when it is not there or may not be executed.
#[must_use]
pub fn main(arguments: &[OsString]) -> ExitCode {
    let arguments = match arguments.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => arguments,
    };
    let code = match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            let name = arguments.first().map_or(OsStr::new(""), OsString::as_os_str);
            eprintln!("[FATAL init ({})] exec {} failed: {error}", std::process::id(), name.display());
            if error.kind() == io::ErrorKind::PermissionDenied { 126 } else { 127 }
        }
    };
    ExitCode::from(u8::try_from(code).unwrap_or(255))
}

fn run(arguments: &[OsString]) -> io::Result<i32> {
    let program = Program::new(arguments)?;
    let signals: Vec<i32> = (1..=64).filter(|number| FAULTS.iter().all(|fault| fault.as_raw() != *number)).collect();
    // Our own runtime starts this with all blocked, so that a signal that comes early is not lost; these stay so.
    signal::block_only(&signals);
    let received = SignalFd::new(&signals)?;
    // With the host's process namespace this is not process 1, and orphans would go elsewhere.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let child = program.start(Setting { own_group: true, ..Setting::default() })?;
    loop {
        let wait = || poll(&mut [PollFd::new(&received, PollFlags::IN)], None);
        rustix::io::retry_on_intr(wait)?;
        while let Some(signal) = received.read()? {
            if signal.signal != Signal::CHILD.as_raw() {
                pass_on(&child, signal.signal);
            } else if let Some(code) = reap(&child) {
                return Ok(code);
            }
        }
    }
}

fn pass_on(child: &Process, number: i32) {
    // It may have ended just now; then there is nothing to be told.
    let _ = signal::send(&child.pidfd, number);
}

/// Reaps who has ended; the program's exit code, if it is among them.
fn reap(child: &Process) -> Option<i32> {
    let mut code = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid.as_raw_pid() == child.pid {
            code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
        }
    }
    code
}
