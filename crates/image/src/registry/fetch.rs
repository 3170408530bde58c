//! A blob on its way here.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use dhow_errdefs::{Class, Error, Result};
use dhow_oci::Digest;
use reqwest::header::RANGE;
use reqwest::{Response, StatusCode};

use super::failure::{self, Wanted};
use super::session::Repository;
use super::wait::Backoff;

/// How long the next bytes may take.
const STALL: Duration = Duration::from_secs(60);

/// So many bytes must come in each period of [`STALL`]: a drip would hold a pull for ever.
const FLOOR: u64 = 64 << 10;

/// Reads a blob from a registry, from where it was cut as often as it must. What comes is not verified: whoever reads it
/// compares the digest.
pub(crate) struct Fetch<'a> {
    repository: &'a Repository<'a>,
    digest: Digest,
    size: u64,
    at: u64,
    answer: Option<Response>,
    piece: Bytes,
    backoff: Backoff,
    pace: Pace,
    cancelled: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Fetch<'a> {
    /// The blob of a descriptor. Nothing is asked before the first read.
    pub(crate) fn new(
        repository: &'a Repository<'a>,
        (digest, size): (Digest, u64),
        cancelled: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        Self {
            repository,
            digest,
            size,
            at: 0,
            answer: None,
            piece: Bytes::new(),
            backoff: Backoff::default(),
            pace: Pace::default(),
            cancelled,
        }
    }

    /// Leaves out what is here already. Only before the first read.
    pub(crate) fn start_at(&mut self, at: u64) {
        self.at = at.min(self.size);
    }

    fn url(&self) -> String {
        self.repository.url(&format!("blobs/{}", self.digest))
    }

    /// The next bytes; empty at the end.
    fn next(&mut self) -> Result<()> {
        while self.piece.is_empty() && self.at < self.size {
            if (self.cancelled)() {
                return Err(Error::cancelled("the pull was cancelled"));
            }
            self.advance()?;
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        let mut answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.open()?,
        };
        let begin = Instant::now();
        match self.repository.wait(STALL, answer.chunk()) {
            Some(Ok(Some(piece))) => {
                self.pace.came(piece.len() as u64, begin.elapsed(), &self.digest)?;
                self.take(piece);
                self.answer = Some(answer);
                Ok(())
            }
            Some(Ok(None)) => self.cut(Error::data_loss(format!("{} ended too early", self.url()))),
            Some(Err(error)) => self.cut(failure::of_transport("Get", &self.url(), error)),
            None => self.cut(Error::unavailable(format!("{}: no bytes for {} s", self.url(), STALL.as_secs()))),
        }
    }

    /// No more than was promised, whatever comes.
    fn take(&mut self, piece: Bytes) {
        let wanted = usize::try_from(self.size - self.at).unwrap_or(usize::MAX).min(piece.len());
        self.piece = piece.slice(..wanted);
        self.at += wanted as u64;
    }

    /// A transfer was cut: the next one goes on from here, after a while. Not for ever.
    fn cut(&mut self, error: Error) -> Result<()> {
        match self.backoff.next(None) {
            Some(wait) => {
                std::thread::sleep(wait);
                Ok(())
            }
            None => Err(error),
        }
    }

    fn open(&mut self) -> Result<Response> {
        let (url, at) = (self.url(), self.at);
        let mut answer = self.repository.send("Get", &url, Wanted::Blob(self.repository.name()), |client| {
            let request = client.get(&url);
            if at == 0 { request } else { request.header(RANGE, format!("bytes={at}-")) }
        })?;
        if at > 0 && answer.status() != StatusCode::PARTIAL_CONTENT {
            self.skip(&mut answer)?;
        }
        Ok(answer)
    }

    /// A server that knows no ranges sends everything again.
    fn skip(&mut self, answer: &mut Response) -> Result<()> {
        let mut left = self.at;
        while left > 0 {
            let begin = Instant::now();
            let piece = self.repository.wait(STALL, answer.chunk());
            let Some(Ok(Some(mut piece))) = piece else {
                return Err(Error::unavailable(format!("{} was cut again", self.url())));
            };
            self.pace.came(piece.len() as u64, begin.elapsed(), &self.digest)?;
            let known = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            piece.advance(known);
            left -= known as u64;
            if left == 0 {
                self.take(piece);
            }
        }
        Ok(())
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

impl Read for Fetch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.next().map_err(|error| {
                let kind = match error.class() {
                    Class::Cancelled => io::ErrorKind::ConnectionAborted,
                    _ => io::ErrorKind::Other,
                };
                io::Error::new(kind, error)
            })?;
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
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
