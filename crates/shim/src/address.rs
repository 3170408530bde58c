//! The shim's socket, at paths longer than a socket's address may be (108 bytes, unix(7)).

use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{CWD, Mode, OFlags};

/// The socket's name in the container's run directory.
pub(crate) const NAME: &str = "shim.sock";

/// Connects to the shim of that directory.
///
/// # Errors
/// `NotFound` when there is no socket, `Unavailable` when nobody listens.
pub(crate) fn connect(run_dir: &Path) -> Result<UnixStream> {
    through_descriptor(run_dir, |path| UnixStream::connect(path))
        .context(|| format!("connect to the shim in {}", run_dir.display()))
}

/// Listens in that directory. A socket that a dead shim left there is replaced.
pub(crate) fn listen(run_dir: &Path) -> Result<UnixListener> {
    let bind = |path: &Path| match UnixListener::bind(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    };
    through_descriptor(run_dir, bind).context(|| format!("listen in {}", run_dir.display()))
}

/// Calls with a short path to the socket: through the directory's descriptor.
fn through_descriptor<T>(run_dir: &Path, call: impl FnOnce(&Path) -> std::io::Result<T>) -> std::io::Result<T> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, run_dir, flags, Mode::empty())?;
    call(&PathBuf::from(format!("/proc/self/fd/{}/{NAME}", dir.as_raw_fd())))
}
