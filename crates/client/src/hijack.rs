//! Connections that stop being HTTP: attach and exec.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use bytes::Bytes;
use dhow_errdefs::{Error, Result, ResultExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use crate::connection::Transport;

/// A socket in blocking mode, for threads that pump bytes.
#[derive(Debug)]
pub enum Socket {
    /// A unix socket.
    Unix(UnixStream),
    /// A TCP connection.
    Tcp(TcpStream),
}

impl Socket {
    pub(crate) fn of(transport: Transport) -> Result<Self> {
        match transport {
            Transport::Unix(stream) => stream.into_std().and_then(|stream| {
                stream.set_nonblocking(false)?;
                Ok(Self::Unix(stream))
            }),
            Transport::Tcp(stream) => stream.into_std().and_then(|stream| {
                stream.set_nonblocking(false)?;
                Ok(Self::Tcp(stream))
            }),
        }
        .context(|| "take over the connection")
    }

    /// A second handle on the same connection.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
        })
    }

    /// Ends one or both directions; `Shutdown::Write` is how the engine learns that standard input is over.
    ///
    /// # Errors
    /// The other side is gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(how),
            Self::Tcp(stream) => stream.shutdown(how),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection taken over from HTTP.
#[derive(Debug)]
pub struct Hijacked {
    /// The connection itself.
    pub socket: Socket,
    /// Bytes that came right behind the engine's answer: they are read before anything from the socket.
    pub leftover: Bytes,
}

impl Hijacked {
    pub(crate) fn new(upgraded: Upgraded) -> Result<Self> {
        let parts = upgraded
            .downcast::<TokioIo<Transport>>()
            .map_err(|_| Error::internal("take over the connection: it is of an unknown kind"))?;
        let socket = Socket::of(parts.io.into_inner())?;
        Ok(Self { socket, leftover: parts.read_buf })
    }
}
