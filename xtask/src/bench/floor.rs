//! What a registry itself takes for a push: an image sent to it by a client that has everything at hand and does nothing
//! else. Nobody who pushes can be faster than that by much.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::shell::Result;

/// Connections over which blobs are sent at once.
const AT_ONCE: usize = 10;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An image as a registry has it.
pub(crate) struct Image {
    manifest: Vec<u8>,
    /// Config and layers with their digests.
    blobs: Vec<(String, Vec<u8>)>,
}

impl Image {
    /// Everything of an image, out of the registry at that address.
    pub(crate) fn of(address: &str, repository: &str, tag: &str) -> Result<Self> {
        let mut connection = Connection::open(address)?;
        let mut get = |rest: &str| connection.ask("GET", &format!("/v2/{repository}/{rest}"), "", &[]);
        let manifest = get(&format!("manifests/{tag}"))?.body;
        let document: Value = serde_json::from_slice(&manifest).map_err(|error| error.to_string())?;
        let layers = document["layers"].as_array().into_iter().flatten();
        let digests = layers.chain([&document["config"]]).filter_map(|descriptor| descriptor["digest"].as_str());
        let blob = |digest: &str| Ok((digest.to_owned(), get(&format!("blobs/{digest}"))?.body));
        let blobs = digests.map(blob).collect::<Result<Vec<_>>>()?;
        Ok(Self { manifest, blobs })
    }

    /// Sends it to the registry at that address, and says how long that took.
    pub(crate) fn push(&self, address: &str) -> Result<Duration> {
        let begin = Instant::now();
        let left = Mutex::new(self.blobs.iter());
        thread::scope(|scope| {
            let senders: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(|| send(address, &left))).collect();
            senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| "a sender panicked")?)
        })?;
        Connection::open(address)?.ask("PUT", "/v2/floor/manifests/1", MANIFEST, &self.manifest)?;
        Ok(begin.elapsed())
    }
}

/// Sends one blob after the other over a connection, until none is left.
fn send<'a>(address: &str, left: &Mutex<impl Iterator<Item = &'a (String, Vec<u8>)>>) -> Result {
    let mut connection = Connection::open(address)?;
    let next = || left.lock().map_err(|_| "a sender panicked").map(|mut left| left.next());
    while let Some((digest, bytes)) = next()? {
        let place = connection.ask("POST", "/v2/floor/blobs/uploads/", "", &[])?.location;
        let place = place.trim_start_matches("http://").trim_start_matches(address);
        connection.ask("PUT", &format!("{place}&digest={digest}"), "application/octet-stream", bytes)?;
    }
    Ok(())
}

/// A connection to a registry, kept from one question to the next.
struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

/// What is wanted of an answer.
#[derive(Default)]
struct Answer {
    location: String,
    body: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream: BufReader::new(stream), host: address.to_owned() })
    }

    fn ask(&mut self, method: &str, target: &str, kind: &str, body: &[u8]) -> Result<Answer> {
        let said = |error: std::io::Error| format!("{method} {target}: {error}");
        let (host, length) = (&self.host, body.len());
        let fields = format!("Host: {host}\r\nAccept: {MANIFEST}\r\nContent-Type: {kind}\r\nContent-Length: {length}");
        let head = format!("{method} {target} HTTP/1.1\r\n{fields}\r\n\r\n");
        self.stream.get_mut().write_all(&[head.as_bytes(), body].concat()).map_err(said)?;
        let mut line = String::new();
        self.stream.read_line(&mut line).map_err(said)?;
        if !line.starts_with("HTTP/1.1 2") {
            return Err(format!("{method} {target}: {line}"));
        }
        let (mut answer, mut length) = (Answer::default(), 0);
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).map_err(said)?;
            match line.trim_end().split_once(": ") {
                Some(("Location", value)) => value.clone_into(&mut answer.location),
                Some(("Content-Length", value)) => length = value.parse().map_err(|_| format!("length {value}"))?,
                Some(_) => {}
                None => break,
            }
        }
        self.stream.by_ref().take(length).read_to_end(&mut answer.body).map_err(said)?;
        Ok(answer)
    }
}
