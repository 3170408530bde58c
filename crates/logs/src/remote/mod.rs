//! Sending lines to another program: a syslog server, systemd's journal.
//!
//! Nothing here waits. What a target does not take at once is queued, and what happens when the queue is full is decided
//! by the log's mode: with `non-blocking` the line is lost and counted; with `blocking` the container is held back, but
//! only for as long as [`PATIENCE`] without any progress. After that lines are lost and counted until the target takes
//! again: a log server that was paused must not stop what it watches.

mod journald;
mod link;
mod session;
mod syslog;
mod target;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use rustls::ClientConfig;

use crate::queue::{Queue, Waiting};
use crate::{Stream, Timestamp};
use link::{Attempt, Link};
pub use session::Secrecy;
pub use syslog::{Layout, Syslog};
pub use target::{Address, Target};

/// How long a container is held back for a target that takes nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the end of a container waits for a target that takes nothing, and for one that takes something.
const FAREWELL: Duration = Duration::from_secs(1);
const LONG_FAREWELL: Duration = Duration::from_secs(5);

/// Bytes that wait before the container is held back.
const HOLD: usize = 256 * 1024;

/// Between two attempts to connect again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How much is laid out for a stream at a time.
const BATCH: usize = 16 * 1024;

/// Lays messages out for a target.
#[derive(Debug)]
enum Encoder {
    Syslog(syslog::Encoder),
    Journald(journald::Encoder),
}

impl Encoder {
    fn new(target: &Target) -> Self {
        match target.clone() {
            Target::Syslog { layout, tag, hostname, .. } => Self::Syslog(syslog::Encoder::new(layout, tag, hostname)),
            Target::Journald { fields, .. } => Self::Journald(journald::Encoder::new(&fields)),
        }
    }

    fn encode(&mut self, out: &mut Vec<u8>, waiting: &Waiting<'_>) {
        match self {
            Self::Syslog(encoder) => encoder.encode(out, waiting.stream, waiting.time, waiting.line),
            Self::Journald(encoder) => encoder.encode(out, waiting),
        }
    }
}

/// A target and what is on its way there.
#[derive(Debug)]
pub(crate) struct Remote {
    target: Target,
    /// How to keep connections secret, if they are.
    tls: Option<Arc<ClientConfig>>,
    encoder: Encoder,
    /// An epoll(7) instance with the socket and the timer: the one descriptor that the shim waits for.
    waiter: OwnedFd,
    timer: OwnedFd,
    link: Option<Link>,
    /// The socket is watched for room.
    watching_room: bool,
    /// When to connect again, and how long to wait after that.
    retry: Option<(Instant, Duration)>,
    attempts: usize,
    queue: Queue,
    /// Laid out and partly sent.
    outgoing: Vec<u8>,
    sent: usize,
    /// Messages in it.
    messages: u64,
    /// Messages that the link has taken, but not given to its socket.
    in_flight: u64,
    /// Bytes that may wait before lines are lost; `None`: the container is held back first.
    buffer: Option<usize>,
    /// The container is held back until then at most.
    deadline: Option<Instant>,
    /// It was held back long enough.
    given_up: bool,
    /// Lines that were not taken, ever.
    lost: u64,
    /// Of those, what the log was not told yet, once there was a loss.
    losing: Option<u64>,
    note: Option<String>,
}

impl Remote {
    /// Connects to the target.
    ///
    /// # Errors
    /// When it cannot be reached, in Docker's words.
    pub(crate) fn open(target: &Target, buffer: Option<u64>) -> Result<Self> {
        let tls = match target {
            Target::Syslog { address: Address::Tls(_, secrecy), .. } => {
                Some(secrecy.config().context(|| "failed to initialize logging driver")?)
            }
            _ => None,
        };
        let link = connect(target, tls.as_ref())?;
        let context = || "prepare to wait for a log target";
        let waiter = epoll::create(CreateFlags::CLOEXEC).map_err(io::Error::from).context(context)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(io::Error::from).context(context)?;
        epoll::add(&waiter, &timer, EventData::new_u64(0), EventFlags::IN).map_err(io::Error::from).context(context)?;
        let mut remote = Self {
            encoder: Encoder::new(target),
            target: target.clone(),
            tls,
            waiter,
            timer,
            link: None,
            watching_room: false,
            retry: None,
            attempts: 0,
            queue: Queue::default(),
            outgoing: Vec::new(),
            sent: 0,
            messages: 0,
            in_flight: 0,
            buffer: buffer.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            deadline: None,
            given_up: false,
            lost: 0,
            losing: None,
            note: None,
        };
        remote.take_up(link);
        Ok(remote)
    }

    /// A line without its newline; `more`: it goes on in the next one. [`Remote::send`] sends it.
    pub(crate) fn push(&mut self, stream: Stream, time: Timestamp, line: &[u8], more: bool) {
        let limit = match self.buffer {
            Some(limit) => limit,
            None if self.given_up => HOLD,
            // What was read is kept; no more is read.
            None => usize::MAX,
        };
        if self.queue.len() > 0 && self.queue.len() + Queue::size_of(line) > limit {
            return self.lose(1);
        }
        self.queue.push(&Waiting { stream, time, more, line });
    }

    fn lose(&mut self, lines: u64) {
        self.lost += lines;
        if self.losing.is_none() {
            self.note =
                Some(format!("dhow: {} takes no more: lines are lost there from here on\n", self.target.name()));
        }
        *self.losing.get_or_insert(0) += lines;
    }

    /// Sends what goes at once, and sees to the rest.
    pub(crate) fn send(&mut self) {
        let before = (self.queue.lines(), self.sent);
        while let Some(link) = self.link.as_mut().filter(|link| !link.connecting) {
            if self.outgoing.is_empty()
                && !lay_out(&mut self.queue, &mut self.encoder, link, &mut self.outgoing, &mut self.messages)
            {
                break;
            }
            match link.send(&self.outgoing[self.sent..]) {
                Ok(count) => self.advance(count),
                Err(Errno::AGAIN) => break,
                Err(errno) => self.on_error(errno),
            }
        }
        if self.link.as_mut().is_none_or(|link| !link.has_more()) {
            self.in_flight = 0;
        }
        let progress = before != (self.queue.lines(), self.sent);
        self.settle(progress);
    }

    fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.outgoing.len() {
            self.in_flight = self.messages;
            self.outgoing.clear();
            self.sent = 0;
            self.messages = 0;
        }
    }

    fn on_error(&mut self, errno: Errno) {
        let datagrams = self.link.as_ref().is_some_and(|link| link.datagrams);
        match errno {
            // The kernel tells of a datagram that was sent before; this one was not sent and is now.
            Errno::CONNREFUSED if datagrams && self.is_udp() => {}
            Errno::MSGSIZE => {
                self.lose(self.messages);
                self.advance(self.outgoing.len() - self.sent);
            }
            _ => self.disconnect(),
        }
    }

    fn is_udp(&self) -> bool {
        matches!(&self.target, Target::Syslog { address: Address::Udp(_), .. })
    }

    /// The connection is no more. A message that was sent in part is sent again.
    fn disconnect(&mut self) {
        if let Some(mut link) = self.link.take() {
            let _ = epoll::delete(&self.waiter, &link);
            if link.has_more() && self.in_flight > 0 {
                self.lose(self.in_flight);
            }
        }
        self.in_flight = 0;
        self.watching_room = false;
        let whole = memchr::memrchr(b'\n', &self.outgoing[..self.sent]).map_or(0, |at| at + 1);
        self.messages -= memchr::memchr_iter(b'\n', &self.outgoing[..whole]).count() as u64;
        self.outgoing.drain(..whole);
        self.sent = 0;
        let pause = self.retry.map_or(RETRY.0, |(_, pause)| (pause * 2).min(RETRY.1));
        self.retry = Some((Instant::now() + pause, pause));
    }

    fn take_up(&mut self, link: Link) {
        let flags = if link.connecting { EventFlags::OUT } else { EventFlags::IN };
        self.watching_room = link.connecting;
        match epoll::add(&self.waiter, &link, EventData::new_u64(1), flags) {
            Ok(()) => self.link = Some(link),
            Err(_) => self.disconnect(),
        }
    }

    /// Waits for what there is to wait for.
    fn settle(&mut self, progress: bool) {
        let waits = self.queue.lines() > 0 || !self.outgoing.is_empty();
        if let Some(link) = self.link.as_mut().filter(|link| !link.connecting) {
            self.retry = self.retry.filter(|_| !progress);
            let wants_room = link.wants_room(waits);
            if wants_room != self.watching_room {
                self.watching_room = wants_room;
                let flags = if wants_room { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
                // It fails only for what is not watched, and that is.
                let _ = epoll::modify(&self.waiter, link, EventData::new_u64(1), flags);
            }
        }
        if self.queue.len() < HOLD {
            self.deadline = None;
            if self.given_up && self.queue.len() < HOLD / 2 {
                self.given_up = false;
            }
        } else if self.buffer.is_none() && !self.given_up && (progress || self.deadline.is_none()) {
            self.deadline = Some(Instant::now() + PATIENCE);
        }
        if progress && self.queue.len() < HOLD / 2 && !self.given_up {
            self.tell_losses();
        }
        self.arm();
    }

    fn tell_losses(&mut self) {
        if let Some(lines) = self.losing.take() {
            self.note = Some(format!("dhow: {lines} lines did not reach {}\n", self.target.name()));
        }
    }

    fn arm(&self) {
        let retry = self.retry.filter(|_| self.link.is_none()).map(|(at, _)| at);
        let ready = self.link.as_ref().and_then(Link::deadline);
        let next = [retry, self.deadline, ready].into_iter().flatten().min();
        // Zero would disarm it.
        let rest =
            next.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()).max(Duration::from_nanos(1)));
        let value = Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: i64::from(rest.subsec_nanos()) as _ };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        // It fails only for what is no timer.
        let _ = timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec { it_interval: zero, it_value: value },
        );
    }

    /// Something happened on the descriptor, or time has passed.
    pub(crate) fn on_ready(&mut self) {
        // Level-triggered: an expiry that is not read would be told for ever.
        let _ = rustix::io::read(&self.timer, &mut [0; 8]);
        self.check_link();
        let now = Instant::now();
        if self.deadline.is_some_and(|at| at <= now) {
            self.deadline = None;
            self.given_up = true;
        }
        if self.link.is_none() && self.retry.is_none_or(|(at, _)| at <= now) {
            self.attempts = self.attempts.wrapping_add(1);
            match Link::open(&self.target, self.tls.as_ref(), Attempt::Again(self.attempts)) {
                Ok(link) => self.take_up(link),
                Err(_) => self.disconnect(),
            }
        }
        self.send();
    }

    fn check_link(&mut self) {
        let Some(link) = &mut self.link else { return };
        let mut fds = [PollFd::new(&link.socket, PollFlags::IN | PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = rustix::event::poll(&mut fds, Some(&now));
        let ready = fds[0].revents();
        let lost = if link.connecting && !ready.is_empty() {
            link.connected().is_err()
        } else {
            ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && !link.is_open()
        };
        if lost || link.deadline().is_some_and(|at| at <= Instant::now()) {
            self.disconnect();
        }
    }

    /// The container has to wait.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.is_none() && !self.given_up && self.queue.len() >= HOLD
    }

    /// Lines that did not reach the target, ever.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// What is to be said in the log.
    pub(crate) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }

    /// No more comes: waits a little for what is still on its way, and counts what did not go.
    pub(crate) fn finish(&mut self) {
        let begin = Instant::now();
        let mut progress = begin;
        self.send();
        while self.queue.lines() > 0 || !self.outgoing.is_empty() || self.link.as_mut().is_some_and(Link::has_more) {
            let end = (progress + FAREWELL).min(begin + LONG_FAREWELL);
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            let mut fds = [PollFd::new(&self.waiter, PollFlags::IN)];
            let rest = Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: i64::from(rest.subsec_nanos()) as _ };
            let _ = rustix::event::poll(&mut fds, Some(&rest));
            let before = (self.queue.lines(), self.sent);
            self.on_ready();
            if before != (self.queue.lines(), self.sent) {
                progress = Instant::now();
            }
        }
        let unsent = self.link.as_mut().is_some_and(|link| {
            link.close();
            link.has_more()
        });
        let left = self.queue.lines() + self.messages + if unsent { self.in_flight } else { 0 };
        if left > 0 {
            self.lose(left);
        }
        self.tell_losses();
    }
}

impl AsFd for Remote {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiter.as_fd()
    }
}

/// Lays the next lines out: one for a datagram, some for a stream. `false`: there are none.
fn lay_out(queue: &mut Queue, encoder: &mut Encoder, link: &Link, out: &mut Vec<u8>, messages: &mut u64) -> bool {
    while out.len() < BATCH && queue.pop(|waiting| encoder.encode(out, &waiting)).is_some() {
        *messages += 1;
        if link.datagrams {
            break;
        }
    }
    !out.is_empty()
}

fn connect(target: &Target, tls: Option<&Arc<ClientConfig>>) -> Result<Link> {
    let failed = |error: io::Error| match (target, error.kind()) {
        (Target::Journald { .. }, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            Error::unavailable("failed to initialize logging driver: journald is not enabled on this host")
        }
        _ => Error::unavailable("failed to initialize logging driver").with_cause(error),
    };
    Link::open(target, tls, Attempt::First).map_err(failed)
}
