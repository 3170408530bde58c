//! A store for objects, as much of S3 as rclone asks of it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The store; its thread ends with the process.
pub(super) struct Store {
    address: SocketAddr,
    objects: Objects,
}

struct Request {
    method: String,
    /// Bucket and key.
    path: String,
    query: String,
    range: Option<(usize, Option<usize>)>,
    /// Bucket and key of what is to be copied.
    copied: Option<String>,
    body: Vec<u8>,
}

impl Store {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let objects = Objects::default();
        let served = Arc::clone(&objects);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let objects = Arc::clone(&served);
                thread::spawn(move || serve(stream, &objects));
            }
        });
        Self { address, objects }
    }

    pub(super) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An object, by its bucket and key.
    pub(super) fn object(&self, path: &str) -> Option<Vec<u8>> {
        self.objects.lock().expect("whole").get(path).cloned()
    }
}

/// Answers until the client goes.
fn serve(stream: TcpStream, objects: &Objects) {
    let mut reader = BufReader::new(stream);
    while let Ok(Some(request)) = read(&mut reader) {
        let answer = answer(&request, &mut objects.lock().expect("whole"));
        if reader.get_mut().write_all(&answer).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut request = Request {
        method,
        path: path.trim_start_matches('/').to_owned(),
        query: query.to_owned(),
        range: None,
        copied: None,
        body: Vec::new(),
    };
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match (name.to_ascii_lowercase().as_str(), value.trim()) {
            ("content-length", value) => length = value.parse().unwrap_or_default(),
            ("range", value) => {
                let range = value.trim_start_matches("bytes=").split_once('-');
                request.range = range.and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok())));
            }
            ("x-amz-copy-source", value) => {
                request.copied = Some(value.trim_start_matches('/').replace("%2F", "/"));
            }
            ("expect", _) => reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?,
            _ => {}
        }
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

fn answer(request: &Request, objects: &mut BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let is_bucket = request.path.trim_end_matches('/').matches('/').count() == 0;
    match (request.method.as_str(), objects.get(&request.path)) {
        ("GET", _) if is_bucket => whole("200 OK", list(request, objects).as_bytes()),
        ("HEAD" | "PUT", _) if is_bucket => whole("200 OK", b""),
        ("PUT", _) => {
            let copied = request.copied.as_ref().map(|from| objects.get(from).cloned().unwrap_or_default());
            let answer =
                if copied.is_some() { &b"<CopyObjectResult><ETag>x-1</ETag></CopyObjectResult>"[..] } else { b"" };
            objects.insert(request.path.clone(), copied.unwrap_or_else(|| request.body.clone()));
            whole("200 OK", answer)
        }
        ("DELETE", _) => {
            objects.remove(&request.path);
            whole("204 No Content", b"")
        }
        ("HEAD", Some(object)) => head("200 OK", object.len()).into_bytes(),
        ("GET", Some(object)) => match request.range {
            None => whole("200 OK", object),
            Some((first, last)) => {
                let end = last.map_or(object.len(), |last| object.len().min(last + 1));
                let range = format!("206 Partial Content\r\nContent-Range: bytes {first}-{}/{}", end - 1, object.len());
                whole(&range, &object[first..end])
            }
        },
        ("HEAD", None) => head("404 Not Found", 0).into_bytes(),
        _ => whole("404 Not Found", b"<Error><Code>NoSuchKey</Code></Error>"),
    }
}

/// The head of an answer. What the tag of an object looks like tells the client not to take it for a checksum.
fn head(status: &str, length: usize) -> String {
    format!(
        "HTTP/1.1 {status}\r\nETag: \"x-1\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: {length}\r\n\r\n"
    )
}

fn whole(status: &str, body: &[u8]) -> Vec<u8> {
    [head(status, body.len()).as_bytes(), body].concat()
}

/// What is in a bucket, without the keys below a prefix that ends with a slash.
fn list(request: &Request, objects: &BTreeMap<String, Vec<u8>>) -> String {
    let prefix = request.query.split('&').find_map(|pair| pair.strip_prefix("prefix=")).unwrap_or_default();
    let prefix = format!("{}/{}", request.path.trim_end_matches('/'), prefix.replace("%2F", "/"));
    let mut text = String::from("<ListBucketResult><IsTruncated>false</IsTruncated>");
    for (path, object) in objects.iter().filter(|(path, _)| path.starts_with(&prefix)) {
        if !path[prefix.len()..].contains('/') {
            let (_, key) = path.split_once('/').unwrap_or_default();
            let size = object.len();
            text += &format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>\"x-1\"</ETag>\
                 <Size>{size}</Size></Contents>"
            );
        }
    }
    text + "</ListBucketResult>"
}
