//! Request bodies: small JSON as a whole, archives as a stream for blocking readers.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes};
use dhow_errdefs::{Error, Result};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::body::{PATIENCE, stalled};

/// Pieces of an upload that may wait for a slow reader before the client is held up.
const PIECES_IN_FLIGHT: usize = 8;

/// Bytes that are still read of a body nobody wants. Closing earlier would break the pipe under a client that is still
/// writing, which then would not see the answer; a client that goes on beyond this does not look for it. (Go's server
/// takes 256 kB; an archive that a full disk refuses is longer, and reading costs little.)
const UNWANTED: usize = 128 << 20;

/// The body of a request. What nobody has read of it when it is dropped is read in the background, within limits.
pub(crate) struct RequestBody(Option<Incoming>);

impl RequestBody {
    pub(super) const fn new(body: Incoming) -> Self {
        Self(Some(body))
    }

    /// It is known that there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    /// Reads all of it, if it is not longer than `limit`.
    pub(super) async fn whole(&mut self, limit: usize) -> Result<Bytes> {
        let Some(body) = &mut self.0 else { return Ok(Bytes::new()) };
        match Limited::new(body, limit).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(cause) if cause.is::<LengthLimitError>() => {
                Err(Error::invalid(format!("request body too large: more than {limit} bytes")))
            }
            // Cut off, or no chunks where chunks were announced: there is nobody, or somebody who sends nonsense.
            Err(cause) => Err(Error::invalid("read the request's body").with_cause(cause)),
        }
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let body = self.0.as_mut()?;
        loop {
            match body.frame().await? {
                Ok(frame) => match frame.into_data() {
                    Ok(bytes) => return Some(Ok(bytes)),
                    Err(_trailers) => {}
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let unread = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (unread, Handle::try_current()) {
            // It ends with the body, the limit or the connection.
            drop(runtime.spawn(read_away(body)));
        }
    }
}

async fn read_away(body: Incoming) {
    let mut body = Limited::new(body, UNWANTED);
    while let Some(Ok(_)) = body.frame().await {}
}

/// An upload, as a blocking reader. Reading an upload that was cut off is an error, never an early end.
pub(crate) struct Upload {
    pieces: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
}

impl Upload {
    /// Reads a body in the background, a few pieces ahead. Ends when the reader is dropped.
    pub(super) fn start(mut body: RequestBody) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES_IN_FLIGHT);
        tokio::spawn(async move {
            while let Some(piece) = in_time(body.next(), PATIENCE).await {
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Self { pieces, piece: Bytes::new() }
    }
}

/// The next piece, or that the client has stopped sending: a reader that waits for it holds a thread.
async fn in_time(
    next: impl Future<Output = Option<Result<Bytes, hyper::Error>>>,
    patience: Duration,
) -> Option<io::Result<Bytes>> {
    match tokio::time::timeout(patience, next).await {
        Ok(piece) => Some(piece?.map_err(|cause| io::Error::new(io::ErrorKind::UnexpectedEof, cause))),
        Err(_) => Some(Err(stalled("sent", patience))),
    }
}

impl io::Read for Upload {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn pieces_are_joined_and_a_cut_is_an_error() {
        let (sender, pieces) = mpsc::channel(4);
        for piece in [Ok(Bytes::from_static(b"ab")), Ok(Bytes::new()), Ok(Bytes::from_static(b"c"))] {
            sender.try_send(piece).expect("room");
        }
        sender.try_send(Err(io::ErrorKind::UnexpectedEof.into())).expect("room");
        let mut upload = Upload { pieces, piece: Bytes::new() };
        let mut start = [0; 3];
        upload.read_exact(&mut start).expect("three bytes");
        assert_eq!(&start, b"abc");
        assert_eq!(upload.read(&mut start).expect_err("cut").kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_client_that_has_stopped_sending_is_an_error() {
        let short = Duration::from_millis(1);
        let piece = in_time(std::future::pending(), short).await.expect("not the end");
        assert_eq!(piece.expect_err("late").to_string(), "the client has sent nothing for 0 seconds");
        let whole = in_time(std::future::ready(Some(Ok(Bytes::from_static(b"x")))), PATIENCE).await;
        assert_eq!(whole.expect("a piece").expect("in time"), "x");
        assert!(in_time(std::future::ready(None), PATIENCE).await.is_none());
    }
}
