//! Descriptors over unix sockets (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// The most descriptors one message may carry here; the kernel's own limit is 253.
pub const MAX_FDS: usize = 8;

/// Sends `bytes` (at least one) with `fds` on their first byte; returns how many bytes went out.
///
/// # Errors
/// `EINVAL` for more than [`MAX_FDS`] descriptors; else what sendmsg(2) says. A closed peer is `EPIPE`, never a signal.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(rustix::io::Errno::INVAL.into());
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    loop {
        match sendmsg(socket.as_fd(), &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            result => return Ok(result?),
        }
    }
}

/// What one message gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The number of bytes, 0 at the end.
    pub bytes: usize,
    /// Descriptors came along that could not be had, as a rule because this process has as many open as it may. Those of them
    /// that could are closed.
    pub lost: bool,
}

/// Receives bytes into `buffer` and up to [`MAX_FDS`] descriptors into `fds`; returns the number of bytes, 0 at the end.
///
/// # Errors
/// What recvmsg(2) says; `EMFILE` when descriptors were [lost](Received::lost), and the bytes with them.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let Received { bytes, lost } = receive_what_fits(socket, buffer, fds)?;
    if lost { Err(rustix::io::Errno::MFILE.into()) } else { Ok(bytes) }
}

/// The same for a peer whose bytes are wanted without their descriptors too.
///
/// # Errors
/// What recvmsg(2) says.
pub fn receive_what_fits(socket: impl AsFd, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<Received> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        match recvmsg(socket.as_fd(), &mut [IoSliceMut::new(buffer)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            result => break result?,
        }
    };
    let start = fds.len();
    for item in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = item {
            fds.extend(received);
        }
    }
    let lost = message.flags.contains(ReturnFlags::CTRUNC);
    if lost {
        fds.truncate(start);
    }
    Ok(Received { bytes: message.bytes, lost })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_descriptor_arrives_with_the_bytes() {
        let (a, b) = UnixStream::pair().unwrap();
        let (mut far, near) = UnixStream::pair().unwrap();
        assert_eq!(send(&a, b"hello", &[near.as_fd()]).unwrap(), 5);
        drop(near);
        let (mut buffer, mut fds) = ([0; 16], Vec::new());
        assert_eq!(receive(&b, &mut buffer, &mut fds).unwrap(), 5);
        let mut passed = UnixStream::from(fds.pop().unwrap());
        passed.write_all(b"x").unwrap();
        let mut byte = [0];
        far.read_exact(&mut byte).unwrap();
        assert_eq!((&buffer[..5], &byte), (&b"hello"[..], b"x"));
    }

    /// More in one message than are taken look as too many open files do: the kernel has nowhere to put them.
    #[test]
    fn bytes_whose_descriptors_find_no_room_arrive_alone() {
        let (a, b) = UnixStream::pair().unwrap();
        let many = [a.as_fd(); 2 * MAX_FDS];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2 * MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
        for _ in 0..2 {
            sendmsg(&a, &[IoSlice::new(b"hello")], &mut control, SendFlags::empty()).unwrap();
        }
        let (mut buffer, mut fds) = ([0; 5], Vec::new());
        let received = receive_what_fits(&b, &mut buffer, &mut fds).unwrap();
        assert_eq!((received, &buffer), (Received { bytes: 5, lost: true }, b"hello"));
        let error = receive(&b, &mut buffer, &mut fds).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()));
        assert!(fds.is_empty());
    }
}
