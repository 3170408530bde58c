//! A client attached to a process's streams, at the other end of its own socket.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::RecvFlags;

use crate::backlog::Backlog;
use crate::detach::Scanner;
use crate::poll::{Interest, Poll, Token};
use crate::protocol::Attach;
use crate::queue::{Read, send_now};

/// How long the process's output is held back for a client that takes nothing of what waits for it. After that the
/// client misses some, and is told so.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a shim stays for a client that takes nothing of what is left for it, when its process has ended.
pub(crate) const GOODBYE: Duration = Duration::from_secs(600);

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
    backlog: Backlog,
    /// Since when the backlog is full and nothing was taken of it.
    stuck: Option<Instant>,
    /// Bytes of output that it does not get, because it took nothing for too long.
    skipped: Option<u64>,
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
    /// Its other end is closed; what it has sent before is still for the process.
    Heard,
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
            backlog: Backlog::default(),
            stuck: None,
            skipped: None,
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
        // Of one whose other end is closed nothing more is to be told, and would be all the time.
        if self.life == Life::Heard {
            return self.unwatch(poll);
        }
        let wanted = self.wanted_interest(input_room);
        if wanted != self.interest {
            self.interest = wanted;
            poll.change(&self.socket, self.token, wanted);
        }
    }

    fn wanted_interest(&self, input_room: bool) -> Interest {
        Interest { read: self.takes_input() && input_room, write: !self.backlog.is_empty() }
    }

    pub(crate) fn unwatch(&self, poll: &Poll) {
        poll.remove(&self.socket);
    }

    /// Input of it is for the process.
    pub(crate) fn takes_input(&self) -> bool {
        self.input_open && matches!(self.life, Life::Attached | Life::Heard)
    }

    /// Its other end is closed, and what it has sent is not read to the end.
    pub(crate) fn is_heard(&self) -> bool {
        self.life == Life::Heard && self.input_open
    }

    /// Whether it has sent its last byte, and all of them are read.
    pub(crate) fn has_no_more(&self) -> bool {
        let flags = RecvFlags::DONTWAIT | RecvFlags::PEEK;
        let peek = || rustix::net::recv(&self.socket, &mut [0u8; 1][..], flags).map(|(count, _)| count);
        Read::from(retry(peek)) == Read::End
    }

    /// It has sent its last byte.
    pub(crate) fn end_input(&mut self) {
        self.input_open = false;
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> Read {
        let receive = || rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT).map(|(count, _)| count);
        retry(receive).into()
    }

    /// Sends output, or keeps what does not go at once; in a file in `directory`, when it is much.
    pub(crate) fn send(&mut self, output: Output, bytes: &[u8], directory: Option<&Path>) {
        let wanted = match output {
            Output::Stdout => self.wants_stdout,
            Output::Stderr => self.wants_stderr,
        };
        if self.life != Life::Attached || !wanted {
            return;
        }
        if let Some(skipped) = &mut self.skipped {
            *skipped += bytes.len() as u64;
            return;
        }
        let header = header(output, bytes.len());
        let header = if self.multiplex { &header[..] } else { &[] };
        let mut sent = 0;
        if self.backlog.is_empty() {
            match send_now(&self.socket, &[IoSlice::new(header), IoSlice::new(bytes)]) {
                Ok(count) => sent = count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return self.lose(),
            }
        }
        if sent < header.len() {
            self.backlog.push(&header[sent..], directory);
        }
        let rest = &bytes[sent.saturating_sub(header.len())..];
        if !rest.is_empty() {
            self.backlog.push(rest, directory);
        }
    }

    /// Sends what waits.
    pub(crate) fn flush(&mut self) {
        let (socket, stuck) = (&self.socket, &mut self.stuck);
        let send = |bytes: &[u8]| send_now(socket, &[IoSlice::new(bytes)]).inspect(|_| *stuck = None);
        if self.backlog.flush(send).is_err() {
            return self.lose();
        }
        if self.backlog.is_short()
            && let Some(bytes) = self.skipped.take()
        {
            let note = format!("dhow: {bytes} bytes of output are missing here, because nobody read them in time\n");
            self.send(if self.wants_stderr { Output::Stderr } else { Output::Stdout }, note.as_bytes(), None);
        }
    }

    /// So much waits for it that the process has to wait too.
    pub(crate) fn holds_output(&self) -> bool {
        self.life == Life::Attached && self.skipped.is_none() && self.backlog.is_full()
    }

    /// How long it is still waited for, counted from when it took nothing any more: by the shim when it leaves, and before
    /// that by a process that `goes_on` without it. A client that has used that up holds nothing back any more.
    pub(crate) fn patience(&mut self, goes_on: bool) -> Option<Duration> {
        let leaves = self.life == Life::Leaving && !self.backlog.is_empty();
        let keeps_waiting = leaves || goes_on && self.holds_output();
        if !keeps_waiting {
            self.stuck = None;
            return None;
        }
        let most = if leaves { GOODBYE } else { PATIENCE };
        let rest = most.saturating_sub(self.stuck.get_or_insert_with(Instant::now).elapsed());
        if !rest.is_zero() {
            return Some(rest);
        }
        self.stuck = None;
        if leaves {
            self.lose();
        } else {
            self.skipped = Some(0);
        }
        None
    }

    /// Ends the session after what is queued; `early`: while the process goes on.
    pub(crate) fn leave(&mut self, early: bool) {
        match self.life {
            Life::Attached => (self.life, self.early) = (Life::Leaving, early),
            Life::Heard => self.life = Life::Gone,
            Life::Leaving | Life::Gone => {}
        }
    }

    /// The other end is gone. What it has sent before that is heard.
    pub(crate) fn lose(&mut self) {
        self.early |= self.life == Life::Attached;
        self.life = if self.takes_input() { Life::Heard } else { Life::Gone };
        self.backlog = Backlog::default();
    }

    #[cfg(test)]
    pub(crate) fn has_taken_nothing_for(&mut self, time: Duration) {
        self.stuck = Instant::now().checked_sub(time);
    }

    /// Nothing is left to be done for it.
    pub(crate) fn is_done(&self) -> bool {
        self.life != Life::Attached && self.backlog.is_empty() && !self.is_heard()
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
        client.send(Output::Stdout, b"hello", None);
        client.send(Output::Stderr, b"not wanted", None);
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
            client.send(Output::Stdout, &chunk, None);
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
    fn a_client_that_took_nothing_for_too_long_is_told_what_it_missed() {
        let (mut client, mut far) = client(true);
        while !client.holds_output() {
            client.send(Output::Stdout, &[b'x'; 60_000], None);
        }
        assert!(client.patience(true).is_some());
        client.has_taken_nothing_for(PATIENCE);
        assert_eq!(client.patience(true), None);
        assert!(!client.holds_output());
        client.send(Output::Stdout, b"missed", None);
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            far.read_to_end(&mut received).unwrap();
            received
        });
        while !client.backlog.is_empty() || client.skipped.is_some() {
            client.flush();
        }
        client.send(Output::Stdout, b"later", None);
        drop(client);
        let received = reader.join().unwrap();
        assert!(received.ends_with(b"later"));
        let note = b"dhow: 6 bytes of output are missing here, because nobody read them in time\n";
        assert!(received.windows(note.len()).any(|window| window == note));
    }

    #[test]
    fn a_process_that_waits_for_its_client_does_so_until_it_leaves() {
        let (mut client, _far) = client(true);
        while !client.holds_output() {
            client.send(Output::Stdout, &[b'x'; 60_000], None);
        }
        assert_eq!(client.patience(false), None);
        client.leave(false);
        assert!(client.patience(false).is_some_and(|rest| rest > PATIENCE));
        client.has_taken_nothing_for(GOODBYE);
        assert_eq!(client.patience(false), None);
        assert!(client.is_done());
    }

    #[test]
    fn a_client_that_is_gone_is_done() {
        let (mut client, far) = client(false);
        drop(far);
        client.send(Output::Stdout, b"x", None);
        assert!(client.is_done() && client.early);
    }
}
