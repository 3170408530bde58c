//! One HTTP/1.1 connection.

use std::io;
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
use crate::{Host, error, names};

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
        either!(self, stream => Pin::new(stream).poll_write(cx, bytes))
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
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }
}

impl Transport {
    pub(crate) async fn connect(host: &Host) -> Result<Self> {
        match host {
            Host::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
            Host::Tcp { name, port } => {
                let address = names::resolve(name)?;
                TcpStream::connect((address, *port)).await.and_then(|stream| {
                    stream.set_nodelay(true)?;
                    Ok(Self::Tcp(stream))
                })
            }
        }
        .map_err(|cause| error::unreachable(host, cause))
    }
}

/// The sending half; a task drives the connection until both sides are done.
#[derive(Debug)]
pub(crate) struct Connection(SendRequest<Payload>);

impl Connection {
    pub(crate) async fn open(host: &Host) -> Result<Self> {
        let transport = Transport::connect(host).await?;
        let (sender, driver) = http1::handshake(TokioIo::new(transport)).await.map_err(error::broken)?;
        // Its failure reaches whoever waits for an answer on this connection.
        tokio::spawn(driver.with_upgrades());
        Ok(Self(sender))
    }

    /// Waits until another request can be sent; `false` if the engine closed the connection.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.0.ready().await.is_ok()
    }

    pub(crate) async fn send(&mut self, request: Request<Payload>) -> Result<Response<Incoming>> {
        self.0.ready().await.map_err(error::broken)?;
        self.0.send_request(request).await.map_err(error::broken)
    }
}
