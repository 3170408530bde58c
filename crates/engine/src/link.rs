//! The engine's asynchronous end of a connection to a shim.
//!
//! Requests may be made from any task at once. Answers go to who asked; events go, in order, to the container's owner.
//! The end of the connection answers every open request and closes the channel of events.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_shim::frame::{self, Buffer};
use dhow_shim::protocol::{Answer, Event, Failure, Keepsake, Message, Op, Request, State};
use dhow_shim::{Connection, Spawned};
use rustix::process::{PidfdGetfdFlags, Signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot};

use crate::readiness;

/// How long a shim may take to answer what it can answer at once. Longer means that it is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long a shim that has nothing to do may take to answer, before another one does its work; or to be found again.
pub(crate) const SHORT_PATIENCE: Duration = Duration::from_secs(2);

/// How long a shim may take to start a process, from a disk or a file server that may be slow.
pub(crate) const LONG_PATIENCE: Duration = Duration::from_secs(60);

/// A connection to a shim. Cheap to clone; dropping the last clone closes it and leaves the shim alone.
#[derive(Debug, Clone)]
pub(crate) struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wire: Arc<Wire>,
    /// The shim's process: our own child, or one that was adopted.
    pidfd: OwnedFd,
    /// It can keep descriptors.
    keeps: bool,
}

/// What the reader and the senders share.
#[derive(Debug)]
struct Wire {
    socket: AsyncFd<UnixStream>,
    sending: tokio::sync::Mutex<()>,
    next: AtomicU64,
    /// `None` once the connection has ended.
    waiting: Mutex<Option<Waiting>>,
}

/// Who waits for the answer to which request.
type Waiting = HashMap<u64, oneshot::Sender<Result<Answer, Failure>>>;

/// What comes from a shim unasked.
pub(crate) type Events = mpsc::UnboundedReceiver<Event>;

impl Link {
    /// The connection to a shim that was just started.
    pub(crate) fn of_child(spawned: Spawned) -> Result<(Self, Events)> {
        let Spawned { pidfd, control, .. } = spawned;
        match pidfd.try_clone().context(|| "keep the shim's descriptor") {
            Ok(reaped) => Self::over(control, Buffer::default(), Vec::new(), (pidfd, Some(reaped)), true),
            Err(error) => {
                abandon(&pidfd);
                Err(error)
            }
        }
    }

    /// Looks for the shim that lives in `run_dir`. Blocks until it answers.
    ///
    /// # Errors
    /// `ResourceExhausted` where this process cannot even ask.
    pub(crate) fn find(run_dir: &Path) -> Result<Occupant> {
        let error = match Self::adopt(run_dir) {
            Ok((shim, state)) => return Ok(Occupant::Adopted(shim, Box::new(state))),
            Err(error) => error,
        };
        // That it did not answer, or not in our words, says nothing about what it has under its hands. Only where nobody
        // listens there is none.
        let shim = dhow_shim::process(run_dir);
        match shim.as_ref().err().map_or(error.class(), Error::class) {
            Class::ResourceExhausted => Err(error),
            Class::NotFound | Class::Unavailable if shim.is_err() => Ok(Occupant::Nobody),
            _ => Ok(Occupant::OutOfReach(OutOfReach { error, pidfd: shim.ok() })),
        }
    }

    fn adopt(run_dir: &Path) -> Result<(Adopted, State)> {
        let (connection, state) = Connection::adopt(run_dir)?;
        let pidfd = dhow_shim::process(run_dir)?;
        Ok((Adopted { connection, pidfd, keeps: state.kept.is_some() }, state))
    }

    /// Ends the shim that lives in `run_dir`, if one does, without asking: one that is stuck does not answer. Says
    /// whether there was one.
    pub(crate) fn kill_shim_of(run_dir: &Path) -> bool {
        let killed = dhow_shim::process(run_dir).and_then(|pidfd| {
            rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).map_err(io::Error::from).context(|| "kill a shim")
        });
        killed.is_ok()
    }

    fn over(
        socket: UnixStream,
        buffer: Buffer,
        early: Vec<Message>,
        (pidfd, reaped): (OwnedFd, Option<OwnedFd>),
        keeps: bool,
    ) -> Result<(Self, Events)> {
        let prepared = socket.set_nonblocking(true).and_then(|()| readiness::watch_socket(socket));
        // One that is ours and has no reader would never be reaped.
        let prepared = prepared.inspect_err(|_| reaped.iter().for_each(abandon));
        let wire = Arc::new(Wire {
            socket: prepared.context(|| "watch the connection to the shim")?,
            sending: tokio::sync::Mutex::default(),
            next: AtomicU64::new(1 << 32),
            waiting: Mutex::new(Some(HashMap::new())),
        });
        let (sender, events) = mpsc::unbounded_channel();
        tokio::spawn(read(Arc::clone(&wire), buffer, early, sender, reaped));
        Ok((Self(Arc::new(Inner { wire, pidfd, keeps })), events))
    }

    /// Asks; the answer comes later. A shim that does not even take the question is stuck.
    pub(crate) async fn begin(&self, op: Op, fds: &[BorrowedFd<'_>]) -> Result<Pending> {
        let (sender, receiver) = oneshot::channel();
        let seq = self.0.wire.next.fetch_add(1, Ordering::Relaxed);
        let frame = frame::encode(&Request { seq, op })?;
        self.0.wire.expect(seq, sender)?;
        let sent = tokio::time::timeout(PATIENCE, self.0.wire.send(&frame, fds)).await;
        // No answer comes to what was not sent.
        let sent = sent.unwrap_or_else(|_| Err(stuck())).inspect_err(|_| self.0.wire.expect_no_more(seq));
        sent.map(|()| Pending(receiver))
    }

    /// Asks and waits for the answer, however long that takes.
    pub(crate) async fn call(&self, op: Op, fds: &[BorrowedFd<'_>]) -> Result<Answer> {
        self.begin(op, fds).await?.wait().await
    }

    /// Asks for something that takes no time; a shim that does not answer is stuck.
    pub(crate) async fn ask(&self, op: Op) -> Result<Answer> {
        tokio::time::timeout(PATIENCE, self.call(op, &[])).await.map_err(|_| stuck())?
    }

    /// Has the shim keep descriptors for the next engine.
    pub(crate) async fn keep(&self, keepsakes: Vec<(&'static str, OwnedFd)>) -> Result<Vec<Pending>> {
        let mut answers = Vec::new();
        for (name, fd) in keepsakes.into_iter().filter(|_| self.0.keeps) {
            answers.push(self.begin(Op::Keep { name: name.to_owned() }, &[fd.as_fd()]).await?);
        }
        Ok(answers)
    }

    /// Whether the connection has ended. What came before is told by the events, in their turn.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.wire.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// The shim's number; `None` when it is gone (proc_pid_fdinfo(5)).
    pub(crate) fn shim(&self) -> Option<i32> {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.pidfd.as_raw_fd())).ok()?;
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
        Some(pid).filter(|pid| *pid > 0)
    }

    /// Ends the shim without asking.
    pub(crate) fn kill_shim(&self) {
        // It is gone already if this fails.
        let _ = rustix::process::pidfd_send_signal(&self.0.pidfd, Signal::KILL);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The reader sees the end, and reaps the shim if it is our child. It may have closed already.
        let _ = self.wire.socket.get_ref().shutdown(std::net::Shutdown::Both);
    }
}

/// An answer that has not come yet.
#[derive(Debug)]
pub(crate) struct Pending(oneshot::Receiver<Result<Answer, Failure>>);

impl Pending {
    pub(crate) async fn wait(self) -> Result<Answer> {
        Ok(self.0.await.map_err(|_| gone())??)
    }

    /// Whether the answer comes, from a shim that has nothing else to do.
    pub(crate) async fn comes_soon(self) -> bool {
        tokio::time::timeout(SHORT_PATIENCE, self.wait()).await.is_ok_and(|answer| answer.is_ok())
    }

    /// Waits as long as a shim may take for something of which it does not know how long it takes.
    pub(crate) async fn wait_patiently(self) -> Result<Answer> {
        tokio::time::timeout(LONG_PATIENCE, self.wait()).await.map_err(|_| stuck())?
    }
}

/// Who lives in the run directory of a container.
#[derive(Debug)]
pub(crate) enum Occupant {
    Nobody,
    /// A shim that answers.
    Adopted(Adopted, Box<State>),
    /// A shim that nobody can talk to.
    OutOfReach(OutOfReach),
}

/// A shim that lives and cannot be adopted.
#[derive(Debug)]
pub(crate) struct OutOfReach {
    /// Why not.
    pub(crate) error: Error,
    pidfd: Option<OwnedFd>,
}

impl OutOfReach {
    /// Tells the end of the shim, by closing the channel. `None`: nobody can know of it. Needs the runtime.
    pub(crate) fn watch(self) -> Option<Events> {
        let watched = readiness::watch(self.pidfd?).ok()?;
        let (sender, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // Whatever comes of it, nothing comes after it.
            let _ = watched.readable().await;
            drop(sender);
        });
        Some(events)
    }
}

/// A shim that was found and is not watched yet.
#[derive(Debug)]
pub(crate) struct Adopted {
    connection: Connection,
    pidfd: OwnedFd,
    keeps: bool,
}

impl Adopted {
    /// Ends it without asking.
    pub(crate) fn kill(&self) {
        // It is gone already if this fails.
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    /// Copies of what it keeps, by name. A kernel before 5.6 gives none.
    pub(crate) fn kept(&self, state: &State) -> Vec<(String, OwnedFd)> {
        let copy = |keepsake: &Keepsake| {
            let copy = rustix::process::pidfd_getfd(&self.pidfd, keepsake.fd, PidfdGetfdFlags::empty());
            copy.map(|fd| (keepsake.name.clone(), fd))
        };
        let kept = state.kept.iter().flatten().map(copy).collect::<rustix::io::Result<_>>();
        kept.inspect_err(|error| tracing::warn!(%error, "take over what a shim keeps")).unwrap_or_default()
    }

    /// Watches it from now on; needs the runtime.
    pub(crate) fn watch(self) -> Result<(Link, Events)> {
        let (socket, buffer, early) = self.connection.into_parts();
        Link::over(socket, buffer, early.into(), (self.pidfd, None), self.keeps)
    }
}

/// Ends a shim that was just started and has nobody to be connected to.
pub(crate) fn abandon(pidfd: &OwnedFd) {
    // It is our child and not reaped, so both reach it.
    let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
    let _ = dhow_shim::reap(pidfd);
}

fn stuck() -> Error {
    Error::deadline("the container's shim does not answer")
}

/// What is said of a container that runs and has no shim which could be asked.
pub(crate) fn out_of_reach() -> Error {
    Error::unavailable("the container's shim cannot be reached by this engine").with_hint(
        "`inspect` says why; the engine tries again, now or after a restart, and `rm --force` ends the container",
    )
}

fn gone() -> Error {
    Error::unavailable("the container's shim has gone away")
}

impl Wire {
    fn expect(&self, seq: u64, sender: oneshot::Sender<Result<Answer, Failure>>) -> Result<()> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().ok_or_else(gone)?.insert(seq, sender);
        Ok(())
    }

    fn expect_no_more(&self, seq: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.as_mut().map(|waiting| waiting.remove(&seq));
    }

    /// Sends one frame whole, before anybody else's.
    async fn send(&self, frame: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let _turn = self.sending.lock().await;
        let mut whole = Whole { socket: self.socket.get_ref(), sent: 0, length: frame.len() };
        while whole.sent < frame.len() {
            let fds = if whole.sent == 0 { fds } else { &[] };
            let write = |socket: &UnixStream| dhow_sys::fdpass::send(socket.as_fd(), &frame[whole.sent..], fds);
            let result = self.socket.async_io(Interest::WRITABLE, write).await;
            whole.sent += result.map_err(|error| gone().with_cause(error))?;
        }
        Ok(())
    }

    fn answered(&self, seq: u64, result: Result<Answer, Failure>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = waiting.as_mut().and_then(|waiting| waiting.remove(&seq)) {
            // Who asked may not want to know any more.
            let _ = sender.send(result);
        }
    }

    fn ended(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A frame that is being sent. Who asks may lose patience in the middle of it; after half a frame nothing that follows
/// could be understood, so the connection ends.
struct Whole<'a> {
    socket: &'a UnixStream,
    sent: usize,
    length: usize,
}

impl Drop for Whole<'_> {
    fn drop(&mut self) {
        if self.sent != 0 && self.sent != self.length {
            // It may have been closed already.
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// Reads until the shim closes the connection, then reaps it if it is ours.
async fn read(
    wire: Arc<Wire>,
    mut buffer: Buffer,
    early: Vec<Message>,
    events: mpsc::UnboundedSender<Event>,
    reaped: Option<OwnedFd>,
) {
    let deliver = |message| match message {
        Message::Response { seq, result } => wire.answered(seq, result),
        // A container whose owner has gone is not interested.
        Message::Event(event) => drop(events.send(event)),
    };
    early.into_iter().for_each(deliver);
    loop {
        match buffer.decode::<Message>() {
            Ok(Some(message)) => {
                deliver(message);
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a shim speaks nonsense; its connection is closed");
                break;
            }
        }
        match wire.socket.async_io(Interest::READABLE, |socket| buffer.fill(socket)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    wire.ended();
    drop(events);
    if let Some(pidfd) = reaped {
        reap(pidfd).await;
    }
}

async fn reap(pidfd: OwnedFd) {
    let copy = pidfd.try_clone();
    let watched = match readiness::watch(pidfd) {
        Ok(watched) => watched,
        Err(error) => {
            tracing::warn!(%error, "cannot watch a shim to reap it; a thread waits for it");
            if let Ok(copy) = copy {
                drop(tokio::task::spawn_blocking(move || dhow_shim::reap(&copy)));
            }
            return;
        }
    };
    if watched.readable().await.is_ok() {
        // Somebody else has reaped it if this fails.
        let _ = dhow_shim::reap(watched.get_ref());
    }
}
