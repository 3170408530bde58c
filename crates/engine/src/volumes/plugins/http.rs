//! As much HTTP as one question to a plugin needs: a connection of its own, a deadline for the whole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::address::Address;

/// More than any list of volumes.
const LONGEST_ANSWER: u64 = 16 << 20;

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Asks a question.
///
/// # Errors
/// `TimedOut` or `WouldBlock` when `end` has come; `InvalidData` for what is no answer.
pub(super) fn post(address: &Address, method: &str, body: &str, end: Instant) -> io::Result<Answer> {
    let mut stream = Stream::connect(address, end)?;
    let length = body.len();
    let head = format!(
        "POST /{method} HTTP/1.1\r\nHost: plugin\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.limit(end)?;
    stream.write_all((head + body).as_bytes())?;
    let mut stream = BufReader::new(Timed { stream, end }.take(LONGEST_ANSWER));
    let answer = answer(&mut stream);
    if stream.get_ref().limit() == 0 { Err(invalid("the answer is too long")) } else { answer }
}

/// Whether a question has not even been heard, so that it may be asked again.
pub(super) fn nobody_listens(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

impl Stream {
    fn connect(address: &Address, end: Instant) -> io::Result<Self> {
        match address {
            Address::Unix(path) => connect_unix(path, end).map(Self::Unix),
            Address::Tcp(host) => connect_tcp(host, end).map(Self::Tcp),
        }
    }

    fn limit(&self, end: Instant) -> io::Result<()> {
        let limit = Some(remaining(end)?);
        match self {
            Self::Unix(stream) => stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)),
            Self::Tcp(stream) => stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)),
        }
    }
}

/// Who does not take connections lets them wait: for that, too, there is an end (unix(7), `SO_SNDTIMEO`).
fn connect_unix(path: &Path, end: Instant) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, Timeout::Send, Some(remaining(end)?))?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

/// The first address of a host that takes the connection.
fn connect_tcp(host: &str, end: Instant) -> io::Result<TcpStream> {
    let (name, port) = host.rsplit_once(':').unwrap_or_default();
    let port = port.parse().map_err(|_| invalid("the port is no number"))?;
    let mut failed = io::ErrorKind::AddrNotAvailable.into();
    for address in addresses(name, end)? {
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), remaining(end)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Looks a name up on a thread of its own, because servers of names have their own ideas of patience.
fn addresses(name: &str, end: Instant) -> io::Result<Vec<IpAddr>> {
    let (found, name) = (mpsc::channel(), name.to_owned());
    thread::spawn(move || found.0.send(dhow_names::resolve(&name)));
    match found.1.recv_timeout(remaining(end)?) {
        Ok(addresses) => addresses.map_err(io::Error::other),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

/// What is read from a stream until a time, whoever is slow or never ends.
struct Timed {
    stream: Stream,
    end: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.limit(self.end)?;
        self.stream.read(buffer)
    }
}

impl Write for Stream {
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

fn remaining(end: Instant) -> io::Result<Duration> {
    match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        rest => Ok(rest),
    }
}

/// Reads an answer as it comes, each byte once: whoever sends them one at a time costs no more for it.
fn answer(stream: &mut impl BufRead) -> io::Result<Answer> {
    let status = line(stream)?.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| invalid("this is not HTTP"))?;
    let (mut length, mut chunked) = (None, false);
    loop {
        let line = line(stream)?;
        let Some((field, value)) = line.split_once(':') else {
            if line.is_empty() {
                break;
            }
            continue;
        };
        if field.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse().map_err(|_| invalid("its length is no number"))?);
        } else if field.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
    let mut body = Vec::new();
    match length {
        _ if chunked => chunks(stream, &mut body)?,
        Some(length) => exactly(stream, length, &mut body)?,
        None => drop(stream.read_to_end(&mut body)?),
    }
    Ok(Answer { status, body })
}

/// The body of chunks, up to the last one (RFC 9112, 7.1).
fn chunks(stream: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let line_of_size = line(stream)?;
        let size = line_of_size.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a chunk has no size"))?;
        if size == 0 {
            return Ok(());
        }
        exactly(stream, size, body)?;
        if !line(stream)?.is_empty() {
            return Err(invalid("a chunk is longer than its size"));
        }
    }
}

fn exactly(stream: &mut impl BufRead, length: u64, body: &mut Vec<u8>) -> io::Result<()> {
    match stream.take(length).read_to_end(body)? as u64 == length {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A line without its end.
fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::net::{bind, listen, socket};
    use std::net::TcpListener;

    #[test]
    fn one_to_which_too_many_wait_to_be_connected_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.sock");
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 0).unwrap();
        let _first = UnixStream::connect(&path).unwrap();
        let error = post(&Address::Unix(path), "Plugin.Activate", "", Instant::now() + Duration::from_millis(50));
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_host_has_a_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = format!("plugin.localhost:{}", listener.local_addr().unwrap().port());
        let served = thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        });
        let answer =
            post(&Address::Tcp(host), "Plugin.Activate", "", Instant::now() + Duration::from_secs(60)).unwrap();
        served.join().unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, &b"{}"[..]));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "(HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n)?[0-9a-f\r\n;]{0,24}") {
            drop(answer(&mut bytes.as_slice()));
            drop(answer(&mut text.as_bytes()));
        }

        #[test]
        fn chunks_come_back(pieces in proptest::collection::vec("[a-z]{1,9}", 0..5)) {
            let mut text: String = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
            text += "0\r\n\r\n";
            let read = |text: &str| {
                let mut body = Vec::new();
                chunks(&mut text.as_bytes(), &mut body).map(|()| body)
            };
            prop_assert_eq!(read(&text).unwrap(), pieces.concat().into_bytes());
            prop_assert_eq!(read(&text[..text.len() - 5]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
