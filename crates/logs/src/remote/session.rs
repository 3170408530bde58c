//! TLS over a connection, without waiting but for the first handshake (RFC 8446; for syslog RFC 5425).

use std::fs;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dhow_errdefs::{Result, ResultExt};
use dhow_tls::TlsMaterial;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};

/// Bytes that may wait in a session until the socket takes them.
const LIMIT: usize = 64 * 1024;

/// How to speak TLS to a target. The files are read whenever a connection is made, so that certificates can be renewed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrecy {
    /// The name or address that the target's certificate has to be for.
    pub name: String,
    /// Authorities that it has to come from; the host's own without it.
    pub authority: Option<PathBuf>,
    /// Our certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Take any certificate.
    pub any: bool,
}

impl Secrecy {
    fn session(&self) -> Result<ClientConnection> {
        let read = |path: &Path| fs::read(path).context(|| format!("read {}", path.display()));
        let authority = self.authority.as_deref().map(read).transpose()?;
        let identity = self.identity.as_ref();
        let identity = identity.map(|(certificate, key)| Ok((read(certificate)?, read(key)?))).transpose()?;
        let config = dhow_tls::client(TlsMaterial {
            authority: authority.as_deref(),
            identity: identity.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice())),
            any_server: self.any,
        })?;
        let name = match self.name.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(self.name.clone())
                .map_err(io::Error::other)
                .context(|| format!("use {:?} as a server's name", self.name))?,
        };
        let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other);
        session.context(|| format!("begin TLS with {}", self.name))
    }
}

/// One session.
#[derive(Debug)]
pub(super) struct Session(ClientConnection);

impl Session {
    /// Nothing is sent yet.
    pub(super) fn new(secrecy: &Secrecy) -> io::Result<Self> {
        let mut session = secrecy.session().map_err(|error| io::Error::other(error.to_string()))?;
        session.set_buffer_limit(Some(LIMIT));
        Ok(Self(session))
    }

    /// Shakes hands, and waits for it until then.
    pub(super) fn establish(&mut self, socket: &OwnedFd, until: Instant) -> io::Result<()> {
        loop {
            match self.flush(socket) {
                Ok(()) | Err(Errno::AGAIN) => {}
                Err(errno) => return Err(errno.into()),
            }
            if !self.is_shaking_hands() {
                return Ok(());
            }
            let room = if self.0.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
            let rest = until.saturating_duration_since(Instant::now());
            let rest = Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: i64::from(rest.subsec_nanos()) as _ };
            let mut fds = [PollFd::new(socket, PollFlags::IN | room)];
            if rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&rest)))? == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "tls: the handshake takes too long"));
            }
            self.receive(socket)?;
        }
    }

    pub(super) fn is_shaking_hands(&self) -> bool {
        self.0.is_handshaking()
    }

    /// Whether there is something that the socket did not take yet.
    pub(super) fn wants_room(&self) -> bool {
        self.0.wants_write()
    }

    /// Takes what there is room for, after the handshake only: what was taken before would be lost if that failed.
    pub(super) fn send(&mut self, socket: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
        self.flush(socket)?;
        if self.is_shaking_hands() {
            return Err(Errno::AGAIN);
        }
        // It writes to memory.
        let taken = self.0.writer().write(bytes).unwrap_or_default();
        match self.flush(socket) {
            Err(Errno::AGAIN) | Ok(()) if taken > 0 => Ok(taken),
            Ok(()) => Err(Errno::AGAIN),
            Err(errno) => Err(errno),
        }
    }

    /// Gives the socket what it takes; `EAGAIN` when it did not take all.
    pub(super) fn flush(&mut self, socket: &OwnedFd) -> rustix::io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(&mut Socket(socket.as_fd())).map_err(|error| errno_of(&error))?;
        }
        Ok(())
    }

    /// Takes in what the other end says: the handshake, and what is not for us. An error: it is the last word.
    pub(super) fn receive(&mut self, socket: &OwnedFd) -> io::Result<()> {
        loop {
            match self.0.read_tls(&mut Socket(socket.as_fd())) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            let state = self.0.process_new_packets();
            let state = state.map_err(|error| io::Error::other(format!("tls: {error}")));
            if state.is_err() {
                // What is wrong is told to the other end, too, if it can be.
                let _ = self.flush(socket);
            }
            let mut left = state?.plaintext_bytes_to_read();
            let buffer = &mut [0; 512];
            while left > 0 {
                left -= self.0.reader().read(buffer)?;
            }
        }
    }

    /// The last word.
    pub(super) fn close(&mut self, socket: &OwnedFd) {
        self.0.send_close_notify();
        let _ = self.flush(socket);
    }
}

/// The socket, never waiting.
struct Socket<'a>(BorrowedFd<'a>);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (length, _) = rustix::io::retry_on_intr(|| rustix::net::recv(self.0, &mut *buffer, RecvFlags::DONTWAIT))?;
        Ok(length)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(rustix::io::retry_on_intr(|| rustix::net::send(self.0, bytes, flags))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
