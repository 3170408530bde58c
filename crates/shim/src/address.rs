//! The shim's socket, at paths longer than a socket's address may be (108 bytes, unix(7)).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, pidfd_open};

/// The socket's name in the container's run directory.
pub(crate) const NAME: &str = "shim.sock";

/// Connects to the shim that lives in that directory. The kernel knows who that is (unix(7), `SO_PEERCRED`).
///
/// # Errors
/// `NotFound` when there is no socket, `Unavailable` when nobody listens.
pub fn connect(run_dir: &Path) -> Result<UnixStream> {
    through_descriptor(run_dir, NAME, |path| UnixStream::connect(path))
        .context(|| format!("connect to the shim in {}", run_dir.display()))
}

/// The process of the shim that lives in `run_dir`: the kernel tells who listens at its socket (unix(7), SO_PEERCRED),
/// whether the shim answers or not.
///
/// # Errors
/// `NotFound` or `Unavailable` when none lives there.
pub fn process(run_dir: &Path) -> Result<OwnedFd> {
    let connection = connect(run_dir)?;
    let step = || format!("find the shim in {}", run_dir.display());
    let peer = rustix::net::sockopt::socket_peercred(&connection).map_err(io::Error::from).context(step)?;
    match pidfd_open(peer.pid, PidfdFlags::empty()) {
        Err(Errno::SRCH) => Err(Error::unavailable(format!("the shim in {} has just ended", run_dir.display()))),
        opened => opened.map_err(io::Error::from).context(step),
    }
}

/// Listens in that directory under a name. A socket that was left there is replaced.
pub(crate) fn listen(directory: &Path, name: &str) -> Result<UnixListener> {
    let bind = |path: &Path| match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    };
    through_descriptor(directory, name, bind).context(|| format!("listen in {}", directory.display()))
}

/// Calls with a short path to the socket: through the directory's descriptor.
fn through_descriptor<T>(directory: &Path, name: &str, call: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, directory, flags, Mode::empty())?;
    call(&PathBuf::from(format!("/proc/self/fd/{}/{name}", dir.as_raw_fd())))
}
