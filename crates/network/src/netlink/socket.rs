//! A netlink socket. It belongs to the network namespace in which it was made, whoever uses it later.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Class, Error, Result, ResultExt};
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::batch::Batch;
use super::{HEADER, aligned};

/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// Larger than what the kernel puts into one datagram.
const BUFFER: usize = 64 << 10;

/// The kernel's default limit of one message is about 200 KiB.
const USUAL_SEND: usize = 128 << 10;

/// Which part of the kernel listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Links, addresses, routes.
    Route,
    /// nftables, connection tracking.
    Netfilter,
}

/// One socket. Its methods block, but only for the kernel's own work.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// A socket in the calling thread's network namespace.
    pub(crate) fn open(family: Family) -> Result<Self> {
        Self::listen(family, 0)
    }

    /// The same, that is also told what happens in these groups (a bit each).
    pub(crate) fn listen(family: Family, groups: u32) -> Result<Self> {
        let protocol = match family {
            // NETLINK_ROUTE is number 0, which is what no number means.
            Family::Route => None,
            Family::Netfilter => Some(netlink::NETFILTER),
        };
        let open = || -> rustix::io::Result<OwnedFd> {
            let socket = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
            net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
            Ok(socket)
        };
        open().map(Self).map_err(io::Error::from).context(|| "open a netlink socket")
    }

    /// Sends a batch and tells what the kernel refused, first of all.
    pub(crate) fn send(&self, batch: &Batch) -> Result<()> {
        if batch.bytes().is_empty() {
            return Ok(());
        }
        self.transmit(batch)?;
        let mut buffer = vec![0; BUFFER];
        let mut outcome = Ok(());
        while let Some(length) = self.receive(&mut buffer, RecvFlags::DONTWAIT)? {
            for message in Messages(&buffer[..length]) {
                outcome = outcome.and(message.check(batch));
            }
        }
        outcome
    }

    /// Sends one request and gives every answer's type and payload (without `struct nlmsghdr`) to `each`.
    pub(crate) fn dump(&self, batch: &Batch, mut each: impl FnMut(u16, &[u8])) -> Result<()> {
        self.transmit(batch)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = self.receive(&mut buffer, RecvFlags::empty())?.unwrap_or_default();
            for message in Messages(&buffer[..length]) {
                message.check(batch)?;
                if message.kind == DONE || message.kind == ERROR {
                    return Ok(());
                }
                each(message.kind, message.payload);
            }
        }
    }

    /// Sends one request that has one answer, or an error.
    pub(crate) fn get<T>(&self, batch: &Batch, read: impl Fn(&[u8]) -> Option<T>) -> Result<T> {
        self.transmit(batch)?;
        let mut buffer = vec![0; BUFFER];
        let length = self.receive(&mut buffer, RecvFlags::empty())?.unwrap_or_default();
        let message = Messages(&buffer[..length]).next().ok_or_else(|| strange(batch))?;
        message.check(batch)?;
        read(message.payload).ok_or_else(|| strange(batch))
    }

    /// Reads news of the groups and gives each one's type, sender and payload to `each`. Where some were lost, that is told
    /// as one of type 0.
    pub(crate) fn news(&self, mut each: impl FnMut(u16, u32, &[u8])) -> Result<()> {
        let mut buffer = vec![0; BUFFER];
        match self.receive(&mut buffer, RecvFlags::DONTWAIT) {
            Ok(length) => {
                let news = Messages(&buffer[..length.unwrap_or_default()]);
                news.for_each(|news| each(news.kind, news.sender, news.payload));
                Ok(())
            }
            Err(error) if error.os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                each(0, 0, &[]);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The number by which the kernel names this socket as the sender of something.
    pub(crate) fn number(&self) -> Option<u32> {
        let address = net::getsockname(&self.0).ok()?;
        Some(SocketAddrNetlink::try_from(address).ok()?.pid())
    }

    fn transmit(&self, batch: &Batch) -> Result<()> {
        let bytes = batch.bytes();
        let transmit = || -> rustix::io::Result<()> {
            if bytes.len() > USUAL_SEND {
                net::sockopt::set_socket_send_buffer_size_force(&self.0, bytes.len() * 2)?;
            }
            rustix::io::retry_on_intr(|| net::send(&self.0, bytes, SendFlags::empty())).map(drop)
        };
        transmit().map_err(io::Error::from).context(|| batch.step(0))
    }

    /// The length of the next datagram; `None` if there is none and nobody wants to wait.
    fn receive(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<Option<usize>> {
        match rustix::io::retry_on_intr(|| net::recv(&self.0, &mut *buffer, flags)) {
            Ok((length, _)) => Ok(Some(length)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(errno) => Err(io::Error::from(errno)).context(|| "read from a netlink socket"),
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn strange(batch: &Batch) -> Error {
    Error::internal(batch.step(0)).with_cause("the kernel's answer makes no sense")
}

/// A message of the kernel's.
#[derive(Debug)]
struct Answer<'a> {
    kind: u16,
    sequence: u32,
    sender: u32,
    payload: &'a [u8],
}

impl Answer<'_> {
    fn check(&self, batch: &Batch) -> Result<()> {
        let number = self.payload.get(..4).and_then(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)));
        match number {
            Some(number) if self.kind == ERROR && number != 0 => {
                let error = io::Error::from_raw_os_error(number.saturating_neg());
                let class = match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists | io::ErrorKind::PermissionDenied => {
                        error.kind().into()
                    }
                    _ => Class::Internal,
                };
                Err(Error::new(class, batch.step(self.sequence)).with_cause(error))
            }
            _ => Ok(()),
        }
    }
}

/// The messages of one datagram.
struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let head = self.0.get(..HEADER)?;
        let length = usize::try_from(u32::from_ne_bytes(head[..4].try_into().ok()?)).ok()?;
        let answer = Answer {
            kind: u16::from_ne_bytes(head[4..6].try_into().ok()?),
            sequence: u32::from_ne_bytes(head[8..12].try_into().ok()?),
            sender: u32::from_ne_bytes(head[12..16].try_into().ok()?),
            payload: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some(answer)
    }
}
