//! A registry on a loopback port that says what a test wants, the truth or not.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use dhow_oci::{Descriptor, Digest, Index, Manifest, media};

use crate::world::{config, json};

/// One answer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// A body, or the part of it that was asked for.
    Body(&'static str, Vec<u8>),
    /// The same, cut off after so many bytes.
    Cut(Vec<u8>, usize),
    /// The part that was asked for, cut off after so many bytes.
    CutPart(Vec<u8>, usize),
    /// A body, whatever part was asked for.
    Whole(Vec<u8>),
    /// The part that was asked for, under the name of another.
    Misnamed(Vec<u8>),
    /// A body that does not end.
    Endless,
    /// A status with a header line and a body.
    Status(u16, String, String),
    /// The answer for those who show this in `Authorization`, and a challenge for others.
    For(String, String, Box<Answer>),
}

type Answers = HashMap<String, VecDeque<Answer>>;

/// The registry. Serves until the test ends.
pub(crate) struct Registry {
    port: u16,
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let registry = Self { port, answers: Arc::default(), asked: Arc::default() };
        let (answers, asked) = (Arc::clone(&registry.answers), Arc::clone(&registry.asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                thread::spawn(move || serve(&stream, &answers, &asked));
            }
        });
        registry
    }

    /// A name in this registry.
    pub(crate) fn name(&self, repository: &str) -> String {
        format!("127.0.0.1:{}/{repository}", self.port)
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What to say about a path: these one after the other, the last one from then on.
    pub(crate) fn says(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.answers.lock().expect("no panic").insert(path.to_owned(), answers.into_iter().collect());
    }

    /// What was asked so far, as in `GET /v2/a/blobs/… bytes=5-`.
    pub(crate) fn asked(&self, word: &str) -> Vec<String> {
        self.asked.lock().expect("no panic").iter().filter(|line| line.contains(word)).cloned().collect()
    }

    /// Serves an image of these layers (plain tars, sent in gzip) as `REPOSITORY:TAG`.
    pub(crate) fn serves(&self, repository: &str, tag: &str, layers: &[&[u8]]) -> Image {
        let blobs: Vec<Vec<u8>> = layers.iter().map(|layer| gzip(layer)).collect();
        let config = config(layers);
        let descriptor = |kind, bytes: &[u8]| Descriptor::new(kind, Digest::of(bytes), bytes.len() as u64);
        let parts = blobs.iter().map(|blob| descriptor(media::OCI_LAYER_GZIP, blob)).collect();
        let manifest = json(&Manifest::new(descriptor(media::OCI_CONFIG, &config), parts));
        for blob in blobs.iter().chain([&config]) {
            self.says(&blob_path(repository, blob), [Answer::Body("application/octet-stream", blob.clone())]);
        }
        let image = Image { manifest, config, blobs };
        let body = Answer::Body(media::OCI_MANIFEST, image.manifest.clone());
        for wanted in [tag.to_owned(), Digest::of(&image.manifest).to_string()] {
            self.says(&format!("/v2/{repository}/manifests/{wanted}"), [body.clone()]);
        }
        image
    }

    /// Serves an index of one image that is served already, for this machine, beside one for another.
    pub(crate) fn serves_index(&self, repository: &str, tag: &str, image: &Image) -> Digest {
        let entry = |bytes: &[u8], platform: &str| Descriptor {
            platform: platform.parse().ok(),
            ..Descriptor::new(media::OCI_MANIFEST, Digest::of(bytes), bytes.len() as u64)
        };
        let host = dhow_oci::Platform::host().to_string();
        let index = json(&Index::new(vec![entry(b"another", "linux/s390x"), entry(&image.manifest, &host)]));
        self.says(&format!("/v2/{repository}/manifests/{tag}"), [Answer::Body(media::OCI_INDEX, index.clone())]);
        Digest::of(&index)
    }
}

/// What is served.
pub(crate) struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    /// The layers' blobs.
    pub(crate) blobs: Vec<Vec<u8>>,
}

pub(crate) fn blob_path(repository: &str, blob: &[u8]) -> String {
    format!("/v2/{repository}/blobs/{}", Digest::of(blob))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// One request for each connection.
fn serve(stream: &TcpStream, answers: &Mutex<Answers>, asked: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut headers = HashMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(": ") {
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
    }
    // Who closes with something unread resets the connection.
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    drop(std::io::copy(&mut reader.take(length), &mut std::io::sink()));
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let range = headers.get("range").cloned().unwrap_or_default();
    asked.lock().expect("no panic").push(format!("{method} {path} {range}"));
    let path = path.split('?').next().unwrap_or_default();
    let answer = {
        let mut answers = answers.lock().expect("no panic");
        let answers = answers.entry(path.to_owned()).or_default();
        if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
    };
    // A client that has enough closes the connection.
    let _ = say(stream, method, &range, &headers, answer);
}

fn say(
    mut stream: &TcpStream,
    method: &str,
    range: &str,
    headers: &HashMap<String, String>,
    answer: Option<Answer>,
) -> std::io::Result<()> {
    let head = |status: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")
    };
    match answer {
        None => stream.write_all(head("404 Not Found", "", 0).as_bytes()),
        Some(Answer::Status(status, header, body)) => {
            stream.write_all(head(&format!("{status} Whatever"), &header, body.len()).as_bytes())?;
            stream.write_all(body.as_bytes())
        }
        Some(Answer::For(wanted, challenge, answer)) => {
            if headers.get("authorization") == Some(&wanted) {
                return say(stream, method, range, headers, Some(*answer));
            }
            let challenge = format!("WWW-Authenticate: {challenge}\r\n");
            say(stream, method, range, headers, Some(Answer::Status(401, challenge, String::new())))
        }
        Some(Answer::Cut(body, at)) => {
            stream.write_all(head("200 OK", "", body.len()).as_bytes())?;
            stream.write_all(&body[..at])
        }
        Some(Answer::CutPart(body, at)) => {
            let (from, to) = part(range, body.len());
            let more = format!("Content-Range: bytes {from}-{}/{}\r\n", to - 1, body.len());
            stream.write_all(head("206 Partial Content", &more, to - from).as_bytes())?;
            stream.write_all(&body[from..to.min(from + at)])
        }
        Some(Answer::Endless) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[7; 4096])?;
            }
        }
        Some(Answer::Body(kind, body)) => {
            let (from, to) = part(range, body.len());
            let status = if range.is_empty() { "200 OK" } else { "206 Partial Content" };
            let digest = Digest::of(&body);
            let place = format!("Content-Range: bytes {from}-{}/{}\r\n", to.saturating_sub(1), body.len());
            let place = if range.is_empty() { "" } else { &place };
            let more = format!("Content-Type: {kind}\r\nDocker-Content-Digest: {digest}\r\n{place}");
            stream.write_all(head(status, &more, to - from).as_bytes())?;
            if method == "HEAD" { Ok(()) } else { stream.write_all(&body[from..to]) }
        }
        Some(Answer::Whole(body)) => {
            stream.write_all(head("200 OK", "", body.len()).as_bytes())?;
            stream.write_all(&body)
        }
        Some(Answer::Misnamed(body)) => {
            let (from, to) = part(range, body.len());
            let more = format!("Content-Range: bytes {}-{to}/{}\r\n", from + 1, body.len());
            stream.write_all(head("206 Partial Content", &more, to - from).as_bytes())?;
            stream.write_all(&body[from..to])
        }
    }
}

/// The part that a `Range` asks for: its first byte and the one behind it.
fn part(range: &str, length: usize) -> (usize, usize) {
    let (from, last) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap_or_default();
    let end = last.parse::<usize>().map_or(length, |last| length.min(last + 1));
    (from.parse().unwrap_or(0), end)
}
