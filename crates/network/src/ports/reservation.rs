//! Taking ports of the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use dhow_errdefs::{Class, Error, Result};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto};

use crate::model::{HostPorts, Port, PortBinding, Protocol, Published, Subnet};

/// How often the kernel is asked for a free port that has to be free in two families.
const ATTEMPTS: usize = 64;

/// Connections that wait to be accepted.
pub(crate) const BACKLOG: i32 = 4096;

/// A port that is taken as long as this is kept.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub published: Published,
    /// Who may come; empty: everybody.
    pub from: Vec<Subnet>,
    /// `None` where the kernel has no such sockets, only such packets (SCTP).
    pub socket: Option<OwnedFd>,
}

/// Of which families the container has addresses, and the host's address for ports that name none.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Families {
    pub ipv4: bool,
    pub ipv6: bool,
    pub binding: Option<IpAddr>,
}

impl Families {
    /// Whether the container has no address of that family, and what arrives there is passed on to its IPv4 address.
    const fn crosses(self, address: IpAddr) -> bool {
        address.is_ipv6() && !self.ipv6 && self.ipv4
    }
}

/// How a port is taken: by [`bind`], or somewhere else.
pub(crate) type Bind<'a> = &'a dyn Fn(Protocol, SocketAddr) -> rustix::io::Result<OwnedFd>;

/// Takes the ports of all bindings, or none. `owner` tells which container has a port already.
pub(crate) fn reserve(
    bindings: &[PortBinding],
    families: Families,
    bind: Bind<'_>,
    owner: impl Fn(Published) -> Option<String>,
) -> Result<Vec<Reservation>> {
    let mut taken = Vec::new();
    for binding in bindings {
        let addresses = addresses(binding, families);
        taken.extend(one(binding, &addresses, bind).map_err(|(published, error)| refusal(published, error, &owner))?);
    }
    Ok(taken)
}

fn addresses(binding: &PortBinding, families: Families) -> Vec<IpAddr> {
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let wanted = match binding.host_address.or(families.binding) {
        // The kernel translates no family into another: a process of ours does, for streams and datagrams.
        Some(address) if families.crosses(address) && binding.port.protocol != Protocol::Sctp => return vec![address],
        Some(address) => vec![address],
        None => all.to_vec(),
    };
    let has = |address: &IpAddr| if address.is_ipv6() { families.ipv6 } else { families.ipv4 };
    wanted.into_iter().filter(has).collect()
}

type Refused = (Published, io::Error);

/// The same port of the host at all addresses.
fn one(binding: &PortBinding, addresses: &[IpAddr], bind: Bind<'_>) -> std::result::Result<Vec<Reservation>, Refused> {
    let candidates: Vec<u16> = match &binding.host_ports {
        HostPorts::Any => vec![0; ATTEMPTS],
        HostPorts::Among(range) => range.clone().collect(),
    };
    let mut refused = None;
    for port in candidates {
        match at(binding.port, addresses, port, bind) {
            Ok(mut reservations) => {
                reservations.iter_mut().for_each(|reservation| reservation.from.clone_from(&binding.from));
                return Ok(reservations);
            }
            Err(error) => refused = Some(error),
        }
    }
    refused.map_or(Ok(Vec::new()), Err)
}

fn at(
    port: Port,
    addresses: &[IpAddr],
    mut host_port: u16,
    bind: Bind<'_>,
) -> std::result::Result<Vec<Reservation>, Refused> {
    let mut reservations = Vec::new();
    for &host_address in addresses {
        let mut published = Published { port, host_address, host_port };
        let socket = match bind(port.protocol, SocketAddr::new(host_address, host_port)) {
            Ok(socket) => Some(socket),
            Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if host_port != 0 => None,
            // The host does without IPv6.
            Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) if host_address == Ipv6Addr::UNSPECIFIED => continue,
            Err(errno) => return Err((published, errno.into())),
        };
        if let Some(socket) = &socket {
            published.host_port = local_port(socket).map_err(|errno| (published, errno.into()))?;
            host_port = published.host_port;
        }
        reservations.push(Reservation { published, from: Vec::new(), socket });
    }
    Ok(reservations)
}

/// Takes a port in the calling thread's namespace.
pub(crate) fn bind(protocol: Protocol, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let socket = open(protocol, address)?;
    net::bind(&socket, &address)?;
    Ok(socket)
}

fn open(protocol: Protocol, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let (kind, protocol) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?;
    if address.is_ipv6() {
        net::sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

/// The same for a socket that connections are accepted at. Those that have ended there lately do not matter; it listens at
/// once, so that nobody else can take the port in the same manner.
pub(crate) fn bind_to_listen(protocol: Protocol, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    if protocol != Protocol::Tcp {
        return bind(protocol, address);
    }
    let socket = open(protocol, address)?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &address)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn local_port(socket: &OwnedFd) -> rustix::io::Result<u16> {
    Ok(SocketAddr::try_from(net::getsockname(socket)?)?.port())
}

/// Docker's words; who has the port, if it is one of ours, is the hint.
fn refusal(published: Published, error: io::Error, owner: &impl Fn(Published) -> Option<String>) -> Error {
    let Published { port, host_address, host_port } = published;
    let place = SocketAddr::new(host_address, host_port);
    let taken = error.kind() == io::ErrorKind::AddrInUse;
    if let Some(owner) = owner(published).filter(|_| taken) {
        return Error::new(Class::Internal, format!("Bind for {place} failed: port is already allocated"))
            .with_hint(format!("container {owner} has it"));
    }
    let refusal = Error::new(Class::Internal, format!("failed to bind host port {place}/{}", port.protocol));
    let refusal = refusal.with_cause(error);
    if taken { refusal.with_hint("a program of the host has it") } else { refusal }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const BOTH: Families = Families { ipv4: true, ipv6: false, binding: None };

    fn local(ports: HostPorts) -> PortBinding {
        let port = "80/tcp".parse().unwrap();
        PortBinding { port, host_address: Some(Ipv4Addr::LOCALHOST.into()), host_ports: ports, from: Vec::new() }
    }

    #[test]
    fn a_port_that_is_taken_is_said_by_whom() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let bindings = [local(HostPorts::Among(port..=port))];
        let error = reserve(&bindings, BOTH, &bind, |_| None).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to bind host port 127.0.0.1:{port}/tcp: address already in use"));
        let error = reserve(&bindings, BOTH, &bind, |_| Some("web".into())).unwrap_err();
        assert_eq!(error.to_string(), format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        assert_eq!(error.hint(), Some("container web has it"));
    }

    #[test]
    fn any_port_is_a_free_one_and_is_kept() {
        let taken = reserve(&[local(HostPorts::Any)], BOTH, &bind, |_| None).unwrap();
        let published = taken[0].published;
        assert!(TcpListener::bind((published.host_address, published.host_port)).is_err());
    }
}
