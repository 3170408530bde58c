//! A blob on its way here.

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use dhow_errdefs::{Error, Result};
use dhow_oci::Digest;
use reqwest::header::RANGE;
use reqwest::{Response, StatusCode};

use super::failure::{self, Wanted};
use super::segments::{self, LARGE, PART, Segments};
use super::session::Repository;
use super::wait::Backoff;

/// How long the next bytes may take.
const STALL: Duration = Duration::from_secs(60);

/// So many bytes must come in each period of [`STALL`], or between as many cuts as are borne: a drip would hold a pull for
/// ever.
const FLOOR: u64 = 64 << 10;

/// A blob from a registry, piece by piece, from where it was cut as often as it must; a large one in several parts at once where the
/// registry can do that. What comes is not verified: whoever reads it compares the digest.
pub(crate) struct Fetch<'a> {
    repository: &'a Repository<'a>,
    digest: Digest,
    size: u64,
    at: u64,
    answer: Option<Response>,
    /// It may come in parts.
    in_parts: bool,
    /// It did come in parts, or begin to.
    came_in_parts: bool,
    /// What comes behind the answer.
    segments: Option<Segments>,
    piece: Bytes,
    backoff: Backoff,
    /// Where the cuts began that the waits are for.
    cut_from: u64,
    pace: Pace,
}

impl<'a> Fetch<'a> {
    /// The blob of a descriptor, which may come in parts. Nothing is asked before the first piece.
    pub(crate) fn new(repository: &'a Repository<'a>, (digest, size): (Digest, u64), in_parts: bool) -> Self {
        Self {
            repository,
            digest,
            size,
            at: 0,
            answer: None,
            in_parts,
            came_in_parts: false,
            segments: None,
            piece: Bytes::new(),
            backoff: Backoff::default(),
            cut_from: 0,
            pace: Pace::default(),
        }
    }

    /// Leaves out what is here already. Only before the first piece.
    pub(crate) fn start_at(&mut self, at: u64) {
        self.at = at.min(self.size);
        self.cut_from = self.at;
    }

    /// Whether it came in parts: one who lies about ranges may still tell the truth in one stream.
    pub(crate) fn came_in_parts(&self) -> bool {
        self.came_in_parts
    }

    fn url(&self) -> String {
        self.repository.url(&format!("blobs/{}", self.digest))
    }

    /// The next bytes; none at the end.
    pub(crate) fn piece(&mut self) -> Result<Bytes> {
        while self.piece.is_empty() && self.at < self.size {
            self.repository.still_wanted()?;
            self.advance()?;
        }
        Ok(std::mem::take(&mut self.piece))
    }

    fn advance(&mut self) -> Result<()> {
        let mut answer = match self.answer.take() {
            Some(answer) => answer,
            None if self.segments.is_some() => return self.advance_in_parts(),
            None => return self.open(),
        };
        let begin = Instant::now();
        match self.repository.wait(STALL, answer.chunk()) {
            Some(Ok(Some(piece))) => {
                self.pace.came(piece.len() as u64, begin.elapsed(), &self.digest)?;
                self.take(piece);
                // Whatever follows on a first part, it is not what follows in the blob.
                self.answer = (self.at < self.end()).then_some(answer);
                Ok(())
            }
            Some(Ok(None)) => self.cut(Error::data_loss(format!("{} ended too early", self.url()))),
            Some(Err(error)) => self.cut(failure::of_transport("Get", &self.url(), error)),
            None => self.cut(Error::unavailable(format!("{}: no bytes for {} s", self.url(), STALL.as_secs()))),
        }
    }

    /// The next bytes of the parts that are on their way. When one of them fails, the rest comes as one stream.
    fn advance_in_parts(&mut self) -> Result<()> {
        let Some(mut parts) = self.segments.take() else { return Ok(()) };
        let begin = Instant::now();
        if let Some(came) = self.repository.wait(STALL, parts.next()) {
            if let Some(piece) = came {
                self.pace.came(piece.len() as u64, begin.elapsed(), &self.digest)?;
                self.take(piece);
                self.segments = Some(parts);
            } else if parts.turn(self.at) {
                self.ask_for_more(&mut parts);
                self.segments = Some(parts);
            }
        }
        Ok(())
    }

    fn ask_for_more(&self, parts: &mut Segments) {
        let url = self.url();
        parts.ask(self.repository.runtime(), self.size, |(first, last)| {
            let range = format!("bytes={first}-{last}");
            self.repository.entitled(&url, |client| client.get(&url).header(RANGE, &range))
        });
    }

    /// Where the answer that is read has to end.
    fn end(&self) -> u64 {
        self.segments.as_ref().map_or(self.size, Segments::begin)
    }

    /// No more than was promised, whatever comes.
    fn take(&mut self, piece: Bytes) {
        let end = if self.at < self.end() { self.end() } else { self.size };
        let wanted = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(piece.len());
        self.piece = piece.slice(..wanted);
        self.at += wanted as u64;
    }

    /// A transfer was cut: the next one goes on from here, after a while. As often as it must where it gains something, and
    /// else not for ever.
    fn cut(&mut self, error: Error) -> Result<()> {
        self.segments = None;
        self.repository.still_wanted()?;
        if self.at - self.cut_from >= FLOOR {
            (self.backoff, self.cut_from) = (Backoff::default(), self.at);
        }
        match self.backoff.next(None) {
            Some(wait) => {
                self.repository.pause(wait);
                Ok(())
            }
            None => Err(error),
        }
    }

    /// Asks for an answer that goes on from here.
    fn open(&mut self) -> Result<()> {
        // Once: who fails in parts is asked for one stream.
        if std::mem::take(&mut self.in_parts)
            && self.size - self.at >= LARGE
            && let Some(answer) = self.open_in_parts()
        {
            self.answer = Some(answer);
            return Ok(());
        }
        let (from, last) = (self.at, self.size.saturating_sub(1));
        let mut answer = self.ask((from > 0).then(|| format!("bytes={from}-")))?;
        if from > 0 && !segments::is_part(&answer, (from, last), self.size) {
            if answer.status() == StatusCode::PARTIAL_CONTENT {
                // Another part than was asked for.
                answer = self.ask(None)?;
            }
            if !self.skip(&mut answer)? {
                return Ok(());
            }
        }
        self.answer = Some(answer);
        Ok(())
    }

    fn ask(&self, range: Option<String>) -> Result<Response> {
        self.repository.still_wanted()?;
        let url = self.url();
        self.repository.send("Get", &url, Wanted::Blob(self.repository.name()), |client| match &range {
            Some(range) => client.get(&url).header(RANGE, range),
            None => client.get(&url),
        })
    }

    /// The first part, with others asked for behind it; the whole where the server does not know ranges.
    fn open_in_parts(&mut self) -> Option<Response> {
        let range = (self.at, self.at + PART - 1);
        let answer = self.ask(Some(format!("bytes={}-{}", range.0, range.1))).ok()?;
        if segments::is_part(&answer, range, self.size) {
            let mut parts = Segments::from(range.1 + 1);
            self.ask_for_more(&mut parts);
            (self.segments, self.came_in_parts) = (Some(parts), true);
            return Some(answer);
        }
        (self.at == 0 && answer.status() == StatusCode::OK).then_some(answer)
    }

    /// A server that knows no ranges sends everything again. Says whether it came so far as before.
    fn skip(&mut self, answer: &mut Response) -> Result<bool> {
        let mut left = self.at;
        while left > 0 {
            let begin = Instant::now();
            let piece = self.repository.wait(STALL, answer.chunk());
            let Some(Ok(Some(mut piece))) = piece else {
                return self.cut(Error::unavailable(format!("{} was cut again", self.url()))).map(|()| false);
            };
            self.pace.came(piece.len() as u64, begin.elapsed(), &self.digest)?;
            let known = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            piece.advance(known);
            left -= known as u64;
            if left == 0 {
                self.take(piece);
            }
        }
        Ok(true)
    }
}

impl Repository<'_> {
    /// A blob that fits into memory, if it is not longer than `limit` bytes. It is not verified.
    pub(super) fn small_blob(&self, digest: &Digest, limit: usize) -> Result<Vec<u8>> {
        let url = self.url(&format!("blobs/{digest}"));
        let answer = self.send("Get", &url, Wanted::Blob(self.name()), |client| client.get(&url))?;
        self.body(answer, limit, &url)
    }
}

/// Watches that a transfer moves, by the time that was spent waiting for it: what this side takes to unpack is not the
/// registry's fault.
#[derive(Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    fn came(&mut self, bytes: u64, after: Duration, digest: &Digest) -> Result<()> {
        self.bytes += bytes;
        self.waited += after;
        if self.waited < STALL {
            return Ok(());
        }
        if self.bytes < FLOOR {
            let text = format!("blob {digest} came with {} bytes in {} s", self.bytes, STALL.as_secs());
            return Err(Error::deadline(text).with_hint("the registry is too slow; try again later"));
        }
        *self = Self::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dhow_errdefs::Class;

    use super::*;

    #[test]
    fn a_drip_ends_and_a_slow_reader_does_not_matter() {
        let digest = Digest::of(b"");
        let mut pace = Pace::default();
        for _ in 0..10_000 {
            pace.came(1 << 10, Duration::from_millis(500), &digest).expect("it moves");
        }
        let mut pace = Pace::default();
        let drip = (0..70).try_for_each(|_| pace.came(1, Duration::from_secs(1), &digest));
        assert_eq!(drip.expect_err("a drip").class(), Class::DeadlineExceeded);
    }
}
