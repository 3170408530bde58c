//! Asking servers: each in turn, and again.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use super::message::{self, Answer, Kind};
use super::resolv_conf::Settings;

/// Most bytes of an answer in a datagram (RFC 1035 section 4.2.1).
const DATAGRAM: usize = 512;

/// The addresses of a full name: the old ones first, because more of them can be reached.
pub(super) fn ask(settings: &Settings, name: &str) -> io::Result<Vec<IpAddr>> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..settings.attempts {
        for server in &settings.servers {
            match both(*server, settings.timeout, name) {
                Ok(addresses) => return Ok(addresses),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn both(server: SocketAddr, timeout: Duration, name: &str) -> io::Result<Vec<IpAddr>> {
    let mut addresses = one(server, timeout, name, Kind::A)?;
    // A server that knows nothing of the new kind does not spoil the old one.
    match one(server, timeout, name, Kind::Aaaa) {
        Ok(more) => addresses.extend(more),
        Err(error) if addresses.is_empty() => return Err(error),
        Err(_) => {}
    }
    Ok(addresses)
}

fn one(server: SocketAddr, timeout: Duration, name: &str, kind: Kind) -> io::Result<Vec<IpAddr>> {
    let Some(question) = message::question(fastrand::u16(..), name, kind) else { return Ok(Vec::new()) };
    let answer = match by_datagram(server, timeout, &question, kind)? {
        Answer::Truncated => by_stream(server, timeout, &question, kind)?,
        answer => answer,
    };
    match answer {
        Answer::Addresses(addresses) => Ok(addresses),
        Answer::Truncated | Answer::Failed => Err(io::Error::other(format!("server {server} could not answer"))),
    }
}

fn by_datagram(server: SocketAddr, timeout: Duration, question: &[u8], kind: Kind) -> io::Result<Answer> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.send(question)?;
    let end = Instant::now() + timeout;
    let mut message = [0; DATAGRAM];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let length = socket.recv(&mut message)?;
        // Anybody can send us datagrams; only the answer to our question counts.
        if let Some(answer) = message::read(&message[..length], question, kind) {
            return Ok(answer);
        }
    }
}

fn by_stream(server: SocketAddr, timeout: Duration, question: &[u8], kind: Kind) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    message::read(&message, question, kind).ok_or_else(|| io::Error::other("the answer is to another question"))
}
