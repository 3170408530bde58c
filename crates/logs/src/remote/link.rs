//! The socket to a remote target. Never waits, but for the first connection.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustls::ClientConfig;

use super::session::Session;
use super::target::{Address, Target};

/// How long the first connection may take, and each later handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a host's own syslog may listen (as Docker looks for it).
const HOST_SYSLOG: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// Which attempt to connect it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    /// All addresses are tried, one after the other.
    First,
    /// One of them is, by this number.
    Again(usize),
}

/// A socket, connected or about to be.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) socket: OwnedFd,
    /// Messages are sent one by one.
    pub(super) datagrams: bool,
    /// The connection is not made yet.
    pub(super) connecting: bool,
    /// What keeps it secret.
    session: Option<Box<Session>>,
    /// When it has to be ready.
    deadline: Instant,
}

impl Link {
    /// Connects; waits for it the first time only. The error names the network as Go's does:
    /// `dial tcp 127.0.0.1:1: connect: connection refused`.
    pub(super) fn open(target: &Target, tls: Option<&Arc<ClientConfig>>, attempt: Attempt) -> io::Result<Self> {
        match target {
            Target::Journald { socket, .. } => Self::unix(socket, SocketType::DGRAM),
            Target::Syslog { address, .. } => match address {
                Address::Host => Self::host(),
                Address::Unix(path) => Self::unix(path, SocketType::STREAM),
                Address::Unixgram(path) => Self::unix(path, SocketType::DGRAM),
                Address::Tcp(found) => Self::any(found, SocketType::STREAM, attempt),
                Address::Tls(found, secrecy) => {
                    let config = tls.ok_or_else(|| io::Error::other("no certificates were read"))?;
                    Self::secret(found, Session::new(secrecy, config)?, attempt)
                }
                Address::Udp(found) => Self::any(found, SocketType::DGRAM, attempt),
            },
        }
    }

    fn host() -> io::Result<Self> {
        let places = HOST_SYSLOG.iter().flat_map(|path| [(path, SocketType::DGRAM), (path, SocketType::STREAM)]);
        let found = places.map(|(path, kind)| Self::unix(Path::new(path), kind)).find(Result::is_ok);
        found.unwrap_or_else(|| Err(io::Error::other("Unix syslog delivery error")))
    }

    fn unix(path: &Path, kind: SocketType) -> io::Result<Self> {
        let socket = socket(AddressFamily::UNIX, kind)?;
        let address = SocketAddrUnix::new(path)?;
        let connected = rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address));
        connected.map_err(|errno| {
            named(if kind == SocketType::DGRAM { "unixgram" } else { "unix" }, path.display(), errno)
        })?;
        Ok(Self::new(socket, kind, false))
    }

    fn new(socket: OwnedFd, kind: SocketType, connecting: bool) -> Self {
        let deadline = Instant::now() + PATIENCE;
        Self { socket, datagrams: kind == SocketType::DGRAM, connecting, session: None, deadline }
    }

    /// With TLS; hands are shaken at once the first time only.
    fn secret(addresses: &[SocketAddr], mut session: Session, attempt: Attempt) -> io::Result<Self> {
        let mut link = Self::any(addresses, SocketType::STREAM, attempt)?;
        if attempt == Attempt::First {
            session.establish(&link.socket, Instant::now() + PATIENCE)?;
        }
        link.session = Some(Box::new(session));
        Ok(link)
    }

    fn any(addresses: &[SocketAddr], kind: SocketType, attempt: Attempt) -> io::Result<Self> {
        let mut last = io::Error::other("no address");
        let addresses = match attempt {
            Attempt::First => addresses,
            Attempt::Again(count) => {
                addresses.get(count % addresses.len().max(1)).map_or(&[][..], std::slice::from_ref)
            }
        };
        for address in addresses {
            let mut link = Self::network(*address, kind);
            if attempt == Attempt::First {
                link = link.and_then(|link| link.establish(address));
            }
            match link {
                Ok(link) => return Ok(link),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn network(address: SocketAddr, kind: SocketType) -> io::Result<Self> {
        let network = if kind == SocketType::DGRAM { "udp" } else { "tcp" };
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket(family, kind)?;
        if kind == SocketType::STREAM {
            // A target that is gone without a word is noticed after some minutes.
            let _ = sockopt::set_socket_keepalive(&socket, true);
        }
        let connecting = match rustix::net::connect(&socket, &address) {
            Ok(()) => false,
            Err(Errno::INPROGRESS) => true,
            Err(errno) => return Err(named(network, address, errno)),
        };
        Ok(Self::new(socket, kind, connecting))
    }

    /// Waits until the connection is made, for some seconds.
    fn establish(mut self, address: &SocketAddr) -> io::Result<Self> {
        if !self.connecting {
            return Ok(self);
        }
        let mut fds = [PollFd::new(&self.socket, PollFlags::OUT)];
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        match rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&patience)))? {
            0 => Err(io::Error::new(io::ErrorKind::TimedOut, format!("dial tcp {address}: i/o timeout"))),
            _ => match self.connected() {
                Ok(()) => Ok(self),
                Err(errno) => Err(named("tcp", address, errno)),
            },
        }
    }

    /// The connection is made or has failed.
    pub(super) fn connected(&mut self) -> rustix::io::Result<()> {
        self.connecting = false;
        sockopt::socket_error(&self.socket)?
    }

    /// Sends what goes at once.
    pub(super) fn send(&mut self, bytes: &[u8]) -> rustix::io::Result<usize> {
        if let Some(session) = &mut self.session {
            return session.send(&self.socket, bytes);
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, bytes, flags))
    }

    /// Whether there is something of its own that the socket did not take yet; tries it once more.
    pub(super) fn has_more(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        // Why it does not go is told by the next look at the link.
        let _ = session.flush(&self.socket);
        session.wants_room()
    }

    /// Whether it is worth waiting until the socket has room: for what waits to be sent, or for something of its own.
    pub(super) fn wants_room(&self, waits: bool) -> bool {
        match &self.session {
            Some(session) => session.wants_room() || (waits && !session.is_shaking_hands()),
            None => waits,
        }
    }

    /// Until when it has to be ready; none: it is.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.session.as_ref().filter(|session| session.is_shaking_hands()).map(|_| self.deadline)
    }

    /// Whether the other end is still there. What it says is not for us.
    pub(super) fn is_open(&mut self) -> bool {
        if let Some(session) = &mut self.session {
            return session.receive(&self.socket).is_ok();
        }
        let buffer = &mut [0; 512];
        loop {
            match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) if !self.datagrams => return false,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                // Of a datagram that was sent before; the next may be taken.
                Err(Errno::CONNREFUSED) if self.datagrams => return true,
                Err(_) => return false,
            }
        }
    }

    /// The last word, where there is one.
    pub(super) fn close(&mut self) {
        if let Some(session) = &mut self.session {
            session.close(&self.socket);
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn socket(family: AddressFamily, kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socket_with(family, kind, flags, None)?)
}

fn named(network: &str, address: impl std::fmt::Display, errno: Errno) -> io::Error {
    let words = match errno {
        Errno::CONNREFUSED => "connection refused".to_owned(),
        Errno::NOENT => "no such file or directory".to_owned(),
        Errno::ACCESS => "permission denied".to_owned(),
        Errno::NETUNREACH => "network is unreachable".to_owned(),
        Errno::HOSTUNREACH => "no route to host".to_owned(),
        errno => io::Error::from(errno).to_string(),
    };
    io::Error::new(errno.kind(), format!("dial {network} {address}: connect: {words}"))
}
