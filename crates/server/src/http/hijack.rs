//! Connections that stop being HTTP: the client's own socket goes to the engine.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dhow_engine::ClientStream;
use dhow_errdefs::{Error, Result, ResultExt};
use hyper::StatusCode;
use hyper::ext::ReasonPhrase;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::{Body, Prefixed, Response, respond};

/// How long a client is waited for that does not read its answer.
const ANSWER: Duration = Duration::from_secs(2);

/// Bytes of a stream that are moved at once.
const PIECE: usize = 32 * 1024;

type Taken = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// A request that was checked and now wants the connection for itself.
pub(crate) struct Hijack {
    content_type: &'static str,
    take: Box<dyn FnOnce(ClientStream) -> Taken + Send>,
}

impl Hijack {
    /// `take` gets the socket once the client has been told that it is its own.
    pub(crate) fn new<T: Future<Output = Result<()>> + Send + 'static>(
        content_type: &'static str,
        take: impl FnOnce(ClientStream) -> T + Send + 'static,
    ) -> Self {
        Self { content_type, take: Box::new(move |stream| Box::pin(take(stream))) }
    }

    /// Answers as the client can take it: by an upgrade where it asked for one, in the body of an ordinary answer where it
    /// goes on with a connection that has served other requests (as dockerode does).
    pub(crate) fn answer(self, upgrade: Option<OnUpgrade>) -> Result<Response> {
        match upgrade {
            Some(upgrade) => Ok(self.upgrade(upgrade)),
            None => self.in_the_body(),
        }
    }

    /// The engine gets a socket of ours, and what it sends there becomes the body. There is no input.
    fn in_the_body(self) -> Result<Response> {
        let step = || "make a connection for a stream";
        let (near, far) = UnixStream::pair().context(step)?;
        rustix::net::shutdown(&near, rustix::net::Shutdown::Write).map_err(io::Error::from).context(step)?;
        let fd = OwnedFd::from(far.into_std().context(step)?);
        let (pieces, body) = Body::pieces();
        tokio::spawn(carry(near, pieces));
        tokio::spawn(async move { report((self.take)(ClientStream { fd, leftover: Vec::new() }).await) });
        let mut response = respond::status_only(StatusCode::OK);
        *response.body_mut() = body;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        Ok(response)
    }

    /// Answers 101, after which the socket changes hands.
    fn upgrade(self, upgrade: OnUpgrade) -> Response {
        let content_type = HeaderValue::from_static(self.content_type);
        tokio::spawn(async move {
            let taken = match upgrade.await {
                Ok(upgraded) => self.take_upgraded(upgraded).await,
                Err(cause) => Err(Error::cancelled("upgrade a connection").with_cause(cause)),
            };
            report(taken);
        });
        let mut response = respond::status_only(StatusCode::SWITCHING_PROTOCOLS);
        *response.body_mut() = Body::full(Bytes::new());
        response.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
        response
    }

    /// Answers 200 by hand on a socket that HTTP never sees again, as dockerd does where no upgrade was asked for.
    pub(super) async fn answer_raw(self, mut stream: UnixStream, leftover: Bytes) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {}\r\n\r\n", self.content_type);
        // Who has gone without waiting for the answer may have sent input before, which is wanted all the same.
        let _ = stream.write_all(head.as_bytes()).await;
        report(self.take_socket(stream, leftover.into()).await);
    }

    async fn take_upgraded(self, upgraded: Upgraded) -> Result<()> {
        let parts = upgraded
            .downcast::<TokioIo<Prefixed>>()
            .map_err(|_| Error::internal("a connection is not one that this server accepted"))?;
        let (unread, stream) = parts.io.into_inner().into_parts();
        // What hyper has read came before what it had not read yet.
        let leftover = [&parts.read_buf[..], &unread[..]].concat();
        self.take_socket(stream, leftover).await
    }

    async fn take_socket(self, stream: UnixStream, leftover: Vec<u8>) -> Result<()> {
        answer_read(&stream).await;
        let stream = stream.into_std().context(|| "take a client's socket")?;
        (self.take)(ClientStream { fd: OwnedFd::from(stream), leftover }).await
    }
}

/// Moves a stream into a body until it ends or the client has gone. A slow client holds the stream up.
async fn carry(mut from: UnixStream, into: mpsc::Sender<Result<Bytes>>) {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = tokio::select! {
            read = from.read_buf(&mut piece) => read,
            () = into.closed() => return,
        };
        if !read.is_ok_and(|count| count > 0) || into.send(Ok(piece.freeze())).await.is_err() {
            return;
        }
    }
}

/// Waits until the client has read its answer, as far as it reads at all.
///
/// docker-py, and what is built like it, reads the answer through a buffer and the stream behind it past that buffer. What
/// comes together with the answer is lost to it. Docker's own engine is too slow for that to be seen; we are not.
async fn answer_read(stream: &UnixStream) {
    let all_read = || match dhow_sys::unread::by_peer(stream) {
        Ok(0) | Err(_) => Ok(()),
        Ok(_) => Err(io::ErrorKind::WouldBlock.into()),
    };
    let read = async {
        // Each piece that the client takes makes the socket writable anew.
        while stream.writable().await.is_ok() && stream.try_io(Interest::WRITABLE, all_read).is_err() {}
    };
    // A client that does not read gets its stream later, which is how it wants it.
    let _ = tokio::time::timeout(ANSWER, read).await;
}

/// The client has its answer already, so a failure can only be told to whoever runs the engine.
fn report(taken: Result<()>) {
    if let Err(error) = taken {
        tracing::debug!("hand a connection over: {error}");
    }
}
