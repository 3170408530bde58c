//! A client attached to a process's streams, at the other end of its own socket.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::net::RecvFlags;

use crate::detach::Scanner;
use crate::poll::{Interest, Poll, Token};
use crate::protocol::Attach;
use crate::queue::{Queue, Read, send_now};

/// So many bytes may wait for a client before the process's output is held back for it (Docker's limit is 1,000,000).
pub(crate) const HOLD: usize = 1 << 20;

/// Which output a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Stdout,
    Stderr,
}

/// Who gets the answer when a client is done: a connection, and the number of the request there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    pub(crate) control: u32,
    pub(crate) seq: u64,
}

/// An attached client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) token: Token,
    socket: OwnedFd,
    wants_stdout: bool,
    wants_stderr: bool,
    multiplex: bool,
    pub(crate) scanner: Scanner,
    /// It may still send input that anybody wants.
    input_open: bool,
    queue: Queue,
    life: Life,
    interest: Interest,
    pub(crate) reply: Option<ReplyTo>,
    /// It left before the process ended.
    pub(crate) early: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Attached,
    /// Gets what is in its queue, and nothing after.
    Leaving,
    Gone,
}

impl Client {
    pub(crate) fn new(attach: &mut Attach, socket: OwnedFd, token: Token, reply: Option<ReplyTo>) -> Self {
        Self {
            token,
            socket,
            wants_stdout: attach.stdout,
            wants_stderr: attach.stderr,
            multiplex: attach.multiplex,
            scanner: Scanner::new(std::mem::take(&mut attach.detach_keys)),
            input_open: attach.stdin,
            queue: Queue::default(),
            life: Life::Attached,
            interest: Interest::default(),
            reply,
            early: false,
        }
    }

    pub(crate) fn watch(&mut self, poll: &Poll) -> dhow_errdefs::Result<()> {
        self.interest = self.wanted_interest(true);
        poll.add(&self.socket, self.token, self.interest)
    }

    /// Waits for what there is to wait for. `input_room`: the process takes input.
    pub(crate) fn update_interest(&mut self, poll: &Poll, input_room: bool) {
        let wanted = self.wanted_interest(input_room);
        if wanted != self.interest {
            self.interest = wanted;
            poll.change(&self.socket, self.token, wanted);
        }
    }

    fn wanted_interest(&self, input_room: bool) -> Interest {
        Interest { read: self.takes_input() && input_room, write: !self.queue.is_empty() }
    }

    pub(crate) fn unwatch(&self, poll: &Poll) {
        poll.remove(&self.socket);
    }

    /// Input of it is for the process.
    pub(crate) fn takes_input(&self) -> bool {
        self.input_open && self.life == Life::Attached
    }

    /// It has sent its last byte.
    pub(crate) fn end_input(&mut self) {
        self.input_open = false;
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> Read {
        let receive = || rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT).map(|(count, _)| count);
        retry(receive).into()
    }

    /// Sends output, or queues what does not go at once.
    pub(crate) fn send(&mut self, output: Output, bytes: &[u8]) {
        let wanted = match output {
            Output::Stdout => self.wants_stdout,
            Output::Stderr => self.wants_stderr,
        };
        if self.life != Life::Attached || !wanted {
            return;
        }
        let header = header(output, bytes.len());
        let header = if self.multiplex { &header[..] } else { &[] };
        let mut sent = 0;
        if self.queue.is_empty() {
            match send_now(&self.socket, &[IoSlice::new(header), IoSlice::new(bytes)]) {
                Ok(count) => sent = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.lose(),
            }
        }
        if sent < header.len() {
            self.queue.push(&header[sent..]);
        }
        self.queue.push(&bytes[sent.saturating_sub(header.len())..]);
    }

    /// Sends what is queued.
    pub(crate) fn flush(&mut self) {
        let socket = &self.socket;
        if self.queue.flush(|bytes| send_now(socket, &[IoSlice::new(bytes)])).is_err() {
            self.lose();
        }
    }

    /// So much waits for it that the process has to wait too.
    pub(crate) fn holds_output(&self) -> bool {
        self.life == Life::Attached && self.queue.len() >= HOLD
    }

    /// Ends the session after what is queued; `early`: while the process goes on.
    pub(crate) fn leave(&mut self, early: bool) {
        if self.life == Life::Attached {
            self.life = Life::Leaving;
            self.early = early;
        }
    }

    /// The other end is gone.
    pub(crate) fn lose(&mut self) {
        if self.life == Life::Attached {
            self.early = true;
        }
        self.life = Life::Gone;
        self.queue = Queue::default();
    }

    /// Nothing is left to be done for it.
    pub(crate) fn is_done(&self) -> bool {
        self.life != Life::Attached && self.queue.is_empty()
    }

    /// Takes what the client sent and nobody wants: closing a unix socket with unread bytes would give the client a
    /// reset instead of the end.
    pub(crate) fn discard_input(&self, buffer: &mut [u8]) {
        for _ in 0..16 {
            if !matches!(self.read(buffer), Read::Bytes(_)) {
                return;
            }
        }
    }

    /// Tells a client that left early that it is over, whoever else still has its socket open (the engine keeps an
    /// exec's until the exit code is known).
    pub(crate) fn hang_up(&self) {
        if self.early {
            // It may have gone already.
            let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        }
    }
}

fn retry(mut receive: impl FnMut() -> rustix::io::Result<usize>) -> rustix::io::Result<usize> {
    rustix::io::retry_on_intr(&mut receive)
}

/// Docker's header of a frame: the stream (1 output, 2 error), three zeros, the length in network order (Engine API,
/// "Attach to a container", stream format).
fn header(output: Output, length: usize) -> [u8; 8] {
    let stream = match output {
        Output::Stdout => 1,
        Output::Stderr => 2,
    };
    let [a, b, c, d] = (length as u32).to_be_bytes();
    [stream, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn client(multiplex: bool) -> (Client, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let mut attach = Attach { stdout: true, stderr: false, multiplex, ..Attach::default() };
        (Client::new(&mut attach, near.into(), Token::Client(0, 0), None), far)
    }

    #[test]
    fn frames_are_dockers() {
        let (mut client, mut far) = client(true);
        client.send(Output::Stdout, b"hello");
        client.send(Output::Stderr, b"not wanted");
        drop(client);
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"\x01\0\0\0\0\0\0\x05hello");
        assert_eq!(header(Output::Stderr, 0x0102_0304), [2, 0, 0, 0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_stalled_client_gets_everything_in_order_later() {
        let (mut client, mut far) = client(false);
        let chunk: Vec<u8> = (0..=255).cycle().take(60_000).collect();
        let mut sent = 0;
        while !client.holds_output() {
            client.send(Output::Stdout, &chunk);
            sent += chunk.len();
        }
        client.leave(false);
        let mut received = Vec::new();
        let mut buffer = [0; 65_536];
        while !client.is_done() {
            let count = far.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..count]);
            client.flush();
        }
        drop(client);
        far.read_to_end(&mut received).unwrap();
        assert_eq!(received.len(), sent);
        assert!(received.chunks(chunk.len()).all(|part| part == chunk));
    }

    #[test]
    fn a_client_that_is_gone_is_done() {
        let (mut client, far) = client(false);
        drop(far);
        client.send(Output::Stdout, b"x");
        assert!(client.is_done() && client.early);
    }
}
