//! One HTTP/1.1 connection.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use dhow_errdefs::Result;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::body::Payload;
use crate::helper::{Helper, Trouble};
use crate::{Host, Tls, error, host};

/// A connected socket of either kind.
#[derive(Debug)]
pub(crate) enum Transport {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// Forwards a call to whichever socket it is.
macro_rules! either {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport.get_mut() {
            Transport::Unix($stream) => $call,
            Transport::Tcp($stream) => $call,
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        unheard(either!(self, stream => Pin::new(stream).poll_write(cx, bytes)), bytes.len())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        unheard(either!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices)), length)
    }
}

/// An engine that has answered already may have closed its ear, and its answer says why. So what cannot be written counts
/// as written: it is the reading side that tells whether there is an answer or only a broken connection.
fn unheard(written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
    written.map(|written| match written {
        Err(error) if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => Ok(length),
        other => other,
    })
}

impl Transport {
    /// Connects; with TCP, through TLS if there is some.
    pub(crate) async fn connect(host: &Host, tls: Option<&Tls>) -> Result<(Self, Helper)> {
        match host {
            Host::Unix(path) => UnixStream::connect(path).await.map(|stream| (Self::Unix(stream), Helper::None)),
            Host::Tcp { name, port } => Self::remote(name, host::port(*port, tls.is_some()), tls).await,
            Host::Ssh(ssh) => ssh.connect().and_then(|(stream, program)| {
                stream.set_nonblocking(true)?;
                Ok((Self::Unix(UnixStream::from_std(stream)?), Helper::Program(program)))
            }),
        }
        .map_err(|cause| error::unreachable(host, cause))
    }

    async fn remote(name: &str, port: u16, tls: Option<&Tls>) -> io::Result<(Self, Helper)> {
        let stream = Self::any_of(&dhow_names::resolve(name).map_err(io::Error::other)?, port).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = tls else { return Ok((Self::Tcp(stream), Helper::None)) };
        let trouble = Trouble::default();
        let stream = tls.connect(stream, name, trouble.clone()).await?;
        Ok((Self::Unix(stream), Helper::Relay(trouble)))
    }

    /// The first address that lets us in.
    async fn any_of(addresses: &[IpAddr], port: u16) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpStream::connect((*address, port)).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// The sending half; a task drives the connection until both sides are done.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Payload>,
    helper: Helper,
}

impl Connection {
    pub(crate) async fn open(host: &Host, tls: Option<&Tls>) -> Result<Self> {
        let (transport, helper) = Transport::connect(host, tls).await?;
        let (sender, driver) = http1::handshake(TokioIo::new(transport)).await.map_err(error::broken)?;
        // Its failure reaches whoever waits for an answer on this connection.
        tokio::spawn(driver.with_upgrades());
        Ok(Self { sender, helper })
    }

    /// Waits until another request can be sent; `false` if the engine closed the connection.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    pub(crate) async fn send(&mut self, request: Request<Payload>) -> Result<Response<Incoming>> {
        let sent = match self.sender.ready().await {
            Ok(()) => self.sender.send_request(request).await,
            Err(broken) => Err(broken),
        };
        sent.map_err(|broken| self.helper.explain(error::broken(broken)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use crate::{Client, Upload};

    #[test]
    fn an_engine_that_refuses_a_long_upload_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let engine = std::thread::spawn(move || {
            let (mut ping, _) = listener.accept().unwrap();
            ping.read_exact(&mut [0; 16]).unwrap();
            ping.write_all(b"HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            drop(ping);
            let (mut load, _) = listener.accept().unwrap();
            load.read_exact(&mut [0; 16]).unwrap();
            load.write_all(b"HTTP/1.1 400 X\r\nContent-Length: 16\r\n\r\n{\"message\":\"no\"}").unwrap();
        });
        let client = Client::new(format!("unix://{}", path.display()).parse().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endless = Upload::from_reader(std::io::repeat(7));
        let refused = runtime.block_on(client.image_load(true, "", endless)).err().unwrap();
        assert_eq!(refused.to_string(), "Error response from daemon: no");
        engine.join().unwrap();
    }
}
