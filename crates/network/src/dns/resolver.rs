//! Answering the questions of one container.

use std::io;
use std::net::{IpAddr, TcpListener as StdListener, UdpSocket as StdSocket};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dhow_errdefs::{Result, ResultExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::forward::{forward, read_framed, write_framed};
use super::message::{self, A, AAAA, Outcome, PTR, Question, Record};
use super::names::{Directory, Scope};
use super::socket;
use crate::sandbox::Sandbox;

/// Questions of one container that wait for other servers at the same time.
const AT_ONCE: usize = 512;

/// Larger than any question by datagram.
const DATAGRAM: usize = 4096;

/// How long a client that is connected may say nothing.
const IDLE: Duration = Duration::from_secs(30);

/// The answering of one container's questions. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Resolver {
    mind: Arc<Mind>,
    tasks: Vec<JoinHandle<()>>,
}

/// What it knows.
#[derive(Debug)]
struct Mind {
    directory: Arc<Directory>,
    /// The networks whose names it answers, the first one first.
    networks: RwLock<Vec<Scope>>,
    /// Servers for everything else; none in a container without a way out.
    servers: Vec<IpAddr>,
    room: Semaphore,
}

/// Begins to answer the questions of the container in a sandbox.
pub(crate) fn start(
    sandbox: &Sandbox,
    directory: Arc<Directory>,
    networks: Vec<Scope>,
    servers: Vec<IpAddr>,
) -> Result<Resolver> {
    let runtime = Handle::try_current().map_err(|error| {
        dhow_errdefs::Error::internal("answer questions for names without a runtime").with_cause(error)
    })?;
    let (datagrams, streams) = socket::open(sandbox)?;
    let mind = Mind { directory, networks: RwLock::new(networks), servers, room: Semaphore::new(AT_ONCE) };
    let mind = Arc::new(mind);
    let tasks = begin(&runtime, &mind, datagrams, streams).context(|| "answer a container's questions for names")?;
    Ok(Resolver { mind, tasks })
}

fn begin(
    runtime: &Handle,
    mind: &Arc<Mind>,
    datagrams: StdSocket,
    streams: StdListener,
) -> io::Result<Vec<JoinHandle<()>>> {
    let _entered = runtime.enter();
    let datagrams = Arc::new(UdpSocket::from_std(datagrams)?);
    let streams = TcpListener::from_std(streams)?;
    Ok(vec![
        runtime.spawn(answer_datagrams(Arc::clone(mind), datagrams)),
        runtime.spawn(answer_streams(Arc::clone(mind), streams)),
    ])
}

impl Resolver {
    /// It is in these networks from now on.
    pub(crate) fn set_networks(&self, networks: Vec<Scope>) {
        *self.mind.networks.write().unwrap_or_else(PoisonError::into_inner) = networks;
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn answer_datagrams(mind: Arc<Mind>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(came) => came,
            // A client that has gone; the next one may be there.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(_) => return,
        };
        let Some(question) = Question::read(&buffer[..length]) else { continue };
        if let Some(answer) = mind.answer(&question) {
            drop(socket.send_to(&answer, client).await);
            continue;
        }
        let (mind, socket, query) = (Arc::clone(&mind), Arc::clone(&socket), buffer[..length].to_vec());
        tokio::spawn(async move {
            if let Some(answer) = mind.ask_others(&query, false).await {
                drop(socket.send_to(&answer, client).await);
            }
        });
    }
}

async fn answer_streams(mind: Arc<Mind>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(converse(Arc::clone(&mind), stream));
    }
}

/// One client after the other question.
async fn converse(mind: Arc<Mind>, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let query = tokio::time::timeout(IDLE, read_framed(&mut stream)).await??;
        let Some(question) = Question::read(&query) else { return Ok(()) };
        let answer = match mind.answer(&question) {
            Some(answer) => Some(answer),
            None => mind.ask_others(&query, true).await,
        };
        match answer {
            Some(answer) => write_framed(&mut stream, &answer).await?,
            None => return Ok(()),
        }
    }
}

impl Mind {
    /// The answer, if it is known here.
    fn answer(&self, question: &Question<'_>) -> Option<Vec<u8>> {
        let networks = self.networks.read().unwrap_or_else(PoisonError::into_inner);
        if question.kind == PTR {
            let name = self.directory.find_address(&networks, message::reverse(&question.name)?)?;
            return Some(question.answer(Outcome::Found, &[Record::Name(name)]));
        }
        let addresses = self.directory.find(&networks, &question.name)?;
        let wanted = |address: &IpAddr| match question.kind {
            A => address.is_ipv4(),
            AAAA => address.is_ipv6(),
            _ => false,
        };
        let records: Vec<Record> = addresses.into_iter().filter(wanted).map(Record::Address).collect();
        Some(question.answer(Outcome::Found, &records))
    }

    /// The answer of other servers, or that there is none.
    async fn ask_others(&self, query: &[u8], stream: bool) -> Option<Vec<u8>> {
        let question = Question::read(query)?;
        let cache = &self.directory.cache;
        if let Some(answer) = cache.find(&self.servers, query, Instant::now()) {
            return Some(answer);
        }
        let Ok(_place) = self.room.try_acquire() else { return Some(question.answer(Outcome::Failed, &[])) };
        let answer = forward(&self.servers, query, stream).await;
        if let Some(answer) = &answer {
            cache.keep(&self.servers, query, answer, Instant::now());
        }
        Some(answer.unwrap_or_else(|| question.answer(Outcome::Failed, &[])))
    }
}
