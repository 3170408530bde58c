//! TLS over a connection, without waiting but for the first handshake (RFC 8446; for syslog RFC 5425).

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_tls::TlsMaterial;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use serde::{Deserialize, Serialize};

/// Bytes that may wait in a session until the socket takes them.
const LIMIT: usize = 64 * 1024;

/// The longest file with certificates that is read, in bytes: the authorities of a distribution take a fifth of it.
const LONGEST: u64 = 1 << 20;

/// How much a target may say in a session before it is no log target.
const MOST_HEARD: u64 = 1 << 20;

/// How to speak TLS to a target. The files are read once, when the log is opened: later a file server that does not answer
/// would hold up more than the log.
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
    /// Reads the files.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>> {
        let authority = self.authority.as_deref().map(read).transpose()?;
        let identity = self.identity.as_ref();
        let identity = identity.map(|(certificate, key)| Ok((read(certificate)?, read(key)?))).transpose()?;
        let config = dhow_tls::client(TlsMaterial {
            authority: authority.as_deref(),
            identity: identity.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice())),
            any_server: self.any,
            ..TlsMaterial::default()
        })?;
        Ok(Arc::new(config))
    }

    fn session(&self, config: &Arc<ClientConfig>) -> Result<ClientConnection> {
        let name = match self.name.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(self.name.clone())
                .map_err(io::Error::other)
                .context(|| format!("use {:?} as a server's name", self.name))?,
        };
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other);
        session.context(|| format!("begin TLS with {}", self.name))
    }
}

/// A file of usual size, and nothing that could keep its reader waiting or never end.
fn read(path: &Path) -> Result<Vec<u8>> {
    let step = || format!("read {}", path.display());
    let file =
        File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path).context(step)?;
    if !file.metadata().context(step)?.is_file() {
        return Err(Error::invalid(format!("{} is not a file", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).context(step)?;
    if bytes.len() as u64 > LONGEST {
        return Err(Error::exhausted(format!("{} is longer than {LONGEST} bytes", path.display())));
    }
    Ok(bytes)
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    tls: ClientConnection,
    /// Bytes that the target has said.
    heard: u64,
}

impl Session {
    /// Nothing is sent yet.
    pub(super) fn new(secrecy: &Secrecy, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let mut tls = secrecy.session(config).map_err(|error| io::Error::other(error.to_string()))?;
        tls.set_buffer_limit(Some(LIMIT));
        Ok(Self { tls, heard: 0 })
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
            let room = if self.tls.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
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
        self.tls.is_handshaking()
    }

    /// Whether there is something that the socket did not take yet.
    pub(super) fn wants_room(&self) -> bool {
        self.tls.wants_write()
    }

    /// Takes what there is room for, after the handshake only, and when the socket has taken what was sent before: what waits
    /// here is lost when the connection is.
    pub(super) fn send(&mut self, socket: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
        self.flush(socket)?;
        if self.is_shaking_hands() {
            return Err(Errno::AGAIN);
        }
        // It writes to memory.
        let taken = self.tls.writer().write(bytes).unwrap_or_default();
        match self.flush(socket) {
            Err(Errno::AGAIN) | Ok(()) if taken > 0 => Ok(taken),
            Ok(()) => Err(Errno::AGAIN),
            Err(errno) => Err(errno),
        }
    }

    /// Gives the socket what it takes; `EAGAIN` when it did not take all.
    pub(super) fn flush(&mut self, socket: &OwnedFd) -> rustix::io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut Socket(socket.as_fd())).map_err(|error| errno_of(&error))?;
        }
        Ok(())
    }

    /// Takes in what the other end says: the handshake, and what is not for us. An error: it is the last word.
    pub(super) fn receive(&mut self, socket: &OwnedFd) -> io::Result<()> {
        loop {
            match self.tls.read_tls(&mut Socket(socket.as_fd())) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            let state = self.tls.process_new_packets();
            let state = state.map_err(|error| io::Error::other(format!("tls: {error}")));
            if state.is_err() {
                // What is wrong is told to the other end, too, if it can be.
                let _ = self.flush(socket);
            }
            let mut left = state?.plaintext_bytes_to_read();
            self.heard += left as u64;
            if self.heard > MOST_HEARD {
                return Err(io::Error::other("tls: the log target talks without end"));
            }
            let buffer = &mut [0; 512];
            while left > 0 {
                left -= self.tls.reader().read(buffer)?;
            }
        }
    }

    /// The last word.
    pub(super) fn close(&mut self, socket: &OwnedFd) {
        self.tls.send_close_notify();
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
