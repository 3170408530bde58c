//! A large blob that comes in several parts at once.
//!
//! One connection is as fast as the way it takes; several share more of it. Each part is asked for by its range
//! (RFC 9110 section 14.2) and read in order; what comes early waits in memory, so parts are short. A server has to prove
//! first that it knows ranges. Whatever goes wrong afterwards ends all parts: the blob goes on as one stream.

use std::collections::VecDeque;

use bytes::Bytes;
use reqwest::header::CONTENT_RANGE;
use reqwest::{RequestBuilder, Response, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

/// The length of a part, in bytes.
pub(super) const PART: u64 = 4 << 20;

/// A blob of which less is wanted comes as one stream.
pub(super) const LARGE: u64 = 4 * PART;

/// Parts that are on their way at once: with the layers that come together, 36 MiB at most wait in memory.
const AT_ONCE: usize = 3;

/// First and last byte.
pub(super) type Range = (u64, u64);

/// Whether an answer is that part of a blob of that size, by its own words.
pub(super) fn is_part(answer: &Response, (first, last): Range, size: u64) -> bool {
    let said = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let wanted = |total: &str| format!("bytes {first}-{last}/{total}");
    let fits = said.is_some_and(|said| said == wanted(&size.to_string()) || said == wanted("*"));
    answer.status() == StatusCode::PARTIAL_CONTENT && fits
}

/// The parts that are on their way, in order.
#[derive(Debug, Default)]
pub(super) struct Segments {
    coming: VecDeque<Part>,
    /// The first byte of the first part.
    begin: u64,
    /// The first byte that nobody has asked for.
    next: u64,
}

#[derive(Debug)]
struct Part {
    /// The first byte behind it.
    end: u64,
    pieces: UnboundedReceiver<Bytes>,
    task: JoinHandle<()>,
}

impl Drop for Part {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Segments {
    /// Parts from that byte on. Nothing is asked yet.
    pub(super) fn from(next: u64) -> Self {
        Self { begin: next, next, ..Self::default() }
    }

    /// Where they began.
    pub(super) fn begin(&self) -> u64 {
        self.begin
    }

    /// Asks for the parts that may be on their way, of a blob of that size.
    pub(super) fn ask(&mut self, runtime: &Handle, size: u64, request: impl Fn(Range) -> RequestBuilder) {
        while self.coming.len() < AT_ONCE && self.next < size {
            let range = (self.next, size.min(self.next + PART) - 1);
            let (sender, pieces) = mpsc::unbounded_channel();
            let task = runtime.spawn(bring(request(range), range, size, sender));
            self.coming.push_back(Part { end: range.1 + 1, pieces, task });
            self.next = range.1 + 1;
        }
    }

    /// The next bytes of the part that is due; nothing when it has ended, well or not.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        self.coming.front_mut()?.pieces.recv().await
    }

    /// Turns to the next part, if the one that was read ended where it should: at that byte.
    pub(super) fn turn(&mut self, at: u64) -> bool {
        self.coming.pop_front().is_some_and(|part| part.end == at)
    }
}

/// Passes one part on, no more of it than was asked for. What goes wrong shows in that it ends too early.
async fn bring(request: RequestBuilder, range: Range, size: u64, pieces: UnboundedSender<Bytes>) {
    let Ok(mut answer) = request.send().await else { return };
    if !is_part(&answer, range, size) {
        return;
    }
    let mut left = usize::try_from(range.1 - range.0 + 1).unwrap_or(usize::MAX);
    while left > 0 {
        let Ok(Some(piece)) = answer.chunk().await else { return };
        let piece = piece.slice(..left.min(piece.len()));
        left -= piece.len();
        if pieces.send(piece).is_err() {
            return;
        }
    }
}
