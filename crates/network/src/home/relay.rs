//! Passing on what arrives at one published port, in the client's name: the container sees the client's address.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, UdpSocket as StdSocket};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, JoinSet};

use super::OUTWARD;
use crate::model::{Protocol, Subnet};
use crate::networks::lock;
use crate::ports::BACKLOG;

/// What is read at once of a stream, in each direction.
const CHUNK: usize = 128 << 10;

/// Larger than any datagram.
const DATAGRAM: usize = 64 << 10;

/// How long a flow of datagrams may rest (as long as the kernel remembers one, nf_conntrack_udp_timeout_stream).
const IDLE: Duration = Duration::from_secs(120);

/// How long is waited after the kernel had no descriptor or memory left for a client.
const PAUSE: Duration = Duration::from_millis(50);

/// Where what arrives at a port goes, and whose address it has there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Way {
    pub address: SocketAddr,
    /// The client's own; else the host's.
    pub in_clients_name: bool,
}

/// Where a port leads.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub way: Way,
    /// Who may come from outside of the host; empty: everybody.
    pub from: Vec<Subnet>,
}

impl Target {
    fn lets_in(&self, client: SocketAddr) -> bool {
        let ip = client.ip();
        self.from.is_empty() || ip.is_loopback() || self.from.iter().any(|subnet| subnet.contains(ip))
    }
}

/// A port that is passed on.
#[derive(Debug)]
pub(super) struct Relay {
    target: Arc<RwLock<Target>>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Begins; needs a runtime. The socket is bound in another namespace, and belongs there.
    pub(super) fn start(protocol: Protocol, socket: OwnedFd, target: Target) -> io::Result<Self> {
        let target = Arc::new(RwLock::new(target));
        let to = Arc::clone(&target);
        rustix::io::ioctl_fionbio(&socket, true)?;
        let task = match protocol {
            Protocol::Tcp => {
                // One that has only kept the port until now does not listen yet.
                net::listen(&socket, BACKLOG)?;
                let listener = TcpListener::from_std(StdListener::from(socket))?;
                tokio::spawn(streams(listener, to))
            }
            Protocol::Udp => {
                let socket = UdpSocket::from_std(StdSocket::from(socket))?;
                tokio::spawn(datagrams(Arc::new(socket), to))
            }
            Protocol::Sctp => return Err(io::ErrorKind::Unsupported.into()),
        };
        Ok(Self { target, task })
    }

    /// Gives the port back; connections that are open stay.
    pub(super) fn stop(self, runtime: &Handle) {
        self.task.abort();
        drop(runtime.block_on(self.task));
    }

    /// From now on to there; connections that are open stay.
    pub(super) fn lead_to(&self, target: Target) {
        *self.target.write().unwrap_or_else(PoisonError::into_inner) = target;
    }
}

/// Where a client is led; `None` if it may not come.
fn led(target: &RwLock<Target>, client: SocketAddr) -> Option<Way> {
    let target = target.read().unwrap_or_else(PoisonError::into_inner);
    target.lets_in(client).then_some(target.way)
}

async fn streams(listener: TcpListener, target: Arc<RwLock<Target>>) {
    loop {
        match listener.accept().await {
            Ok((client, address)) => {
                if let Some(way) = led(&target, address) {
                    drop(tokio::spawn(carry(client, address, way, Arc::downgrade(&target))));
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn carry(mut client: TcpStream, address: SocketAddr, way: Way, target: Weak<RwLock<Target>>) -> io::Result<()> {
    let socket = speaking_for(SocketType::STREAM, address, way)?;
    let mut server = TcpSocket::from_std_stream(socket.into()).connect(way.address).await?;
    // Whoever did not answer may be gone, and the next one have the address.
    if target.upgrade().and_then(|target| led(&target, address)) != Some(way) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, CHUNK, CHUNK).await.map(drop)
}

/// A socket in our namespace that has the client's address; the bridge's, where that is not wanted, or the client is the
/// host's loopback or has that very port open already.
fn speaking_for(kind: SocketType, client: SocketAddr, way: Way) -> io::Result<OwnedFd> {
    let target = way.address;
    let family = if target.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let plain = || net::socket_with(family, kind, flags, None);
    if !way.in_clients_name || client.ip().is_loopback() || client.is_ipv6() != target.is_ipv6() {
        return Ok(plain()?);
    }
    let socket = plain()?;
    dhow_sys::transparent::set(&socket, client.is_ipv6(), OUTWARD)?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    match net::bind(&socket, &client) {
        Ok(()) => Ok(socket),
        Err(_) => Ok(plain()?),
    }
}

/// What goes to and fro between one client and the container.
struct Flow {
    socket: UdpSocket,
    way: Way,
    /// The client has said something since it was looked at last.
    used: AtomicBool,
}

type Flows = Arc<Mutex<HashMap<SocketAddr, Arc<Flow>>>>;

async fn datagrams(outside: Arc<UdpSocket>, target: Arc<RwLock<Target>>) {
    let flows = Flows::default();
    let mut tasks = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM];
    loop {
        // An error is about a client that has gone.
        let Ok((length, client)) = outside.recv_from(&mut buffer).await else { continue };
        let Some(way) = led(&target, client) else { continue };
        let Ok(flow) = flow(&flows, &mut tasks, &outside, client, way) else { continue };
        flow.used.store(true, Ordering::Relaxed);
        drop(flow.socket.send(&buffer[..length]).await);
    }
}

fn flow(
    flows: &Flows,
    tasks: &mut JoinSet<()>,
    outside: &Arc<UdpSocket>,
    client: SocketAddr,
    way: Way,
) -> io::Result<Arc<Flow>> {
    if let Some(flow) = lock(flows).get(&client).filter(|flow| flow.way == way) {
        return Ok(Arc::clone(flow));
    }
    let socket = speaking_for(SocketType::DGRAM, client, way)?;
    net::connect(&socket, &way.address)?;
    let socket = UdpSocket::from_std(socket.into())?;
    let flow = Arc::new(Flow { socket, way, used: AtomicBool::new(true) });
    lock(flows).insert(client, Arc::clone(&flow));
    while tasks.try_join_next().is_some() {}
    tasks.spawn(answers(Arc::clone(flows), Arc::clone(outside), client, Arc::clone(&flow)));
    Ok(flow)
}

async fn answers(flows: Flows, outside: Arc<UdpSocket>, client: SocketAddr, flow: Arc<Flow>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        match tokio::time::timeout(IDLE, flow.socket.recv(&mut buffer)).await {
            Ok(Ok(length)) => drop(outside.send_to(&buffer[..length], client).await),
            // Nobody listens there yet.
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) if flow.used.swap(false, Ordering::Relaxed) => {}
            Ok(Err(_)) | Err(_) => break,
        }
    }
    let mut flows = lock(&flows);
    if flows.get(&client).is_some_and(|present| Arc::ptr_eq(present, &flow)) {
        flows.remove(&client);
    }
}
