//! Bodies of answers that arrive in pieces.

use bytes::{Buf, Bytes, BytesMut};
use dhow_errdefs::{Error, Result};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use crate::error;

/// Raw bytes as they come.
#[derive(Debug)]
pub struct Bytestream {
    body: Incoming,
    content_type: String,
}

impl Bytestream {
    pub(crate) fn new(body: Incoming, content_type: String) -> Self {
        Self { body, content_type }
    }

    /// The media type the engine named; empty from engines before 1.42.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.body.frame().await {
            if let Ok(data) = frame.map_err(|_| error::cut())?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}

/// JSON documents one after the other: progress of a load, events.
#[derive(Debug)]
pub struct Messages {
    bytes: Bytestream,
    buffer: BytesMut,
}

impl Messages {
    pub(crate) fn new(bytes: Bytestream) -> Self {
        Self { bytes, buffer: BytesMut::new() }
    }

    /// The next document; `None` at the end.
    ///
    /// # Errors
    /// The connection broke, or something else than JSON came.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        loop {
            if let Some(document) = take_document(&mut self.buffer)? {
                return Ok(Some(document));
            }
            match self.bytes.next().await? {
                Some(piece) => self.buffer.extend_from_slice(&piece),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(Error::data_loss("the daemon's answer ended in the middle of a message")),
            }
        }
    }
}

/// Takes the first complete document off the buffer; `None` if more has to come.
fn take_document<T: DeserializeOwned>(buffer: &mut BytesMut) -> Result<Option<T>> {
    let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    buffer.advance(blank);
    let mut documents = serde_json::Deserializer::from_slice(buffer).into_iter::<T>();
    let document = match documents.next() {
        None => return Ok(None),
        Some(Err(error)) if error.is_eof() => return Ok(None),
        Some(Err(error)) => return Err(Error::data_loss("read a message of the daemon").with_cause(error)),
        Some(Ok(document)) => document,
    };
    let taken = documents.byte_offset();
    buffer.advance(taken);
    Ok(Some(document))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_may_arrive_in_any_pieces() {
        let all = b"{\"a\":1}\r\n{\"a\":2}{\"a\":3}\n";
        for cut in 0..all.len() {
            let (mut buffer, mut seen) = (BytesMut::new(), Vec::new());
            for piece in [&all[..cut], &all[cut..]] {
                buffer.extend_from_slice(piece);
                while let Some(value) = take_document::<serde_json::Value>(&mut buffer).unwrap() {
                    seen.push(value["a"].as_i64().unwrap());
                }
            }
            assert_eq!(seen, [1, 2, 3], "cut at {cut}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn other_things_than_json_are_an_error() {
        let mut buffer = BytesMut::from(&b"<html>"[..]);
        assert!(take_document::<serde_json::Value>(&mut buffer).is_err());
    }
}
