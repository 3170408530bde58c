//! Handing a terminal's master to whoever asked for it with `--console-socket`.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::fdpass;

/// Sends the master over the socket, as runc does: the descriptor with a name.
pub(crate) fn send(socket: &Path, master: Option<OwnedFd>) -> Result<()> {
    let master = master.ok_or_else(|| Error::internal("the container has no terminal"))?;
    let shown = || format!("console socket {}", socket.display());
    let stream = UnixStream::connect(socket).context(shown)?;
    fdpass::send(&stream, b"/dev/ptmx", &[master.as_fd()]).context(shown).map(|_| ())
}

/// Checks that a terminal and a socket go together.
pub(crate) fn check(terminal: bool, socket: Option<&Path>, detached: bool) -> Result<()> {
    match (terminal, socket) {
        (false, Some(_)) => Err(Error::invalid("--console-socket is of no use without a terminal")),
        (true, None) if detached => Err(Error::invalid("a detached container with a terminal needs --console-socket")),
        _ => Ok(()),
    }
}
