//! As much HTTP as one question to a plugin needs: a connection of its own, a deadline for the whole.

use std::io::{self, Read, Write};
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
const LONGEST_ANSWER: usize = 16 << 20;

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
    let mut received = Vec::new();
    loop {
        if let Some(answer) = whole(&received, false)? {
            return Ok(answer);
        }
        stream.limit(end)?;
        let mut piece = [0_u8; 16 << 10];
        match stream.read(&mut piece) {
            Ok(0) => return whole(&received, true)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => received.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if received.len() > LONGEST_ANSWER {
            return Err(invalid("the answer is too long"));
        }
    }
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

/// The answer, if all of it is there; `ended` where nothing more comes.
fn whole(received: &[u8], ended: bool) -> io::Result<Option<Answer>> {
    let Some(at) = received.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&received[..at]).into_owned();
    let rest = &received[at + 4..];
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| invalid("this is not HTTP"))?;
    let header = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let body = match (header("transfer-encoding"), header("content-length")) {
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => chunks(rest)?,
        (_, Some(length)) => {
            let length = length.parse().map_err(|_| invalid("its length is no number"))?;
            rest.get(..length).map(<[u8]>::to_vec)
        }
        _ => ended.then(|| rest.to_vec()),
    };
    Ok(body.map(|body| Answer { status, body }))
}

/// The body of chunks, if the last one is there (RFC 9112, 7.1).
fn chunks(mut rest: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|end| end == b"\r\n") else { return Ok(None) };
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = size.split(';').next().unwrap_or_default().trim().to_owned();
        let size = usize::from_str_radix(&size, 16).map_err(|_| invalid("a chunk has no size"))?;
        if size == 0 {
            return Ok(Some(body));
        }
        let start = end + 2;
        let Some(chunk) = size.checked_add(start).and_then(|end| rest.get(start..end)) else { return Ok(None) };
        body.extend_from_slice(chunk);
        let Some(next) = rest.get(start + size + 2..) else { return Ok(None) };
        rest = next;
    }
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
            drop(whole(&bytes, true));
            drop(whole(text.as_bytes(), true));
        }

        #[test]
        fn chunks_come_back(pieces in proptest::collection::vec("[a-z]{1,9}", 0..5)) {
            let mut text: String = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
            text += "0\r\n\r\n";
            prop_assert_eq!(chunks(text.as_bytes()).unwrap(), Some(pieces.concat().into_bytes()));
            prop_assert_eq!(chunks(&text.as_bytes()[..text.len() - 5]).unwrap(), None);
        }
    }
}
