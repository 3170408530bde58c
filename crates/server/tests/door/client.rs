//! A client that writes its requests by hand, so that what the wire carries is seen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

/// One connection.
pub(crate) struct Client(BufReader<UnixStream>);

/// Head and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What went wrong, in the server's words.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    /// A header; names are compared without regard to case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.iter().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl Client {
    pub(crate) fn connect(socket: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(socket).unwrap()))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    pub(crate) fn send_request(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: door\r\nContent-Length: {}\r\n", body.len());
        if !body.is_empty() && !headers.iter().any(|header| header.starts_with("Content-Type:")) {
            head.push_str("Content-Type: application/json\r\n");
        }
        headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
        head.push_str("\r\n");
        self.send(&[head.as_bytes(), body].concat());
    }

    /// The client has said everything.
    pub(crate) fn close_input(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// The head of an answer, as soon as it is there.
    pub(crate) fn head(&mut self) -> Answer {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the connection ended in a head: {head:?}");
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let status = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: Vec::new() }
    }

    /// A whole answer.
    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = self.head();
        answer.body = match answer.header("Content-Length").map(str::parse) {
            Some(length) => self.exactly(length.unwrap()),
            None if answer.header("Transfer-Encoding") == Some("chunked") => self.chunks(),
            None => Vec::new(),
        };
        answer
    }

    /// One piece of a body in pieces; empty at the end.
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let mut size = String::new();
        self.0.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut chunk = self.exactly(size + 2);
        chunk.truncate(size);
        chunk
    }

    pub(crate) fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            match self.chunk() {
                last if last.is_empty() => return body,
                chunk => body.extend(chunk),
            }
        }
    }

    pub(crate) fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Everything until the server ends the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).unwrap();
        bytes
    }
}

/// The payload of Docker's frames by stream: standard output, standard error.
pub(crate) fn demultiplexed(mut frames: &[u8]) -> (String, String) {
    let mut streams = [Vec::new(), Vec::new()];
    while let Some((head, rest)) = frames.split_first_chunk::<8>() {
        let (channel, length) = dhow_api::stream::Channel::from_header(*head).expect("a frame");
        let (payload, next) = rest.split_at(length.try_into().unwrap());
        streams[usize::from(channel == dhow_api::stream::Channel::Stderr)].extend(payload);
        frames = next;
    }
    let [out, err] = streams.map(|bytes| String::from_utf8(bytes).unwrap());
    (out, err)
}
