//! Asking the servers of the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::message;

/// How long one server has for an answer; then the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Larger than any answer by datagram.
const DATAGRAM: usize = 4096;

/// Outcomes after which another server is asked: it failed, or refused.
const FAILED: u8 = 2;
const REFUSED: u8 = 5;

/// Asks one server after the other until one knows. If none does, the first answer that came.
pub(super) async fn forward(servers: &[IpAddr], query: &[u8], stream: bool) -> Option<Vec<u8>> {
    let mut poor = None;
    for &server in servers {
        let server = SocketAddr::new(server, 53);
        let asked = async { if stream { by_stream(server, query).await } else { by_datagram(server, query).await } };
        let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, asked).await else { continue };
        match message::outcome_of(&answer, query) {
            Some(FAILED | REFUSED) | None => poor = poor.or(Some(answer)),
            Some(_) => return Some(answer),
        }
    }
    poor
}

/// With a number and a port of its own, which a stranger would have to guess.
async fn by_datagram(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let number = fastrand::u16(..).to_be_bytes();
    let asked = [&number, &query[2..]].concat();
    socket.send(&asked).await?;
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if message::outcome_of(&buffer[..length], &asked).is_some() {
            buffer.truncate(length);
            buffer[..2].copy_from_slice(&query[..2]);
            return Ok(buffer);
        }
    }
}

async fn by_stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    write_framed(&mut stream, query).await?;
    read_framed(&mut stream).await
}

/// A message on a stream has its length before it (RFC 1035, 4.2.2).
pub(super) async fn read_framed(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(super) async fn write_framed(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}
