//! Answering the questions of one container.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use dhow_errdefs::{Result, ResultExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::forward::{forward, read_framed, write_framed};
use super::ledger::Ledger;
use super::message::{self, A, AAAA, Outcome, PTR, Question, Record};
use super::names::{Directory, Scope};
use super::socket::Sockets;
use crate::sandbox::Sandbox;

/// Questions of one container that wait for other servers at the same time.
const AT_ONCE: usize = 512;

/// Clients of one container that are connected at the same time; others wait.
const STREAMS: usize = 64;

/// Larger than any question by datagram.
const DATAGRAM: usize = 4096;

/// How long a client that is connected may say nothing.
const IDLE: Duration = Duration::from_secs(30);

/// The answering of one container's questions. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Resolver {
    mind: Arc<Mind>,
    sockets: Sockets,
    tasks: Vec<JoinHandle<()>>,
}

/// Who is asked for a name.
#[derive(Debug)]
pub(crate) struct Whom {
    /// The networks whose names are answered, the first one first.
    pub networks: Vec<Scope>,
    /// Servers for everything else; none in a container without a way out.
    pub servers: Vec<IpAddr>,
}

/// What it knows.
#[derive(Debug)]
struct Mind {
    directory: Arc<Directory>,
    whom: RwLock<Arc<Whom>>,
    room: Semaphore,
    ledger: Ledger,
}

/// Begins to answer the questions of the container in a sandbox; at the sockets that were kept of an engine before, where
/// there are any.
pub(crate) fn start(
    sandbox: &Sandbox,
    kept: Option<Sockets>,
    directory: Arc<Directory>,
    whom: Whom,
) -> Result<Resolver> {
    let runtime = Handle::try_current().map_err(|error| {
        dhow_errdefs::Error::internal("answer questions for names without a runtime").with_cause(error)
    })?;
    let sockets = kept.map_or_else(|| Sockets::open(sandbox), Ok)?;
    let what = || "answer a container's questions for names";
    let (ledger, left) = Ledger::take_over(sockets.memory.try_clone().context(what)?);
    let mind = Mind { directory, whom: RwLock::new(Arc::new(whom)), room: Semaphore::new(AT_ONCE), ledger };
    let mind = Arc::new(mind);
    let tasks = begin(&runtime, &mind, &sockets, left).context(what)?;
    Ok(Resolver { mind, sockets, tasks })
}

fn begin(
    runtime: &Handle,
    mind: &Arc<Mind>,
    sockets: &Sockets,
    left: Vec<(SocketAddr, Vec<u8>)>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let _entered = runtime.enter();
    let datagrams = Arc::new(UdpSocket::from_std(sockets.datagrams.try_clone()?)?);
    let streams = TcpListener::from_std(sockets.streams.try_clone()?)?;
    for (client, query) in left {
        drop(runtime.spawn(answer_later(Arc::clone(mind), Arc::clone(&datagrams), client, query)));
    }
    Ok(vec![
        runtime.spawn(answer_datagrams(Arc::clone(mind), datagrams)),
        runtime.spawn(answer_streams(Arc::clone(mind), streams)),
    ])
}

impl Resolver {
    /// What somebody else is to keep, so that nothing is lost while there is no engine.
    pub(crate) fn keepsakes(&self) -> Result<Vec<(&'static str, OwnedFd)>> {
        self.sockets.keepsakes()
    }

    /// These are asked from now on.
    pub(crate) fn ask(&self, whom: Whom) {
        *self.mind.whom.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(whom);
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
        let query = buffer[..length].to_vec();
        if let Some(answer) = mind.remembered(&query) {
            drop(socket.send_to(&answer, client).await);
            continue;
        }
        tokio::spawn(answer_later(Arc::clone(&mind), Arc::clone(&socket), client, query));
    }
}

/// Answers what other servers have to be asked for, or what an engine before this one has not answered any more.
async fn answer_later(mind: Arc<Mind>, socket: Arc<UdpSocket>, client: SocketAddr, query: Vec<u8>) {
    let entry = mind.ledger.note(client, &query);
    let known = Question::read(&query).and_then(|question| mind.answer(&question));
    let answer = match known {
        Some(answer) => Some(answer),
        None => mind.ask_others(&query, false).await,
    };
    if let Some(answer) = answer {
        drop(socket.send_to(&answer, client).await);
    }
    mind.ledger.strike(entry);
}

async fn answer_streams(mind: Arc<Mind>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(STREAMS));
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let Ok((stream, _)) = listener.accept().await else { return };
        let mind = Arc::clone(&mind);
        tokio::spawn(async move {
            let told = converse(mind, stream).await;
            drop(place);
            told
        });
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
    fn whom(&self) -> Arc<Whom> {
        Arc::clone(&self.whom.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer, if it is known here.
    fn answer(&self, question: &Question<'_>) -> Option<Vec<u8>> {
        let networks = &self.whom().networks;
        if question.kind == PTR {
            let name = self.directory.find_address(networks, message::reverse(&question.name)?)?;
            return Some(question.answer(Outcome::Found, &[Record::Name(name)]));
        }
        let addresses = self.directory.find(networks, &question.name)?;
        let wanted = |address: &IpAddr| match question.kind {
            A => address.is_ipv4(),
            AAAA => address.is_ipv6(),
            _ => false,
        };
        let records: Vec<Record> = addresses.into_iter().filter(wanted).map(Record::Address).collect();
        Some(question.answer(Outcome::Found, &records))
    }

    /// What other servers have answered before.
    fn remembered(&self, query: &[u8]) -> Option<Vec<u8>> {
        self.directory.cache.find(&self.whom().servers, query, Instant::now())
    }

    /// The answer of other servers, or that there is none.
    async fn ask_others(&self, query: &[u8], stream: bool) -> Option<Vec<u8>> {
        let question = Question::read(query)?;
        let cache = &self.directory.cache;
        if let Some(answer) = self.remembered(query) {
            return Some(answer);
        }
        let Ok(_place) = self.room.try_acquire() else { return Some(question.answer(Outcome::Failed, &[])) };
        let whom = self.whom();
        let answer = forward(&whom.servers, query, stream).await;
        if let Some(answer) = &answer {
            cache.keep(&whom.servers, query, answer, Instant::now());
        }
        Some(answer.unwrap_or_else(|| question.answer(Outcome::Failed, &[])))
    }
}
