//! File descriptors that whoever started us left open (sd_listen_fds(3)).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// Whether a descriptor is open in this process.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: fcntl with F_GETFD only looks at the number; no descriptor is made of it.
    unsafe { libc::fcntl(number, libc::F_GETFD) >= 0 }
}

/// Takes possession of an inherited socket, so that it is closed in programs we start.
///
/// Call it once per number, and only for numbers that the one who started us named.
///
/// # Errors
/// `EBADF` if nothing is open there, `ENOTSOCK` if it is no socket.
pub fn socket(number: RawFd) -> io::Result<OwnedFd> {
    if !is_open(number) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: it is open, and by the contract above nobody else in this process owns it: it was open before `main`.
    let owned = unsafe { OwnedFd::from_raw_fd(number) };
    rustix::net::sockopt::socket_type(&owned)?;
    rustix::io::fcntl_setfd(&owned, rustix::io::FdFlags::CLOEXEC)?;
    Ok(owned)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd, IntoRawFd};

    use super::*;

    #[test]
    fn only_open_sockets_are_taken() {
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("sockets");
        let number = ours.into_raw_fd();
        let taken = socket(number).expect("a socket");
        assert_eq!(taken.as_raw_fd(), number);
        drop(taken);
        assert_eq!(socket(1_000_000).expect_err("not open").raw_os_error(), Some(libc::EBADF));
        let file = std::fs::File::open("/dev/null").expect("opened").into_raw_fd();
        assert_eq!(socket(file).expect_err("a file").raw_os_error(), Some(libc::ENOTSOCK));
    }
}
