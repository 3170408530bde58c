//! Docker's `json-file`: one JSON object per line, byte for byte what dockerd writes.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Kind, Parsed, Record, go_json};
use crate::{Stream, Timestamp};

pub(super) fn encode(out: &mut Vec<u8>, kind: Kind, time: Timestamp, line: &[u8]) {
    out.extend_from_slice(b"{\"log\":\"");
    go_json::escape(out, line);
    out.extend_from_slice(match kind {
        Kind::Output(Stream::Stdout) => b"\",\"stream\":\"stdout\",\"time\":\"",
        Kind::Output(Stream::Stderr) | Kind::Note => b"\",\"stream\":\"stderr\",\"time\":\"",
    });
    out.extend_from_slice(time.format(&mut [0; Timestamp::MAX_LEN]).as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// Attributes (`attrs`) and what else there may be are ignored.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    stream: Stream,
    time: Timestamp,
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        // No line is that long: the newline of a damaged one can be missing for good.
        return if bytes.len() > super::MAX_RECORD { Parsed::Damaged(bytes.len()) } else { Parsed::Incomplete };
    };
    let Ok(Line { log, stream, time }) = serde_json::from_slice(&bytes[..end]) else { return Parsed::Damaged(end + 1) };
    let line = match log {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Parsed::Record(end + 1, Record { kind: Kind::Output(stream), time, line })
}

pub(super) fn next_candidate(bytes: &[u8]) -> usize {
    memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1)
}
