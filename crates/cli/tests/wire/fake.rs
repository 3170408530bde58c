//! An engine that only plays a part: it speaks HTTP/1.1 on a unix socket, remembers what it was asked, and answers as told.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use tempfile::TempDir;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `POST /containers/x/start?a=b`, without the version.
    pub(crate) line: String,
    /// The version in the path; empty for none.
    pub(crate) version: String,
    pub(crate) body: Vec<u8>,
}

/// What to do with a request; the stream can be used in any way.
type Answer = Box<dyn Fn(&Fake, &Request, &mut UnixStream) -> io::Result<()> + Send + Sync>;

/// The engine.
#[derive(Clone)]
pub(crate) struct Fake {
    inner: Arc<Inner>,
    /// Only tests keep the folder: the engine's threads outlive them, and it must not.
    _folder: Option<Arc<TempDir>>,
}

struct Inner {
    dir: PathBuf,
    /// Newest version it speaks.
    newest: &'static str,
    answers: Vec<(&'static str, Answer)>,
    seen: Mutex<Vec<Request>>,
    connections: Mutex<usize>,
    news: Condvar,
}

impl Fake {
    /// Starts to listen. An answer is found by the beginning of the request's line.
    pub(crate) fn start(newest: &'static str, answers: Vec<(&'static str, Answer)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().to_owned();
        let listener = UnixListener::bind(dir.join("engine.sock")).expect("a socket");
        let (seen, connections) = (Mutex::default(), Mutex::default());
        let inner = Arc::new(Inner { dir, newest, answers, seen, connections, news: Condvar::new() });
        let server = Self { inner: Arc::clone(&inner), _folder: None };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        Self { inner, _folder: Some(Arc::new(folder)) }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.inner.dir.join("engine.sock")
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.inner.dir
    }

    fn seen(&self) -> MutexGuard<'_, Vec<Request>> {
        self.inner.seen.lock().expect("no test panics with it")
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen().clone()
    }

    /// The lines of the requests so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().map(|request| request.line.clone()).collect()
    }

    /// How many connections were made.
    pub(crate) fn connections(&self) -> usize {
        *self.inner.connections.lock().expect("no test panics with it")
    }

    /// Waits until a request whose line begins so has come.
    pub(crate) fn until(&self, line: &str) {
        let mut seen = self.seen();
        while !seen.iter().any(|request| request.line.starts_with(line)) {
            seen = self.inner.news.wait(seen).expect("no test panics with it");
        }
    }

    fn serve(&self, mut stream: UnixStream) {
        *self.inner.connections.lock().expect("no test panics with it") += 1;
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        while let Ok(Some(request)) = read(&mut reader) {
            let refused = !request.version.is_empty() && minor(&request.version) > minor(self.inner.newest);
            if !refused {
                self.seen().push(request.clone());
                self.inner.news.notify_all();
            }
            let answer = self.inner.answers.iter().find(|(line, _)| request.line.starts_with(line));
            let done = match answer {
                _ if refused => {
                    let text = format!(
                        "client version {} is too new. Maximum supported API version is {}",
                        request.version, self.inner.newest
                    );
                    json(&mut stream, 400, &format!("{{\"message\":\"{text}\"}}"))
                }
                _ if request.line == "HEAD /_ping" => {
                    write!(stream, "HTTP/1.1 200 OK\r\nApi-Version: {}\r\nContent-Length: 0\r\n\r\n", self.inner.newest)
                }
                Some((_, answer)) => answer(self, &request, &mut stream),
                None => json(&mut stream, 404, &format!("{{\"message\":\"page not found: {}\"}}", request.line)),
            };
            if done.is_err() {
                return;
            }
        }
    }
}

fn minor(version: &str) -> u32 {
    version.split_once('.').and_then(|(_, minor)| minor.parse().ok()).unwrap_or(0)
}

fn read(reader: &mut BufReader<UnixStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let versioned = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/'));
    let (version, path) =
        versioned.map_or((String::new(), path.to_owned()), |(minor, rest)| (format!("1.{minor}"), format!("/{rest}")));
    let line = format!("{method} {path}");
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim().to_lowercase();
        match header.split_once(':') {
            None => break,
            Some(("content-length", value)) => length = value.trim().parse().unwrap_or(0),
            Some(("transfer-encoding", _)) => chunked = true,
            Some(_) => {}
        }
    }
    let body = if chunked { read_chunks(reader)? } else { exactly(reader, length)? };
    Ok(Some(Request { line, version, body }))
}

fn exactly(reader: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        body.extend(exactly(reader, size)?);
        exactly(reader, 2)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Answers with JSON.
pub(crate) fn json(stream: &mut UnixStream, status: u16, body: &str) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer of fixed JSON.
pub(crate) fn says(status: u16, body: &'static str) -> Answer {
    Box::new(move |_, _, stream| json(stream, status, body))
}

/// An answer without a body.
pub(crate) fn nothing(status: u16) -> Answer {
    Box::new(move |_, _, stream| write!(stream, "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"))
}

/// Takes the connection over and plays a container on it.
pub(crate) fn hijacks(play: fn(&Fake, &mut UnixStream) -> io::Result<()>) -> Answer {
    Box::new(move |fake, _, stream| {
        write!(
            stream,
            "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )?;
        play(fake, stream)?;
        stream.shutdown(std::net::Shutdown::Both)?;
        Err(io::ErrorKind::ConnectionAborted.into())
    })
}

/// A frame of standard output (1) or standard error (2).
pub(crate) fn frame(channel: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames are small");
    let mut bytes = vec![channel, 0, 0, 0];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Answers a wait: its head at once, its body when a request that begins so has come.
pub(crate) fn exits(code: u8, after: &'static str) -> Answer {
    Box::new(move |fake, _, stream| {
        let body = format!("{{\"StatusCode\":{code}}}");
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
        fake.until(after);
        stream.write_all(body.as_bytes())
    })
}
