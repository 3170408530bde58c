//! Looking at a connection's first request before HTTP does.
//!
//! A client that attaches without asking for an upgrade gets `200 OK` and then raw bytes from dockerd. No HTTP library
//! can answer so, therefore such a request is served by hand if it is the first of its connection (as it is for every
//! client that means to keep the connection for itself). Everything else goes to hyper, byte for byte, but for JSON in the
//! query of the first request that nobody has escaped (`curl -g '…/json?filters={"status":["running"]}'`): hyper would
//! refuse it without a word, and dockerd takes it.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

/// Most bytes of a request's head and body that are read by hand.
const LIMIT: usize = 64 * 1024;

/// What a connection begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    /// A request for hyper, or the beginning of one.
    Ordinary(Bytes),
    /// A whole request that wants the raw connection without an upgrade.
    Raw(RawRequest),
}

/// A request read by hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RawRequest {
    /// Path and query.
    pub(super) target: String,
    /// What the body is said to be.
    pub(super) content_type: Option<Bytes>,
    /// The body, as long as announced.
    pub(super) body: Bytes,
    /// What came after it: the client's input.
    pub(super) leftover: Bytes,
    /// All of it, for hyper to look at if it turns out to be no hijack.
    pub(super) all: Bytes,
}

/// Reads as much as is needed to know.
pub(super) async fn first(stream: &mut UnixStream) -> io::Result<First> {
    let mut read = BytesMut::with_capacity(4096);
    loop {
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(First::Ordinary(with_query_escaped(read)));
        }
        match judge(&read) {
            Judgement::Raw { target, content_type, body } => {
                let all = read.freeze();
                let (leftover, body) = (all.slice(body.end..), all.slice(body));
                return Ok(First::Raw(RawRequest { target, content_type, body, leftover, all }));
            }
            Judgement::Incomplete if read.len() < LIMIT => {}
            Judgement::Ordinary if has_half_a_query(&read) && read.len() < LIMIT => {}
            Judgement::Incomplete | Judgement::Ordinary => return Ok(First::Ordinary(with_query_escaped(read))),
        }
    }
}

/// A request whose first line has come as far as into its query.
fn has_half_a_query(read: &[u8]) -> bool {
    read.first().is_some_and(u8::is_ascii_uppercase) && read.contains(&b'?') && !read.contains(&b'\n')
}

/// The same with the characters escaped that no query may have as they are (RFC 3986, 3.4).
fn with_query_escaped(read: BytesMut) -> Bytes {
    let line = read.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let query = read[..line].iter().position(|byte| *byte == b'?').unwrap_or(line);
    if !read[query..line].iter().any(|byte| matches!(byte, b'"' | b'<' | b'>')) {
        return read.freeze();
    }
    let mut escaped = BytesMut::from(&read[..query]);
    for byte in &read[query..line] {
        match byte {
            b'"' => escaped.extend_from_slice(b"%22"),
            b'<' => escaped.extend_from_slice(b"%3C"),
            b'>' => escaped.extend_from_slice(b"%3E"),
            byte => escaped.extend_from_slice(&[*byte]),
        }
    }
    escaped.extend_from_slice(&read[line..]);
    escaped.freeze()
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Ordinary,
    Incomplete,
    Raw { target: String, content_type: Option<Bytes>, body: std::ops::Range<usize> },
}

fn judge(read: &[u8]) -> Judgement {
    if !may_hijack(read) {
        return Judgement::Ordinary;
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let start = match request.parse(read) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Judgement::Incomplete,
        Err(_) => return Judgement::Ordinary,
    };
    let header = |name: &str| request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
    if header("upgrade").is_some() || header("transfer-encoding").is_some() || header("expect").is_some() {
        return Judgement::Ordinary;
    }
    let length =
        header("content-length").map_or(Some(0), |length| std::str::from_utf8(length.value).ok()?.parse().ok());
    let Some(end) = length.and_then(|length: usize| start.checked_add(length)).filter(|end| *end <= LIMIT) else {
        return Judgement::Ordinary;
    };
    if read.len() < end {
        return Judgement::Incomplete;
    }
    let content_type = header("content-type").map(|kind| Bytes::copy_from_slice(kind.value));
    Judgement::Raw { target: request.path.unwrap_or_default().to_owned(), content_type, body: start..end }
}

/// Whether the first line can still become that of an attach or of an exec's start.
fn may_hijack(read: &[u8]) -> bool {
    let post = b"POST ";
    let common = read.len().min(post.len());
    if read[..common] != post[..common] {
        return false;
    }
    let Some(end) = read.iter().position(|byte| *byte == b'\n') else { return true };
    let path = read[..end].split(|byte| matches!(byte, b' ' | b'?')).nth(1).unwrap_or_default();
    path.ends_with(b"/attach") || path.ends_with(b"/start")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RAW: &[u8] =
        b"POST /v1.41/containers/x/attach?stdin=1 HTTP/1.1\r\nHost: d\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}input";

    #[test]
    fn an_attach_without_upgrade_is_taken_apart() {
        let Judgement::Raw { target, content_type, body } = judge(RAW) else { panic!("raw") };
        assert_eq!(target, "/v1.41/containers/x/attach?stdin=1");
        assert_eq!(content_type.as_deref(), Some(&b"text/plain"[..]));
        assert_eq!((&RAW[body.clone()], &RAW[body.end..]), (&b"{}"[..], &b"input"[..]));
    }

    #[test]
    fn it_waits_for_the_rest() {
        let whole = RAW.len() - b"input".len();
        for length in 1..whole {
            assert_eq!(judge(&RAW[..length]), Judgement::Incomplete, "{length}");
        }
    }

    #[test]
    fn others_go_to_http() {
        for request in [
            &b"GET /containers/x/attach/ws HTTP/1.1\r\n"[..],
            b"POST /containers/create HTTP/1.1\r\n",
            b"POST /containers/x/attach HTTP/1.1\r\nUpgrade: tcp\r\n\r\n",
            b"POST /exec/x/start HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"POST /exec/x/start HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
            b"PO\n",
        ] {
            assert_eq!(judge(request), Judgement::Ordinary, "{}", String::from_utf8_lossy(request));
        }
    }

    #[test]
    fn json_in_a_query_may_stand_as_it_is() {
        let escaped = |text: &str| with_query_escaped(BytesMut::from(text));
        assert_eq!(escaped("GET /\"?a=\"<>\" HTTP/1.1\r\nX: \"\r\n"), "GET /\"?a=%22%3C%3E%22 HTTP/1.1\r\nX: \"\r\n");
        for whole in ["GET /x?a=%22 HTTP/1.1\r\n\r\n\"", "", "\n?\""] {
            assert_eq!(escaped(whole), whole);
        }
        assert!(has_half_a_query(b"GET /x?\""));
        for other in [&b"GET /x?a HTTP/1.1\r\n"[..], b"GET /x", b"\x16\x03?", b""] {
            assert!(!has_half_a_query(other));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            judge(&bytes);
        }
    }
}
