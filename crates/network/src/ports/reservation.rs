//! Taking ports of the host.

use std::cell::OnceCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use dhow_errdefs::{Class, Error, Result};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto};

use crate::model::{HostPorts, Port, PortBinding, Protocol, Published, Subnet};

/// How often the kernel is asked for a free port that has to be free in two families.
const ATTEMPTS: usize = 64;

/// How long a port that nobody of ours has is asked for again, and how often: a child of the engine's has copies of its sockets
/// between fork(2) and execve(2), also of those that the engine has closed.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(2);

/// Who has a port that a container asks for twice.
const THE_SAME: &str = "the same container";

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
    /// Whether what arrives at an address of the host gets to the container. The kernel translates no family into another;
    /// a process of ours passes streams and datagrams on from IPv6 to IPv4.
    fn are_reached_from(self, address: IpAddr, protocol: Protocol) -> bool {
        self.ipv4 && !address.is_ipv6() || address.is_ipv6() && (self.ipv6 || self.ipv4 && protocol != Protocol::Sctp)
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
    let mut taken: Vec<Reservation> = Vec::new();
    let everywhere = OnceCell::new();
    for binding in bindings {
        let addresses = addresses(binding, families, || everywhere.get_or_init(|| everywhere_on_this_host(bind)));
        let whose = |published: Published| {
            let own = taken.iter().any(|reservation| reservation.published.has_port_of(&published));
            own.then(|| THE_SAME.to_owned()).or_else(|| Some(format!("container {}", owner(published)?)))
        };
        let end = Instant::now() + PATIENCE;
        let more = loop {
            match one(binding, &addresses, bind) {
                Err((published, error)) if is_short_of(&error, binding) && whose(published).is_none() => {
                    if Instant::now() >= end {
                        return Err(refusal(published, error, || None));
                    }
                    thread::sleep(PAUSE);
                }
                Err((published, error)) => return Err(refusal(published, error, || whose(published))),
                Ok(more) => break more,
            }
        };
        taken.extend(more);
    }
    Ok(taken)
}

/// One certain port is wanted, and somebody has it.
fn is_short_of(error: &io::Error, binding: &PortBinding) -> bool {
    let certain = matches!(&binding.host_ports, HostPorts::Among(range) if range.start() == range.end());
    certain && error.kind() == io::ErrorKind::AddrInUse
}

fn addresses<'a>(
    binding: &PortBinding,
    families: Families,
    everywhere: impl FnOnce() -> &'a Vec<IpAddr>,
) -> Vec<IpAddr> {
    let named = binding.host_address.or(families.binding);
    let wanted = named.map_or_else(|| everywhere().clone(), |address| vec![address]);
    wanted.into_iter().filter(|&address| families.are_reached_from(address, binding.port.protocol)).collect()
}

/// Where a port is published that names no address. A host does without IPv6 if nobody can listen on its loopback there,
/// as Docker sees it: at the unspecified address one can also where IPv6 is switched off (`disable_ipv6`).
fn everywhere_on_this_host(bind: Bind<'_>) -> Vec<IpAddr> {
    let mut all = vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
    if bind(Protocol::Udp, (Ipv6Addr::LOCALHOST, 0).into()).is_ok() {
        all.push(Ipv6Addr::UNSPECIFIED.into());
    }
    all
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
    match net::bind(&socket, &address) {
        // Maybe it is only had by connections that have ended, of a program that was there before: who listens may have it.
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => bind_to_listen(protocol, address),
        bound => bound.map(|()| socket),
    }
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
fn refusal(published: Published, error: io::Error, owner: impl FnOnce() -> Option<String>) -> Error {
    let Published { port, host_address, host_port } = published;
    let place = SocketAddr::new(host_address, host_port);
    let taken = error.kind() == io::ErrorKind::AddrInUse;
    if let Some(owner) = owner().filter(|_| taken) {
        return Error::new(Class::Internal, format!("Bind for {place} failed: port is already allocated"))
            .with_hint(format!("{owner} has it"));
    }
    if taken && host_port == 0 {
        return Error::new(
            Class::ResourceExhausted,
            format!("failed to bind host port for {host_address}:{port}: all ports are allocated"),
        )
        .with_hint("net.ipv4.ip_local_port_range says which ones there are");
    }
    let refusal = Error::new(Class::Internal, format!("failed to bind host port {place}/{}", port.protocol));
    let refusal = refusal.with_cause(error);
    if taken { refusal.with_hint("a program of the host has it") } else { refusal }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const IPV4: Families = Families { ipv4: true, ipv6: false, binding: None };

    fn local(ports: HostPorts) -> PortBinding {
        let port = "80/tcp".parse().unwrap();
        PortBinding { port, host_address: Some(Ipv4Addr::LOCALHOST.into()), host_ports: ports, from: Vec::new() }
    }

    #[test]
    fn a_port_that_is_given_back_at_this_moment_is_waited_for() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let wanted = [local(HostPorts::Among(port..=port))];
        let refused = reserve(&wanted, IPV4, &bind, |_| None).unwrap_err();
        assert!(refused.to_string().ends_with("address already in use"), "{refused}");
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(PATIENCE / 4);
                drop(taken);
            });
            assert_eq!(reserve(&wanted, IPV4, &bind, |_| None).unwrap().len(), 1);
        });
    }

    #[test]
    fn a_port_that_is_taken_is_said_by_whom() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let bindings = [local(HostPorts::Among(port..=port))];
        let error = reserve(&bindings, IPV4, &bind, |_| None).unwrap_err();
        assert_eq!(error.to_string(), format!("failed to bind host port 127.0.0.1:{port}/tcp: address already in use"));
        let error = reserve(&bindings, IPV4, &bind, |_| Some("web".into())).unwrap_err();
        assert_eq!(error.to_string(), format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        assert_eq!(error.hint(), Some("container web has it"));
        drop(other);
        let twice = [local(HostPorts::Among(port..=port)), local(HostPorts::Among(port..=port))];
        let error = reserve(&twice, IPV4, &bind, |_| None).unwrap_err();
        assert_eq!(error.to_string(), format!("Bind for 127.0.0.1:{port} failed: port is already allocated"));
        assert_eq!(error.hint(), Some("the same container has it"));
    }

    #[test]
    fn a_port_without_an_address_is_published_in_every_family_that_host_and_container_have() {
        let (four, six) = (IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED));
        let host_without_ipv6 = |_, address: SocketAddr| {
            if address.is_ipv6() { Err(Errno::ADDRNOTAVAIL) } else { bind(Protocol::Tcp, address) }
        };
        let published = |port: &str, address: Option<IpAddr>, families: Families, bind: Bind<'_>| {
            let binding = PortBinding { host_address: address, port: port.parse().unwrap(), ..local(HostPorts::Any) };
            let taken = reserve(&[binding], families, bind, |_| None).unwrap();
            taken.iter().map(|reservation| reservation.published.host_address).collect::<Vec<_>>()
        };
        let only = Families { ipv6: true, ..Families::default() };
        assert_eq!(published("80", None, IPV4, &bind), [four, six], "passed on from IPv6 to IPv4");
        assert_eq!(published("80", None, IPV4, &host_without_ipv6), [four]);
        assert_eq!(published("80", Some(four), IPV4, &bind), [four]);
        assert_eq!(published("80", Some(six), IPV4, &bind), [six]);
        assert_eq!(published("80", None, only, &bind), [six]);
        let at_loopback = Families { binding: Some(Ipv4Addr::LOCALHOST.into()), ..IPV4 };
        assert_eq!(published("80", None, at_loopback, &bind), [IpAddr::from(Ipv4Addr::LOCALHOST)]);
        let sctp = PortBinding { port: "80/sctp".parse().unwrap(), host_address: None, ..local(HostPorts::Any) };
        let all = vec![four, six];
        assert_eq!(addresses(&sctp, IPV4, || &all), [four], "nobody passes it on");
    }

    #[test]
    fn a_port_is_free_where_its_connections_have_ended() {
        let (server, port) = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
            let (server, _) = listener.accept().unwrap();
            // Who closes first remembers it for a minute (TIME-WAIT).
            drop(server);
            (client, port)
        };
        drop(server);
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        let plain = open(Protocol::Tcp, at).unwrap();
        assert_eq!(net::bind(&plain, &at), Err(Errno::ADDRINUSE));
        let kept = bind(Protocol::Tcp, at).unwrap();
        assert_eq!(bind(Protocol::Tcp, at).unwrap_err(), Errno::ADDRINUSE);
        drop(kept);
    }

    #[test]
    fn any_port_is_a_free_one_and_is_kept() {
        let taken = reserve(&[local(HostPorts::Any)], IPV4, &bind, |_| None).unwrap();
        let published = taken[0].published;
        assert!(TcpListener::bind((published.host_address, published.host_port)).is_err());
    }
}
