//! Probes without a process in the container: the engine connects to it from inside its network.
//!
//! A thread of its own goes into the container's network namespace, makes a socket there and ends. A socket stays in the
//! namespace in which it was made, so connecting and everything after happens from here.

use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::ThreadNameSpaceType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use super::output::Output;
use super::target::{Http, Target};

/// The thread makes two system calls.
const STACK: usize = 64 * 1024;

/// Connects from inside the network of a process, by a descriptor of it; says to where.
pub(super) async fn tcp(process: &OwnedFd, target: &Target) -> Result<(TcpStream, SocketAddr)> {
    let mut failure = Error::internal("a health check has no address");
    for address in &target.addresses {
        match connect(process, *address).await {
            Ok(stream) => return Ok((stream, *address)),
            // The first address is the one people mean.
            Err(error) if failure.class() == dhow_errdefs::Class::Internal => failure = error,
            Err(_) => {}
        }
    }
    Err(failure)
}

async fn connect(process: &OwnedFd, address: SocketAddr) -> Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket(process, family).await?;
    let socket = TcpSocket::from_std_stream(StdStream::from(fd));
    let connected = socket.connect(address).await;
    connected.map_err(|error| Error::unavailable(format!("connect to {address}")).with_cause(error))
}

/// A socket in the network namespace of a process.
async fn socket(process: &OwnedFd, family: AddressFamily) -> Result<OwnedFd> {
    let process = process.try_clone().context(|| "copy a descriptor")?;
    let (reply, made) = oneshot::channel();
    let visit = move || {
        // Whoever asked may have gone away.
        let _ = reply.send(make(&process, family));
    };
    let thread = thread::Builder::new().name("health check".to_owned()).stack_size(STACK).spawn(visit);
    thread.context(|| "start a thread")?;
    let made = made.await.map_err(|_| Error::internal("a thread ended without an answer"))?;
    made.context(|| "make a socket in the container's network")
}

fn make(process: &OwnedFd, family: AddressFamily) -> io::Result<OwnedFd> {
    rustix::thread::move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::NETWORK)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

/// Asks for a page. Whether it is there: a status from 200 to 399. What the server said goes to `output`.
pub(super) async fn http(process: &OwnedFd, page: &Http, output: &mut Output) -> Result<bool> {
    let (mut stream, address) = tcp(process, &page.target).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: dhow-health\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        page.path, page.host
    );
    let talk = || format!("talk to {address}");
    stream.write_all(request.as_bytes()).await.context(talk)?;
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece).await.context(talk)?;
        output.add(&piece[..count]);
        match status(output.bytes()) {
            Some(status) if (200..400).contains(&status) => return Ok(true),
            // What else it says may explain why.
            Some(_) if count == 0 || output.is_full() => return Ok(false),
            None if count == 0 || output.is_full() => {
                return Err(Error::data_loss(format!("the answer of {address} is no HTTP")));
            }
            _ => {}
        }
    }
}

/// The status of an answer whose first line is there.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next().filter(|line| line.len() < answer.len())?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rustix::process::PidfdFlags;

    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A server in our own network that answers one request.
    async fn ask(answer: &'static [u8]) -> (Result<bool>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let page = Http::parse(&format!(":{}/x", listener.local_addr().unwrap().port())).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let count = stream.read(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&request[..count]).into_owned()
        });
        let mut output = Output::default();
        let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
        let result = http(&own, &page, &mut output).await;
        assert!(server.join().unwrap().starts_with("GET /x HTTP/1.1\r\nHost: localhost:"));
        (result, output.text())
    }

    #[tokio::test]
    async fn statuses_decide() {
        assert!(ask(b"HTTP/1.1 204 No Content\r\n\r\n").await.0.unwrap());
        assert!(ask(b"HTTP/1.0 302 Found\n\n").await.0.unwrap());
        let (result, said) = ask(b"HTTP/1.1 503 Busy\r\n\r\n{\"db\":\"down\"}").await;
        assert!(!result.unwrap() && said.ends_with("{\"db\":\"down\"}"), "{said}");
        assert!(ask(b"SSH-2.0-x\r\n").await.0.unwrap_err().to_string().contains("is no HTTP"));
        assert!(ask(b"").await.0.is_err());
    }

    #[tokio::test]
    async fn who_does_not_listen_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target { addresses: vec![listener.local_addr().unwrap()] };
        let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
        tcp(&own, &target).await.unwrap();
        drop(listener);
        let error = tcp(&own, &target).await.unwrap_err().to_string();
        assert!(error.starts_with("connect to 127.0.0.1:") && error.ends_with("connection refused"), "{error}");
    }
}
