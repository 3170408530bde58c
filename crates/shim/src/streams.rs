//! The standard streams of one process, and the clients attached to them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use dhow_errdefs::{Result, ResultExt};
use dhow_logs::{Losses, Stream, Writer};
use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use rustix::termios::Winsize;

use crate::client::{Client, Output, ReplyTo};
use crate::detach::Scan;
use crate::poll::{CLIENT_NUMBERS, Direction, Interest, Poll, Ready, Token};
use crate::protocol::{Attach, Launch};
use crate::queue::Read;
use crate::stdin::Stdin;

/// How much is read from a stream in one go: what a pipe holds.
pub(crate) const CHUNK: usize = 64 * 1024;

/// The most that is read from a stream after its process has ended: the largest pipe an ordinary user can make. More
/// can only come from somebody outside of the container who still writes.
const LAST_WORDS: usize = 1 << 20;

/// Our ends of a process's streams.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
}

impl Ends {
    /// Pipes: the process's ends (its input is empty unless wanted), and ours.
    pub(crate) fn pipes(stdin_open: bool) -> Result<([OwnedFd; 3], Self)> {
        let (in_reader, in_writer) = if stdin_open {
            let (reader, writer) = pipe()?;
            (reader, Some(writer))
        } else {
            (null()?, None)
        };
        let (out_reader, out_writer) = pipe()?;
        let (err_reader, err_writer) = pipe()?;
        let ours = Self { stdin: in_writer, stdout: Some(out_reader), stderr: Some(err_reader), terminal: None };
        Ok(([in_reader, out_writer, err_writer], ours))
    }

    /// For a process that nobody listens to.
    pub(crate) fn nowhere() -> Result<[OwnedFd; 3]> {
        Ok([null()?, null()?, null()?])
    }

    /// A terminal's master. Its input is always open.
    pub(crate) fn terminal(master: OwnedFd) -> Result<Self> {
        let copy = || master.try_clone().context(|| "copy a terminal's descriptor");
        Ok(Self { stdin: Some(copy()?), stdout: Some(copy()?), stderr: None, terminal: Some(master) })
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from).context(|| "make a pipe")
}

fn null() -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())
        .map_err(io::Error::from)
        .context(|| "open /dev/null")
}

fn set_nonblocking(fd: impl AsFd) -> Result<()> {
    rustix::fs::fcntl_setfl(fd, OFlags::NONBLOCK).map_err(io::Error::from).context(|| "prepare a stream")
}

/// What becomes of the process's input when a client has sent its last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastByte {
    /// It ends too (`StdinOnce`, every exec); on a terminal the client leaves instead.
    EndsInput,
    /// It stays open, and the client leaves (Docker closes its output too).
    EndsSession,
}

/// The streams of one process. They exist before it, so that clients miss nothing.
#[derive(Debug)]
pub(crate) struct Streams {
    process: u32,
    tty: bool,
    last_byte: LastByte,
    stdin: Stdin,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    terminal: Option<OwnedFd>,
    log: Option<Writer>,
    /// What the log had lost when it was closed.
    losses: Losses,
    clients: Vec<Client>,
    next_client: u32,
    /// Where output waits that clients do not take; `None`: its process waits then.
    waiting_room: Option<PathBuf>,
    /// How long clients are waited for at most, as things are.
    patience: Option<Duration>,
    /// Output is not read, because a client or the log's target has not taken what there was.
    held: bool,
}

impl Streams {
    pub(crate) fn new(process: u32, tty: bool, last_byte: LastByte) -> Self {
        Self {
            process,
            tty,
            last_byte,
            stdin: Stdin::awaited(process),
            stdout: None,
            stderr: None,
            terminal: None,
            log: None,
            losses: Losses::default(),
            clients: Vec::new(),
            next_client: 0,
            waiting_room: None,
            patience: None,
            held: false,
        }
    }

    /// Says what was not known when the first clients came.
    pub(crate) fn configure(&mut self, launch: &Launch, log: Option<Writer>, poll: &Poll) -> Result<()> {
        self.tty = launch.tty;
        self.last_byte = if launch.stdin_once { LastByte::EndsInput } else { LastByte::EndsSession };
        self.waiting_room = Some(launch.container_dir.clone());
        self.log = log;
        match self.log.as_ref().and_then(Writer::poll_fd) {
            Some(fd) => poll.add(fd, Token::Log, Interest::READ),
            None => Ok(()),
        }
    }

    /// The log's target takes more, or time has passed.
    pub(crate) fn on_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.on_ready();
        }
    }

    /// Does a little of what the log can do in the background; `true`: there is more.
    pub(crate) fn work_on_log(&mut self) -> bool {
        self.log.as_mut().is_some_and(Writer::work)
    }

    /// Lines that the log has lost.
    pub(crate) fn log_losses(&self) -> Losses {
        self.log.as_ref().map_or(self.losses, Writer::losses)
    }

    /// The process is there.
    pub(crate) fn connect(&mut self, ends: Ends, poll: &Poll) -> Result<()> {
        for fd in [&ends.stdin, &ends.stdout, &ends.stderr].into_iter().flatten() {
            set_nonblocking(fd)?;
        }
        self.stdout = ends.stdout;
        self.stderr = ends.stderr;
        self.terminal = ends.terminal;
        self.watch_output(poll)?;
        self.stdin.connect(ends.stdin, poll);
        Ok(())
    }

    fn watch_output(&self, poll: &Poll) -> Result<()> {
        for (fd, direction) in [(&self.stdout, Direction::Stdout), (&self.stderr, Direction::Stderr)] {
            if let Some(fd) = fd {
                poll.add(fd, Token::Stream(self.process, direction), Interest::READ)?;
            }
        }
        Ok(())
    }

    /// Attaches a client. It gets what comes from now on.
    pub(crate) fn attach(
        &mut self,
        mut attach: Attach,
        socket: OwnedFd,
        reply: Option<ReplyTo>,
        poll: &Poll,
    ) -> Result<()> {
        let token = Token::Client(self.process, self.next_client);
        self.next_client = (self.next_client + 1) % CLIENT_NUMBERS;
        let mut client = Client::new(&mut attach, socket, token, reply);
        client.watch(poll)?;
        self.clients.push(client);
        let last = self.clients.len() - 1;
        if !attach.leftover.is_empty() {
            self.take_input(last, &attach.leftover, poll);
        }
        Ok(())
    }

    /// Something happened on one of the process's streams.
    pub(crate) fn on_stream(&mut self, direction: Direction, buffer: &mut [u8], poll: &Poll) {
        match direction {
            Direction::Stdin => self.stdin.flush(poll),
            Direction::Stdout | Direction::Stderr if self.held => {}
            Direction::Stdout | Direction::Stderr => {
                if self.pump(direction, buffer) == Read::End {
                    self.close_output(direction, poll);
                }
            }
        }
    }

    /// Moves what one read gives to the log and to the clients.
    fn pump(&mut self, direction: Direction, buffer: &mut [u8]) -> Read {
        let (source, output, stream) = match direction {
            Direction::Stderr => (&self.stderr, Output::Stderr, Stream::Stderr),
            _ => (&self.stdout, Output::Stdout, Stream::Stdout),
        };
        let Some(source) = source else { return Read::End };
        let read = Read::from(rustix::io::retry_on_intr(|| rustix::io::read(source, &mut *buffer)));
        if let Read::Bytes(count) = read {
            let bytes = &buffer[..count];
            if let Some(log) = &mut self.log {
                log.write(stream, bytes);
            }
            for client in &mut self.clients {
                client.send(output, bytes, self.waiting_room.as_deref());
            }
        }
        read
    }

    fn close_output(&mut self, direction: Direction, poll: &Poll) {
        let source = if direction == Direction::Stderr { &mut self.stderr } else { &mut self.stdout };
        if let Some(fd) = source.take() {
            poll.remove(&fd);
        }
    }

    /// Something happened on a client's socket.
    pub(crate) fn on_client(&mut self, ready: Ready, buffer: &mut [u8], poll: &Poll) {
        let Some(index) = self.clients.iter().position(|client| client.token == ready.token) else { return };
        if ready.write {
            self.clients[index].flush();
        }
        if ready.gone {
            // It is heard to its end, however long that takes; see `settle`.
            self.clients[index].lose();
        } else if ready.read && self.stdin.has_room() {
            self.read_input(index, buffer, poll);
        }
    }

    /// Takes what one read gives. `false`: there is nothing more.
    fn read_input(&mut self, index: usize, buffer: &mut [u8], poll: &Poll) -> bool {
        if !self.clients[index].takes_input() {
            return false;
        }
        match self.clients[index].read(buffer) {
            Read::Bytes(count) => self.take_input(index, &buffer[..count], poll),
            Read::Nothing => return false,
            Read::End => self.end_input(index, poll),
        }
        true
    }

    /// Takes what clients have sent that have gone since, as far as there is room for it.
    fn hear_out(&mut self, buffer: &mut [u8], poll: &Poll) {
        for index in 0..self.clients.len() {
            while self.clients[index].is_heard() && self.stdin.has_room() && self.read_input(index, buffer, poll) {}
            // Whoever has nothing to say waits for no room.
            if self.clients[index].is_heard() && self.clients[index].has_no_more() {
                self.end_input(index, poll);
            }
        }
    }

    fn take_input(&mut self, index: usize, bytes: &[u8], poll: &Poll) {
        let client = &mut self.clients[index];
        if !client.takes_input() {
            return;
        }
        // Docker looks for detach keys on a terminal only: other input is binary.
        if !self.tty || !client.scanner.is_active() {
            return self.stdin.push(bytes, poll);
        }
        match client.scanner.scan(bytes) {
            Scan::Pass(bytes) => self.stdin.push(&bytes, poll),
            Scan::Detach(bytes) => {
                client.leave(true);
                self.stdin.push(&bytes, poll);
            }
        }
    }

    /// The client has sent its last byte.
    fn end_input(&mut self, index: usize, poll: &Poll) {
        let client = &mut self.clients[index];
        client.end_input();
        let held = client.scanner.finish();
        let ends_input = self.last_byte == LastByte::EndsInput && !self.tty;
        if !ends_input {
            client.leave(true);
        }
        self.stdin.push(&held, poll);
        if ends_input {
            self.stdin.close(poll);
        }
    }

    /// End of file on standard input.
    pub(crate) fn close_stdin(&mut self, poll: &Poll) {
        if !self.tty {
            self.stdin.close(poll);
        }
    }

    /// Changes the terminal's size. Where there is none, nothing has a size, and as with Docker that is no error.
    pub(crate) fn resize(&self, rows: u16, cols: u16) -> Result<()> {
        let Some(terminal) = &self.terminal else { return Ok(()) };
        let size = Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, size).map_err(io::Error::from).context(|| "resize the terminal")
    }

    /// After each event: output is held or let go, clients are waited for as they need, and those that are done leave.
    /// Gives their replies.
    pub(crate) fn settle(&mut self, buffer: &mut [u8], poll: &Poll) -> Vec<(ReplyTo, bool)> {
        self.hold_or_let_go(poll);
        self.hear_out(buffer, poll);
        let room = self.stdin.has_room();
        let mut replies = Vec::new();
        self.clients.retain_mut(|client| {
            if !client.is_done() {
                client.update_interest(poll, room);
                return true;
            }
            client.unwatch(poll);
            client.discard_input(buffer);
            client.hang_up();
            replies.extend(client.reply.map(|reply| (reply, client.early)));
            false
        });
        replies
    }

    /// How long clients that take nothing are waited for at most, as things are. The output of an exec is its client's alone:
    /// as long as that is attached it waits, however long.
    fn patience(&mut self) -> Option<Duration> {
        let goes_on = self.waiting_room.is_some();
        self.clients.iter_mut().filter_map(|client| client.patience(goes_on)).min()
    }

    /// When [`Streams::settle`] is to be called at the latest.
    pub(crate) fn rest(&self) -> Option<Duration> {
        self.patience
    }

    fn hold_or_let_go(&mut self, poll: &Poll) {
        self.patience = self.patience();
        let hold = self.clients.iter().any(Client::holds_output) || self.log.as_ref().is_some_and(Writer::is_full);
        if hold == self.held {
            return;
        }
        self.held = hold;
        // An end that is closed would be reported all the time, so what is not read is not watched either.
        if hold {
            [&self.stdout, &self.stderr].into_iter().flatten().for_each(|fd| poll.remove(fd));
        } else {
            // Out of memory for a watch: the rest comes when the process ends.
            let _ = self.watch_output(poll);
        }
    }

    /// The process has ended: takes what is still in its streams, whoever else has them open, and lets clients leave.
    pub(crate) fn finish(&mut self, buffer: &mut [u8], poll: &Poll) {
        for direction in [Direction::Stdout, Direction::Stderr] {
            let mut left = LAST_WORDS;
            while let Read::Bytes(count) = self.pump(direction, buffer) {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
            }
            self.close_output(direction, poll);
        }
        if let Some(mut log) = self.log.take() {
            log.finish();
            self.losses = log.losses();
            if let Some(fd) = log.poll_fd() {
                poll.remove(fd);
            }
        }
        self.stdin.close(poll);
        self.terminal = None;
        self.clients.iter_mut().for_each(|client| client.leave(false));
    }

    /// No process was started: clients get nothing.
    pub(crate) fn abandon(&mut self) {
        self.log = None;
        self.clients.iter_mut().for_each(|client| client.leave(false));
    }

    #[cfg(test)]
    pub(crate) fn clients_have_taken_nothing_for(&mut self, time: Duration) {
        self.clients.iter_mut().for_each(|client| client.has_taken_nothing_for(time));
    }

    /// Nobody is attached any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.clients.is_empty()
    }
}
