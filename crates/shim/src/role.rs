//! The process `dhow shim`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_logs::Timestamp;
use dhow_sys::title::LastArgument;
use rustix::io::Errno;

use crate::spawn::is_spare;
use crate::supervisor::Supervisor;

/// The role `dhow shim`: supervises one container, over the connection at standard input.
#[must_use]
pub fn main(arguments: &[OsString]) -> ExitCode {
    match supervise(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Heard by who runs it by hand; the engine gives it no standard error.
            eprintln!("dhow shim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn supervise(arguments: &[OsString]) -> Result<()> {
    // Whoever started the engine may have had a lock or a pipe open, and a shim would hold it for as long as it lives.
    // Nothing of our own is open yet. Before Linux 5.9 it cannot be done at once, and is no reason not to run.
    let _ = dhow_sys::exec::close_range(3, u32::MAX);
    // It was started by a descriptor, whose number would be its name.
    let _ = rustix::thread::set_name(c"dhow-shim");
    let control = take_control()?;
    leave_the_engine()?;
    // Its threads live for a moment each: not even one of them is worth a heap of its own.
    dhow_sys::heap::limit_arenas(1);
    // Without it ps(1) goes on to show a spare.
    let spare = arguments.last().is_some_and(|argument| is_spare(argument));
    let title = if spare { LastArgument::find().ok() } else { None };
    Supervisor::new(control, title)?.run()
}

/// Keeps what a fault in the shim says: it has no standard error, and nobody else would know.
pub(crate) fn report_panics_to(file: PathBuf) {
    panic::set_hook(Box::new(move |fault| {
        if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(&file) {
            let _ = writeln!(file, "{} {fault}", Timestamp::now());
        }
    }));
}

/// Moves the connection away from standard input and puts `/dev/null` there, so that nothing started from here gets it.
fn take_control() -> Result<UnixStream> {
    let stdin = io::stdin();
    if rustix::net::sockopt::socket_type(&stdin).is_err() {
        return Err(Error::invalid("started without a connection to an engine").with_hint("dhow daemon starts shims"));
    }
    let control: OwnedFd =
        rustix::io::fcntl_dupfd_cloexec(&stdin, 3).map_err(io::Error::from).context(|| "keep the connection")?;
    let null = File::open("/dev/null").context(|| "open /dev/null")?;
    rustix::stdio::dup2_stdin(null).map_err(io::Error::from).context(|| "close standard input")?;
    Ok(control.into())
}

/// A session of its own, the root as working directory, and the role of parent for orphans of the container.
fn leave_the_engine() -> Result<()> {
    match rustix::process::setsid() {
        // Started by hand from a shell, it leads its process group already.
        Ok(_) | Err(Errno::PERM) => {}
        Err(errno) => return Err(io::Error::from(errno)).context(|| "begin a session"),
    }
    rustix::process::chdir("/").map_err(io::Error::from).context(|| "change to /")?;
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).map_err(io::Error::from).context(|| "adopt orphans")
}
