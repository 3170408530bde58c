//! Bodies of answers: whole, later, or in pieces.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use dhow_errdefs::Error;
use hyper::body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// Pieces that may wait for a slow client before their maker is held up.
const PIECES_IN_FLIGHT: usize = 4;
/// Bytes that are gathered into one piece.
const PIECE: usize = 64 * 1024;

/// The body of an answer.
pub(crate) enum Body {
    /// All of it, once.
    Full(Option<Bytes>),
    /// All of it, when it is known; the head goes out before.
    Later(Pin<Box<dyn Future<Output = Bytes> + Send>>),
    /// Piece by piece. An error cuts the connection, so that the client cannot take a part for the whole.
    Pieces(mpsc::Receiver<Result<Bytes, Error>>),
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

    /// The bytes of a body that is there.
    #[cfg(test)]
    pub(crate) fn into_full(self) -> Option<Bytes> {
        match self {
            Self::Full(bytes) => Some(bytes.unwrap_or_default()),
            Self::Later(_) | Self::Pieces(_) => None,
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
            Self::Later(_) | Self::Pieces(_) => SizeHint::new(),
        }
    }
}

/// Lets blocking code write a body. Writing waits while the client is slow and fails when it has gone.
pub(crate) struct ChunkWriter {
    pieces: mpsc::Sender<Result<Bytes, Error>>,
    gathered: Vec<u8>,
}

impl ChunkWriter {
    pub(crate) fn new(pieces: mpsc::Sender<Result<Bytes, Error>>) -> Self {
        Self { pieces, gathered: Vec::with_capacity(PIECE) }
    }

    /// Sends what is gathered and ends the body, well or with a failure.
    pub(crate) fn finish(mut self, outcome: Result<(), Error>) {
        // A client that has gone is nobody's fault.
        match outcome {
            Ok(()) => drop(io::Write::flush(&mut self)),
            Err(error) => drop(self.pieces.blocking_send(Err(error))),
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
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone");
        self.pieces.blocking_send(Ok(piece.into())).map_err(gone)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn what_is_written_arrives_in_order() {
        let (pieces, body) = Body::pieces();
        let writer = std::thread::spawn(move || {
            let mut writer = ChunkWriter::new(pieces);
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
        std::thread::spawn(move || ChunkWriter::new(pieces).finish(Err(Error::data_loss("bad"))));
        assert!(body.collect().await.is_err());
    }

    #[test]
    fn writing_fails_when_nobody_reads() {
        let (pieces, body) = Body::pieces();
        drop(body);
        let mut writer = ChunkWriter::new(pieces);
        assert!(writer.write_all(&vec![0; 2 * PIECE]).is_err());
    }

    #[tokio::test]
    async fn a_later_body_comes_once() {
        let body = Body::later(async { Bytes::from_static(b"x") });
        assert_eq!(body.collect().await.expect("no failure").to_bytes(), "x");
    }
}
