//! The engine's end of a connection, for callers that may block.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use dhow_errdefs::{Error, Result, ResultExt};

use crate::address;
use crate::frame::{self, Buffer};
use crate::protocol::{Answer, Event, Message, Op, Request, State, VERSION};

/// How long a shim that is to be adopted may take to answer. It may be ending its container, which takes ten seconds at
/// most; one that takes longer is stuck, and nobody must wait for it for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// A blocking connection to a shim. An asynchronous engine takes [`Connection::into_parts`], and uses
/// [`frame::encode`] and [`Buffer`] itself.
#[derive(Debug)]
pub struct Connection {
    socket: UnixStream,
    buffer: Buffer,
    next: u64,
    /// Messages that arrived while an answer was waited for.
    early: VecDeque<Message>,
}

impl Connection {
    /// A connection over a socket, usually [`Spawned::control`](crate::Spawned::control).
    #[must_use]
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, buffer: Buffer::default(), next: 0, early: VecDeque::new() }
    }

    /// Connects to the shim that lives in `run_dir` and subscribes to its events.
    ///
    /// # Errors
    /// `NotFound` or `Unavailable` when none lives there, `NotImplemented` when it speaks another version,
    /// `DeadlineExceeded` when it has not answered after 30 seconds.
    pub fn adopt(run_dir: &Path) -> Result<(Self, State)> {
        let mut connection = Self::new(address::connect(run_dir)?);
        connection.set_patience(Some(PATIENCE))?;
        let answer = connection.call(Op::Subscribe, &[])?;
        connection.set_patience(None)?;
        match answer {
            Answer::State(state) if state.version == VERSION => Ok((connection, state)),
            Answer::State(state) => {
                Err(Error::not_implemented(format!("the shim speaks version {}, not {VERSION}", state.version)))
            }
            answer => Err(Error::internal(format!("the shim answered a subscription with {answer:?}"))),
        }
    }

    fn set_patience(&self, patience: Option<Duration>) -> Result<()> {
        let set = self.socket.set_read_timeout(patience).and_then(|()| self.socket.set_write_timeout(patience));
        set.context(|| "prepare the connection to a shim")
    }

    /// Sends a request and returns its number.
    ///
    /// # Errors
    /// `Unavailable` when the shim is gone.
    pub fn send(&mut self, op: Op, fds: &[BorrowedFd<'_>]) -> Result<u64> {
        self.next += 1;
        frame::send(&self.socket, &Request { seq: self.next, op }, fds)?;
        Ok(self.next)
    }

    /// The next message; `None` when the shim has closed the connection.
    ///
    /// # Errors
    /// `DataLoss` for what is no message.
    pub fn receive(&mut self) -> Result<Option<Message>> {
        match self.early.pop_front() {
            Some(message) => Ok(Some(message)),
            None => self.receive_new(),
        }
    }

    fn receive_new(&mut self) -> Result<Option<Message>> {
        loop {
            if let Some(message) = self.buffer.decode()? {
                return Ok(Some(message));
            }
            match self.buffer.fill(&self.socket) {
                Ok(0) => return Ok(None),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                // socket(7), SO_RCVTIMEO: this is how patience ends.
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(Error::deadline("the shim does not answer"));
                }
                result => result.context(|| "receive from the shim")?,
            };
        }
    }

    /// Sends a request and waits for its answer; other messages that arrive meanwhile come with the next
    /// [`Connection::receive`].
    ///
    /// # Errors
    /// The shim's answer when it is an error; `Unavailable` when the shim went away.
    pub fn call(&mut self, op: Op, fds: &[BorrowedFd<'_>]) -> Result<Answer> {
        let seq = self.send(op, fds)?;
        self.answer_to(seq)
    }

    /// Waits for the answer to a request sent before.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub fn answer_to(&mut self, seq: u64) -> Result<Answer> {
        let is_it = |message: &Message| matches!(message, Message::Response { seq: found, .. } if *found == seq);
        let mut found = self.early.iter().position(is_it).and_then(|at| self.early.remove(at));
        loop {
            match found {
                Some(Message::Response { seq: answered, result }) if answered == seq => return Ok(result?),
                Some(message) => self.early.push_back(message),
                None => {}
            }
            let message = self.receive_new()?;
            found = Some(message.ok_or_else(|| Error::unavailable("the shim went away without an answer"))?);
        }
    }

    /// The next event; answers that come before it are kept. `None` when the shim has closed the connection.
    ///
    /// # Errors
    /// As [`Connection::receive`].
    pub fn next_event(&mut self) -> Result<Option<Event>> {
        let mut found = self
            .early
            .iter()
            .position(|message| matches!(message, Message::Event(_)))
            .and_then(|at| self.early.remove(at));
        loop {
            match found {
                Some(Message::Event(event)) => return Ok(Some(event)),
                Some(message) => self.early.push_back(message),
                None => {}
            }
            match self.receive_new()? {
                None => return Ok(None),
                message => found = message,
            }
        }
    }

    /// The socket, the bytes that were received and not decoded yet, and the messages decoded and not taken yet.
    #[must_use]
    pub fn into_parts(self) -> (UnixStream, Buffer, VecDeque<Message>) {
        (self.socket, self.buffer, self.early)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
