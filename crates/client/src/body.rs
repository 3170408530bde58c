//! Bodies of requests.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

/// How many blocks may wait between the reader of a file and the connection.
const QUEUED_BLOCKS: usize = 8;
/// Bytes per block of an upload.
const BLOCK: usize = 128 * 1024;

/// Bytes on their way up, read from a file, a pipe or standard input by a thread of their own.
#[derive(Debug)]
pub struct Upload(mpsc::Receiver<io::Result<Bytes>>);

impl Upload {
    /// Starts to read; the thread ends at the end of the input or when the request is over.
    #[must_use]
    pub fn from_reader(mut reader: impl io::Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUED_BLOCKS);
        std::thread::spawn(move || {
            loop {
                let mut block = vec![0; BLOCK];
                let read = match reader.read(&mut block) {
                    Ok(0) => return,
                    Ok(length) => {
                        block.truncate(length);
                        Ok(block.into())
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let last = read.is_err();
                if sender.blocking_send(read).is_err() || last {
                    return;
                }
            }
        });
        Self(receiver)
    }
}

/// What a request carries.
#[derive(Debug)]
pub(crate) enum Payload {
    Nothing,
    Json(Bytes),
    Stream(Upload),
}

impl Payload {
    /// The same payload for another attempt, if it can be sent twice.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Nothing => Some(Self::Nothing),
            Self::Json(bytes) => Some(Self::Json(bytes.clone())),
            Self::Stream(_) => None,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut *self {
            Self::Nothing => Poll::Ready(None),
            Self::Json(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Json(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Stream(upload) => upload.0.poll_recv(context).map(|block| block.map(|read| read.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Json(bytes) => bytes.is_empty(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Json(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}
