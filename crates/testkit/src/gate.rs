//! A stand-in for a registry: it passes on what it is asked, and says something else where a test wants that.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::{Registry, Request};

/// What answers a request: where to, and with the rest of what comes.
type Answers = dyn Fn(&Request, &mut TcpStream, BufReader<TcpStream>) -> io::Result<()>;

/// A gate before a registry, as long as the test.
#[derive(Debug)]
pub struct Gate {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

impl Gate {
    /// A gate at which `says` answers in the registry's place; it says `false` where it leaves that to the registry.
    ///
    /// # Panics
    /// When no port is free.
    #[must_use]
    pub fn before(
        registry: &Registry,
        says: impl Fn(&Request, &mut TcpStream) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Self {
        let target = registry.address();
        Self::open(move |request, near, reader| {
            if says(request, near)? {
                // Who closes with something unread resets the connection.
                return request.body(reader).map(drop);
            }
            pass_on(request, reader, near, &target)
        })
    }

    /// A server of its own: `answer` gets each request, where to answer it, and the rest of what comes.
    pub(crate) fn open(
        answer: impl Fn(&Request, &mut TcpStream, BufReader<TcpStream>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        crate::isolate();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let gate = Self { address, asked: Arc::default(), over: Arc::default() };
        let (asked, over, answer) = (Arc::clone(&gate.asked), Arc::clone(&gate.over), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                // A client that has enough closes the connection, in the middle if it likes.
                thread::spawn(move || serve(stream, &asked, &*answer));
            }
        });
        gate
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// A name in the registry, as it is called here.
    #[must_use]
    pub fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// What was asked so far that has this in it, as in `GET /v2/app/blobs/… bytes=5-`.
    #[must_use]
    pub fn asked(&self, word: &str) -> Vec<String> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|line| line.contains(word)).cloned().collect()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // So that it looks up.
        drop(TcpStream::connect(&self.address));
    }
}

/// One request for each connection.
fn serve(mut near: TcpStream, asked: &Mutex<Vec<String>>, answer: &Answers) -> io::Result<()> {
    let mut reader = BufReader::new(near.try_clone()?);
    let Some(request) = Request::read(&mut reader)? else { return Ok(()) };
    let line = format!("{} {} {}", request.method, request.target, request.header("Range"));
    asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let answered = answer(&request, &mut near, reader);
    // Others may have copies of it.
    drop(near.shutdown(Shutdown::Both));
    answered
}

fn pass_on(request: &Request, mut reader: BufReader<TcpStream>, near: &mut TcpStream, target: &str) -> io::Result<()> {
    let mut far = TcpStream::connect(target)?;
    far.write_all(request.once().as_bytes())?;
    let mut to = far.try_clone()?;
    let sender = thread::spawn(move || io::copy(&mut reader, &mut to));
    let copied = io::copy(&mut far, near);
    drop((near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both)));
    // It ends with its connection, well or not.
    drop(sender.join());
    copied.map(drop)
}
