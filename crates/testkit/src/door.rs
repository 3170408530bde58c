//! The engine's API without a client in between, for requests that no client would make, and for many of them.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection to an engine; its requests go one after the other.
#[derive(Debug)]
pub struct Door(BufReader<UnixStream>);

/// What the engine answered.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, as text.
    pub body: String,
}

impl Door {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(socket: &Path) -> io::Result<Self> {
        UnixStream::connect(socket).map(|stream| Self(BufReader::new(stream)))
    }

    /// Waits no longer for bytes of an answer.
    pub(crate) fn patient_for(self, time: Duration) -> io::Result<Self> {
        self.0.get_ref().set_read_timeout(Some(time)).map(|()| self)
    }

    /// Asks with a JSON body (empty: none) and takes the whole answer.
    ///
    /// # Errors
    /// When the engine goes away before the end.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let length = body.len();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: d\r\n{kind}Content-Length: {length}\r\n\r\n{body}"))?;
        self.answer()
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the engine has closed the connection.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.0.get_ref().write_all(bytes.as_ref())
    }

    /// The next answer.
    ///
    /// # Errors
    /// When the engine goes away before the end, or says what is no answer.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let head = self.head()?;
        let nonsense = || io::Error::new(io::ErrorKind::InvalidData, head.join("\n"));
        let status = head.first().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or_else(nonsense)?;
        let header = |name: &str| {
            let mut fields = head.iter().filter_map(|line| line.split_once(':'));
            fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
        };
        let mut body = Vec::new();
        if header("Transfer-Encoding") == Some("chunked") {
            self.chunks(&mut body)?;
        } else if let Some(length) = header("Content-Length") {
            body.resize(length.parse().map_err(|_| nonsense())?, 0);
            self.0.read_exact(&mut body)?;
        } else if header("Connection").is_some_and(|word| word.eq_ignore_ascii_case("close")) {
            self.0.read_to_end(&mut body)?;
        }
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }

    /// The lines of an answer's head.
    ///
    /// # Errors
    /// When the engine goes away before its end.
    pub fn head(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(lines);
            }
            lines.push(line);
        }
    }

    /// The connection itself; what was read ahead is lost.
    #[must_use]
    pub fn into_stream(self) -> UnixStream {
        self.0.into_inner()
    }

    fn chunks(&mut self, body: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(&line, 16);
            let length = length.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, line))?;
            let start = body.len();
            body.resize(start + length, 0);
            self.0.read_exact(&mut body[start..])?;
            self.line()?;
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
