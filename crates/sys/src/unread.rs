//! What the other end of a socket has not read yet.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Bytes that were sent on a unix socket and that its peer has not read yet, with the kernel's own overhead of some hundred
/// for each piece: 0 says that all was read (`SIOCOUTQ`, unix(7)).
///
/// # Errors
/// `EINVAL` for what is no connected socket.
pub fn by_peer(socket: impl AsFd) -> io::Result<u32> {
    let mut count: libc::c_int = 0;
    // SAFETY: SIOCOUTQ (the same number as TIOCOUTQ) writes one int, which outlives the call.
    match unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut count) } {
        -1 => Err(io::Error::last_os_error()),
        // The kernel keeps the last byte until it has told the sender that there is room again.
        _ => Ok(count.unsigned_abs().saturating_sub(1)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn nothing_is_unread_once_the_peer_has_it() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        assert_eq!(by_peer(&near).unwrap(), 0);
        near.write_all(b"head").unwrap();
        assert_ne!(by_peer(&near).unwrap(), 0);
        far.read_exact(&mut [0; 4]).unwrap();
        assert_eq!(by_peer(&near).unwrap(), 0);
    }
}
