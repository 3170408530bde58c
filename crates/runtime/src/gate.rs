//! The socket at which a created container waits for another process to start it.
//!
//! The container's first process holds the listening end. Who connects gets to send the word to go, and reads on the
//! same connection why the program could not be executed, or the end of the connection when it could.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Class, Error, Result, ResultExt};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen as listen_on, socket_with,
};

/// Listens at a path; a stale socket there is an error of the caller's.
pub(crate) fn listen(path: &Path) -> Result<OwnedFd> {
    let socket = socket()?;
    with_address(path, |address| bind(&socket, address)).map_err(|error| failed(error, path))?;
    listen_on(&socket, 1).map_err(|errno| failed(errno.into(), path))?;
    Ok(socket)
}

/// Connects to a waiting container.
pub(crate) fn connect_to(path: &Path) -> Result<OwnedFd> {
    let socket = socket()?;
    with_address(path, |address| connect(&socket, address)).map_err(|error| match Class::from(error.kind()) {
        Class::NotFound | Class::Unavailable => Error::conflict("the container does not wait for a start"),
        _ => failed(error, path),
    })?;
    Ok(socket)
}

/// Whether a container waits at this path. The file alone says nothing: it stays when `start` is killed, while the program
/// runs.
pub(crate) fn is_open(path: &Path) -> Result<bool> {
    let socket = socket_of(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    // One that connects and leaves again is not taken for a start.
    match with_address(path, |address| connect(&socket, address)) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            // Somebody else is in front of us.
            ErrorKind::WouldBlock => Ok(true),
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(false),
            _ => Err(failed(error, path)),
        },
    }
}

fn socket() -> Result<OwnedFd> {
    socket_of(SocketFlags::CLOEXEC)
}

fn socket_of(flags: SocketFlags) -> Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .map_err(std::io::Error::from)
        .context(|| "make a socket")
}

/// Calls with an address for the path; long paths go through a descriptor of the directory, because an address holds
/// only 107 bytes (unix(7)).
fn with_address<T>(path: &Path, call: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>) -> std::io::Result<T> {
    if let Ok(address) = SocketAddrUnix::new(path) {
        return Ok(call(&address)?);
    }
    let directory = File::open(path.parent().unwrap_or(Path::new("/")))?;
    let mut short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    short.push(path.file_name().unwrap_or_default());
    Ok(call(&SocketAddrUnix::new(&short)?)?)
}

fn failed(error: std::io::Error, path: &Path) -> Error {
    Error::new(error.kind().into(), format!("socket {}", path.display())).with_cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_open_while_somebody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("start.sock");
        assert!(!is_open(&path).unwrap());
        let listener = listen(&path).unwrap();
        // More often than the queue is long.
        for _ in 0..5 {
            assert!(is_open(&path).unwrap());
        }
        drop(listener);
        assert!(path.exists() && !is_open(&path).unwrap());
    }
}
