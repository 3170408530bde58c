//! Docker's `json-file`: one JSON object per line, byte for byte what dockerd writes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Kind, Parsed, Record, go_json};
use crate::{Stream, Timestamp};

pub(super) fn encode(out: &mut Vec<u8>, kind: Kind, time: Timestamp, line: &[u8], attributes: &[u8]) {
    out.extend_from_slice(b"{\"log\":\"");
    go_json::escape(out, line);
    out.extend_from_slice(match kind {
        Kind::Output(Stream::Stdout) => b"\",\"stream\":\"stdout\"",
        Kind::Output(Stream::Stderr) | Kind::Note => b"\",\"stream\":\"stderr\"",
    });
    out.extend_from_slice(attributes);
    out.extend_from_slice(b",\"time\":\"");
    out.extend_from_slice(time.format(&mut [0; Timestamp::MAX_LEN]).as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// `,"attrs":{…}`, with the names in order as Go prints maps.
pub(super) fn attributes(attributes: &BTreeMap<String, String>) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, (name, value)) in attributes.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"attrs\":{\"" } else { b",\"" });
        go_json::escape(&mut out, name.as_bytes());
        out.extend_from_slice(b"\":\"");
        go_json::escape(&mut out, value.as_bytes());
        out.push(b'"');
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    out
}

/// Attributes (`attrs`) and what else there may be are ignored: the engine knows them.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    stream: Stream,
    time: Timestamp,
}

pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    // No entry has a zero byte. Where a power cut or a bad block has left some, the next entry can begin behind them.
    if bytes[0] == 0 {
        return Parsed::Damaged(bytes.iter().take_while(|byte| **byte == 0).count());
    }
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        // No line is that long: the newline of a damaged one can be missing for good.
        return if bytes.len() > super::MAX_RECORD {
            Parsed::Damaged(next_candidate(bytes))
        } else {
            Parsed::Incomplete
        };
    };
    let Ok(Line { log, stream, time }) = serde_json::from_slice(&bytes[..end]) else {
        return Parsed::Damaged(next_candidate(bytes));
    };
    let line = match log {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    Parsed::Record(end + 1, Record { kind: Kind::Output(stream), time, line })
}

/// Behind the newline, or at the zeros before it.
pub(super) fn next_candidate(bytes: &[u8]) -> usize {
    let found = memchr::memchr2(b'\n', 0, &bytes[1..]).map(|at| at + 1);
    found.map_or(bytes.len(), |at| if bytes[at] == 0 { at } else { at + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stand_between_stream_and_time_as_dockers() {
        let attributes = attributes(&[("b".into(), "2".into()), ("a".into(), "<1>".into())].into());
        let mut out = Vec::new();
        encode(&mut out, Kind::Output(Stream::Stdout), Timestamp(0), b"x\n", &attributes);
        let wanted =
            r#"{"log":"x\n","stream":"stdout","attrs":{"a":"\u003c1\u003e","b":"2"},"time":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), wanted);
    }

    #[test]
    fn zeros_hide_nothing_behind_them() {
        let mut entry = Vec::new();
        encode(&mut entry, Kind::Output(Stream::Stdout), Timestamp(0), b"x\n", b"");
        for zeros in [1, 40, 5_000] {
            let bytes = [&vec![0; zeros][..], &entry].concat();
            assert_eq!(parse(&bytes), Parsed::Damaged(zeros));
            let half = [&entry[..20], &vec![0; zeros][..], &entry].concat();
            assert_eq!(parse(&half), Parsed::Damaged(20));
        }
    }
}
