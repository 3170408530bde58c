//! Frames that are sent as they are (packet(7)).

use std::io;
use std::mem::{self, size_of};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Bytes of an Ethernet header; its last two say what is behind it.
const HEADER: usize = 14;

/// Sends frames by the links of the network namespace in which it was opened, and receives none. To be kept: the kernel
/// takes milliseconds to close one.
#[derive(Debug)]
pub struct FrameSocket(OwnedFd);

impl FrameSocket {
    /// Opens one in the calling thread's network namespace.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_RAW` over that namespace; what socket(2) says.
    pub fn open() -> io::Result<Self> {
        let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self(socket))
    }

    /// Sends a frame with its Ethernet header by the link of that number.
    ///
    /// # Errors
    /// `EINVAL` for what is shorter than the header; `ENXIO` where the link is gone; else what sendto(2) says.
    pub fn send(&self, link: u32, frame: &[u8]) -> io::Result<()> {
        let Some(header) = frame.first_chunk::<HEADER>() else {
            return Err(rustix::io::Errno::INVAL.into());
        };
        // SAFETY: integers and an array of bytes, for all of which zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = u16::from_ne_bytes([header[12], header[13]]);
        address.sll_ifindex = link.cast_signed();
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: sendto(2) reads the frame and the address with the given lengths; both live through the call.
        let sent = unsafe {
            let (frame, address) = (frame, &raw const address);
            libc::sendto(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, address.cast(), length)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
