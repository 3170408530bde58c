//! Starting a shim, from the engine.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use dhow_errdefs::{Result, ResultExt};
use dhow_sys::descriptors;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use crate::frame;
use crate::protocol::{Op, Request};

/// A shim that was started. It outlives its engine; while the engine lives, the engine has to [reap] it.
#[derive(Debug)]
pub struct Spawned {
    /// Its process id.
    pub pid: i32,
    /// A descriptor of the process; readable when it has ended.
    pub pidfd: OwnedFd,
    /// The connection to it (blocking); see [`crate::Connection::new`].
    pub control: UnixStream,
}

/// Starts `program`, our own binary ([`dhow_sys::exe::ProtectedExe::path`]), with the argument `shim` and the container's
/// directory in the exec root, so that ps(1) shows whose shim it is.
///
/// The shim's end of the connection is its standard input, so that no descriptor has to be made inheritable in a
/// threaded process; the shim moves it away at once. It begins a session of its own, so that no signal for the engine's
/// terminal or group reaches it.
///
/// # Errors
/// What fork and execve say: `ResourceExhausted` at the limit of processes, `NotFound` without the binary.
pub fn spawn(program: &Path, run_dir: &Path) -> Result<Spawned> {
    spawn_command(Command::new(program).arg0("dhow").arg("shim").arg(run_dir))
}

/// Starts a shim that waits for the container it will be of, whose directory will be in `directory`: a start that finds
/// one does not wait for fork and execve. It ends when its connection is closed before it got a container.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_spare(program: &Path, directory: &Path) -> Result<Spawned> {
    spawn(program, &directory.join(spare_name()))
}

/// Tells a spare that a launch is likely within the next second. Waits for nothing: the connection is not blocking any
/// more.
///
/// # Errors
/// `Unavailable` where it has ended; it listens to nobody.
pub fn foresee(control: &UnixStream) -> Result<()> {
    control.set_nonblocking(true).context(|| "tell a shim")?;
    // Nothing else was sent yet, and no answer comes: the number is nobody's.
    frame::send(control, &Request { seq: 0, op: Op::Foresee }, &[])
}

/// As long as the id of a container, so that the real name has room in its place.
fn spare_name() -> String {
    format!("{:-<64}", "spare-")
}

/// Whether this argument is that of a spare.
pub(crate) fn is_spare(argument: &OsStr) -> bool {
    Path::new(argument).file_name().is_some_and(|name| name == spare_name().as_str())
}

/// The same with a command of the caller's making, for tests.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_command(command: &mut Command) -> Result<Spawned> {
    let (near, far) = UnixStream::pair().context(|| "make a connection to a shim")?;
    let mut child = command
        .stdin(Stdio::from(OwnedFd::from(far)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context(|| "start a shim")?;
    let pid = Pid::from_child(&child);
    // Nobody but us reaps the child, so the number is still its own. Before it is told anything: with the first word it raises
    // its own limit, and what it has until then is what its containers get.
    let opened = descriptors::restore_limit_of(pid)
        .and_then(|()| rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(io::Error::from));
    match opened {
        Ok(pidfd) => Ok(Spawned { pid: pid.as_raw_pid(), pidfd, control: near }),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error).context(|| "open the shim")
        }
    }
}

/// Reaps a shim that this process has started; waits until it ends if it has not yet.
///
/// # Errors
/// When it is no child of this process, or reaped already.
pub fn reap(pidfd: &OwnedFd) -> Result<()> {
    use std::os::fd::AsFd;
    rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED))
        .map_err(io::Error::from)
        .context(|| "reap a shim")?;
    Ok(())
}
