//! Sockets that speak with addresses of other hosts.

use std::io;
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd};

/// Lets a socket be bound to any address (`IP_TRANSPARENT`, ip(7)), and marks what it sends (`SO_MARK`, socket(7)).
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` over the socket's network namespace.
pub fn set(socket: impl AsFd, ipv6: bool, mark: u32) -> io::Result<()> {
    let (level, name) =
        if ipv6 { (libc::SOL_IPV6, libc::IPV6_TRANSPARENT) } else { (libc::SOL_IP, libc::IP_TRANSPARENT) };
    set_option(&socket, level, name, 1)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_MARK, mark)
}

fn set_option(socket: &impl AsFd, level: libc::c_int, name: libc::c_int, value: u32) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: setsockopt(2) reads `length` bytes from `value`, which lives through the call.
    match unsafe { libc::setsockopt(socket, level, name, (&raw const value).cast(), length) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
