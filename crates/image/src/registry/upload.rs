//! Blobs on their way to a registry (OCI distribution-spec, "Pushing Blobs").

use std::time::Duration;

use bytes::Bytes;
use dhow_errdefs::{Class, Error, Result};
use dhow_oci::Digest;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use reqwest::{Response, StatusCode, Url};

use super::failure::Wanted;
use super::session::{Failed, Repository};
use super::wait::Backoff;

/// How much is sent at once. What was cut is sent again, and several layers are on their way at once, in memory.
const PIECE: usize = 4 << 20;

/// Most that a registry may ask for at once.
const LARGEST_PIECE: usize = 64 << 20;

/// How long a registry may take to forget what was begun.
const TAKING_BACK: Duration = Duration::from_secs(5);

/// What a registry says of a blob that is to come.
pub(crate) enum Offer<'a> {
    /// It was taken over from another repository.
    Mounted,
    /// It has to be sent.
    Wanted(Upload<'a>),
}

/// A blob that is being sent; taken back when dropped before its end.
pub(crate) struct Upload<'a> {
    repository: &'a Repository<'a>,
    location: String,
    /// Bytes that have arrived.
    at: u64,
    piece: usize,
    finished: bool,
}

impl Repository<'_> {
    /// Whether the repository has a blob.
    pub(crate) fn has_blob(&self, digest: &Digest) -> Result<bool> {
        let url = self.url(&format!("blobs/{digest}"));
        match self.send("Head", &url, Wanted::Push, |client| client.head(&url)) {
            Ok(_) => Ok(true),
            Err(error) if error.class() == Class::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Announces a blob, to be taken over from another repository of the registry if it can be.
    pub(crate) fn offer(&self, from: Option<(&Digest, &str)>) -> Result<Offer<'_>> {
        let mut url = address(&self.url("blobs/uploads/"))?;
        if let Some((digest, source)) = from {
            url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", source);
        }
        let url = url.to_string();
        let answer = self.send("Post", &url, Wanted::Push, |client| client.post(&url))?;
        if answer.status() == StatusCode::CREATED {
            return Ok(Offer::Mounted);
        }
        let least = answer.headers().get("OCI-Chunk-Min-Length").and_then(|value| value.to_str().ok()?.parse().ok());
        Ok(Offer::Wanted(Upload {
            repository: self,
            location: location(&answer)?,
            at: 0,
            piece: least.unwrap_or(PIECE).clamp(PIECE, LARGEST_PIECE),
            finished: false,
        }))
    }
}

impl Upload<'_> {
    /// How many bytes every piece but the last is to have.
    pub(crate) fn piece(&self) -> usize {
        self.piece
    }

    /// Sends the next piece, as often as it must.
    pub(crate) fn send(&mut self, piece: &Bytes) -> Result<()> {
        let end = self.at + piece.len() as u64;
        let mut backoff = Backoff::default();
        while self.at < end {
            let rest = usize::try_from(end - self.at).unwrap_or(piece.len());
            let failed = match self.patch(piece.slice(piece.len() - rest..)) {
                Ok(answer) => {
                    self.location = location(&answer)?;
                    self.at = end;
                    return Ok(());
                }
                Err(failed) => failed,
            };
            let wait = backoff.next(failed.asked).filter(|_| failed.passing);
            self.repository.pause(wait.ok_or(failed.error)?);
            self.at = self.arrived(end)?;
        }
        Ok(())
    }

    fn patch(&self, body: Bytes) -> Result<Response, Failed> {
        let range = format!("{}-{}", self.at, self.at + body.len() as u64 - 1);
        self.repository.attempt("Patch", &self.location, Wanted::Push, &|client| {
            let request = client.patch(&self.location).header(CONTENT_TYPE, "application/octet-stream");
            request.header(CONTENT_RANGE, &range).body(body.clone())
        })
    }

    /// How much the registry has, after a piece was cut on its way.
    fn arrived(&mut self, end: u64) -> Result<u64> {
        let url = self.location.clone();
        let answer = self.repository.send("Get", &url, Wanted::Push, |client| client.get(&url))?;
        let range = answer.headers().get(RANGE).and_then(|range| range.to_str().ok()).and_then(after);
        self.location = location(&answer).unwrap_or(url);
        match range {
            Some(at) if (self.at..=end).contains(&at) => Ok(at),
            _ => Err(Error::unavailable(format!("{} has lost its place", self.location))),
        }
    }

    /// Sends the last piece and names the whole, as often as it must.
    pub(crate) fn finish(mut self, last: &Bytes, digest: &Digest) -> Result<()> {
        let (begin, end) = (self.at, self.at + last.len() as u64);
        let mut backoff = Backoff::default();
        loop {
            let sent = usize::try_from(self.at - begin).unwrap_or(last.len());
            let Err(failed) = self.put(last.slice(sent..), digest) else {
                self.finished = true;
                return Ok(());
            };
            // It may have arrived, and only the answer was lost.
            if failed.passing && self.repository.has_blob(digest).unwrap_or(false) {
                self.finished = true;
                return Ok(());
            }
            let wait = backoff.next(failed.asked).filter(|_| failed.passing);
            self.repository.pause(wait.ok_or(failed.error)?);
            self.at = self.arrived(end)?;
        }
    }

    fn put(&self, body: Bytes, digest: &Digest) -> Result<Response, Failed> {
        let mut url = address(&self.location).map_err(Failed::for_good)?;
        url.query_pairs_mut().append_pair("digest", &digest.to_string());
        let url = url.to_string();
        self.repository.attempt("Put", &url, Wanted::Push, &|client| {
            client.put(&url).header(CONTENT_TYPE, "application/octet-stream").body(body.clone())
        })
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // A registry forgets what is never finished; this only spares it the wait, and nobody waits for that.
            let request = self.repository.entitled(&self.location, |client| client.delete(&self.location));
            let taken_back = async move { request.timeout(TAKING_BACK).send().await };
            self.repository.runtime().spawn(taken_back);
        }
    }
}

fn address(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|cause| Error::invalid(format!("invalid address {text:?}")).with_cause(cause))
}

/// Where an upload goes on; registries may say it relative to what was asked.
fn location(answer: &Response) -> Result<String> {
    let said = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = said.and_then(|said| answer.url().join(said).ok());
    location.map(String::from).ok_or_else(|| {
        Error::internal(format!("{} does not say where the upload goes on", answer.url()))
            .with_hint("this is no registry that follows the OCI distribution specification")
    })
}

/// Bytes in a `Range` that begins with the first; `0-0` stands for none.
fn after(range: &str) -> Option<u64> {
    let range = range.strip_prefix("bytes=").unwrap_or(range);
    match range.split_once('-')? {
        ("0", "0") => Some(0),
        ("0", last) => last.parse::<u64>().ok()?.checked_add(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_say_how_much_has_arrived() {
        for (range, arrived) in [("0-0", Some(0)), ("0-9", Some(10)), ("bytes=0-9", Some(10)), ("5-9", None)] {
            assert_eq!(after(range), arrived, "{range}");
        }
        assert_eq!(after("nonsense"), None);
    }
}
