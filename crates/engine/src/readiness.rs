//! Waiting for descriptors.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use tokio::io::unix::AsyncFd;

/// Watches a descriptor that is ours.
#[expect(deprecated, reason = "unsound only for types that lie about their descriptor, which OwnedFd cannot")]
pub(crate) fn watch(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(fd, tokio::io::Interest::READABLE)
}

/// Watches a socket that is ours and non-blocking.
#[expect(deprecated, reason = "unsound only for types that lie about their descriptor, which UnixStream cannot")]
pub(crate) fn watch_socket(socket: UnixStream) -> io::Result<AsyncFd<UnixStream>> {
    AsyncFd::new(socket)
}
