//! Bodies of answers: whole, later, or in pieces.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use dhow_errdefs::Error;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendTimeoutError;

/// Pieces that may wait for a slow client before their maker is held up.
const PIECES_IN_FLIGHT: usize = 4;
/// Bytes that are gathered into one piece.
const PIECE: usize = 64 * 1024;
/// How long a client may send or read nothing of an archive before its thread is given back. Whoever pipes an archive
/// through a program that first thinks has to be done by then.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// The body of an answer.
pub(crate) enum Body {
    /// All of it, once.
    Full(Option<Bytes>),
    /// All of it, when it is known; the head goes out before.
    Later(Pin<Box<dyn Future<Output = Bytes> + Send>>),
    /// Piece by piece. An error cuts the connection, so that the client cannot take a part for the whole.
    Pieces(mpsc::Receiver<Result<Bytes, Error>>),
    /// The same, when the first piece was waited for.
    Begun(Option<Result<Bytes, Error>>, mpsc::Receiver<Result<Bytes, Error>>),
}

impl Body {
    /// A body that is there.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(Some(bytes.into()))
    }

    /// A body that ends the answer when the future does.
    pub(crate) fn later(bytes: impl Future<Output = Bytes> + Send + 'static) -> Self {
        Self::Later(Box::pin(bytes))
    }

    /// A body and the end into which its pieces are put.
    pub(crate) fn pieces() -> (mpsc::Sender<Result<Bytes, Error>>, Self) {
        let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
        (sender, Self::Pieces(receiver))
    }

    /// Waits for the first piece, or for the end of one that has none: an answer that begins then says that so much was
    /// done.
    pub(crate) async fn begun(self) -> Self {
        match self {
            Self::Pieces(mut pieces) => Self::Begun(pieces.recv().await, pieces),
            other => other,
        }
    }

    /// The bytes of a body that is there.
    #[cfg(test)]
    pub(crate) fn into_full(self) -> Option<Bytes> {
        match self {
            Self::Full(bytes) => Some(bytes.unwrap_or_default()),
            Self::Later(_) | Self::Pieces(_) | Self::Begun(..) => None,
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let bytes = match &mut *self {
            Self::Full(bytes) => bytes.take().map(Ok),
            Self::Pieces(pieces) => ready!(pieces.poll_recv(context)),
            Self::Begun(first, pieces) => match first.take() {
                Some(first) => Some(first),
                None => ready!(pieces.poll_recv(context)),
            },
            Self::Later(future) => {
                let bytes = ready!(future.as_mut().poll(context));
                *self = Self::Full(None);
                Some(Ok(bytes))
            }
        };
        Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Later(_) | Self::Pieces(_) | Self::Begun(..) => SizeHint::new(),
        }
    }
}

/// Puts pieces into a body, from a thread that may wait: for a slow client, but not for one that has stopped reading.
pub(crate) struct PieceSender {
    pieces: mpsc::Sender<Result<Bytes, Error>>,
    runtime: Handle,
    patience: Duration,
}

impl PieceSender {
    /// To be made where the runtime is known.
    pub(crate) fn new(pieces: mpsc::Sender<Result<Bytes, Error>>) -> Self {
        Self { pieces, runtime: Handle::current(), patience: PATIENCE }
    }

    /// Sends a piece; fails when the client has gone, or has read nothing for [`PATIENCE`].
    pub(crate) fn send(&self, piece: Bytes) -> io::Result<()> {
        self.runtime.block_on(async {
            self.pieces.send_timeout(Ok(piece), self.patience).await.map_err(|refused| match refused {
                SendTimeoutError::Closed(_) => io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"),
                SendTimeoutError::Timeout(_) => stalled("read", self.patience),
            })
        })
    }

    /// Sends a piece if there is room for it.
    pub(crate) fn offer(&self, piece: Bytes) {
        drop(self.pieces.try_send(Ok(piece)));
    }

    /// The client has gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.pieces.is_closed()
    }

    /// Sends the last piece, or the failure that cuts the body, when there is room; no thread waits for that.
    pub(crate) fn end(self, last: Result<Bytes, Error>) {
        self.runtime.spawn(async move { drop(self.pieces.send(last).await) });
    }
}

/// The failure of a client that has stopped to do something.
pub(super) fn stalled(what: &str, patience: Duration) -> io::Error {
    let text = format!("the client has {what} nothing for {} seconds", patience.as_secs());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Lets blocking code write a body. Writing waits while the client is slow and fails when it has gone or stopped reading.
pub(crate) struct ChunkWriter {
    pieces: PieceSender,
    gathered: Vec<u8>,
}

impl ChunkWriter {
    pub(crate) fn new(pieces: mpsc::Sender<Result<Bytes, Error>>) -> Self {
        Self { pieces: PieceSender::new(pieces), gathered: Vec::with_capacity(PIECE) }
    }

    /// Sends what is gathered and ends the body, well or with a failure. A client that has gone is nobody's fault.
    pub(crate) fn finish(self, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) if self.gathered.is_empty() => {}
            Ok(()) => self.pieces.end(Ok(self.gathered.into())),
            Err(error) => self.pieces.end(Err(error)),
        }
    }
}

impl io::Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..taken]);
        if self.gathered.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE));
        self.pieces.send(piece.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_written_arrives_in_order() {
        let (pieces, body) = Body::pieces();
        let mut writer = ChunkWriter::new(pieces);
        let writer = std::thread::spawn(move || {
            (0_u32..100_000).try_for_each(|number| writer.write_all(&number.to_le_bytes())).expect("there is a reader");
            writer.finish(Ok(()));
        });
        let bytes = body.collect().await.expect("no failure").to_bytes();
        writer.join().expect("ends");
        let want: Vec<u8> = (0_u32..100_000).flat_map(u32::to_le_bytes).collect();
        assert_eq!(bytes, want);
    }

    #[tokio::test]
    async fn a_failure_cuts_the_body() {
        let (pieces, body) = Body::pieces();
        ChunkWriter::new(pieces).finish(Err(Error::data_loss("bad")));
        assert!(body.collect().await.is_err());
    }

    fn write_on_a_thread(pieces: mpsc::Sender<Result<Bytes, Error>>) -> oneshot::Receiver<io::Error> {
        let (sender, failure) = oneshot::channel();
        let mut writer = ChunkWriter::new(pieces);
        writer.pieces.patience = Duration::from_millis(1);
        std::thread::spawn(move || {
            let failed = writer.write_all(&vec![0; 100 * PIECE]).expect_err("nobody reads");
            writer.finish(Err(Error::cancelled("cut")));
            sender.send(failed).expect("it is waited for");
        });
        failure
    }

    #[tokio::test]
    async fn writing_fails_when_the_reader_has_gone() {
        let (pieces, body) = Body::pieces();
        drop(body);
        assert_eq!(write_on_a_thread(pieces).await.expect("it fails").kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn a_reader_that_has_stopped_gives_the_thread_back_and_is_cut() {
        let (pieces, body) = Body::pieces();
        let failed = write_on_a_thread(pieces).await.expect("it fails");
        assert_eq!(failed.to_string(), "the client has read nothing for 0 seconds");
        assert!(body.collect().await.is_err(), "what it reads later is not taken for the whole");
    }

    #[tokio::test]
    async fn a_later_body_comes_once() {
        let body = Body::later(async { Bytes::from_static(b"x") });
        assert_eq!(body.collect().await.expect("no failure").to_bytes(), "x");
    }
}
