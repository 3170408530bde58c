//! A process's standard input, seen from the outside.

use std::os::fd::OwnedFd;

use crate::poll::{Direction, Interest, Poll, Token};
use crate::queue::{Queue, write_now};

/// So many bytes may wait for the process before its clients have to wait.
const ROOM: usize = 64 * 1024;

/// Input on its way to the process. It can begin before the process is there.
#[derive(Debug)]
pub(crate) struct Stdin {
    token: Token,
    end: End,
    queue: Queue,
    /// End of file follows the last byte in the queue.
    closing: bool,
}

#[derive(Debug)]
enum End {
    /// The process is not there yet.
    Awaited,
    /// A pipe or terminal; `watched` while it is full.
    Open { fd: OwnedFd, watched: bool },
    /// Nobody reads any more: input goes nowhere.
    Closed,
}

impl Stdin {
    pub(crate) fn awaited(process: u32) -> Self {
        let token = Token::Stream(process, Direction::Stdin);
        Self { token, end: End::Awaited, queue: Queue::default(), closing: false }
    }

    /// The process is there; `None`: it reads nothing from us.
    pub(crate) fn connect(&mut self, fd: Option<OwnedFd>, poll: &Poll) {
        self.end = fd.map_or(End::Closed, |fd| End::Open { fd, watched: false });
        self.flush(poll);
    }

    /// Whether clients may send more.
    pub(crate) fn has_room(&self) -> bool {
        match self.end {
            End::Awaited => false,
            End::Open { .. } => self.queue.len() < ROOM,
            End::Closed => true,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8], poll: &Poll) {
        if self.closing || matches!(self.end, End::Closed) {
            return;
        }
        self.queue.push(bytes);
        self.flush(poll);
    }

    /// End of file, after what was pushed.
    pub(crate) fn close(&mut self, poll: &Poll) {
        self.closing = true;
        self.flush(poll);
    }

    /// Writes what goes at once, and waits for room for the rest.
    pub(crate) fn flush(&mut self, poll: &Poll) {
        let End::Open { fd, watched } = &mut self.end else { return };
        let broken = self.queue.flush(|bytes| write_now(&*fd, bytes)).is_err();
        let full = !broken && !self.queue.is_empty();
        if full && !*watched {
            // Without a watch the rest goes with the next input; there is nothing better to be done.
            *watched = poll.add(&*fd, self.token, Interest::WRITE).is_ok();
        }
        if !full && *watched {
            poll.remove(&*fd);
            *watched = false;
        }
        if broken || (self.closing && !full) {
            self.end = End::Closed;
            self.queue = Queue::default();
        }
    }
}
