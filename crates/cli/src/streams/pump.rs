//! Two threads that move bytes: terminal or pipes on one side, the engine's connection on the other.
//!
//! Threads and not tasks, because reading a terminal or writing to a pipe blocks, and the file behind standard input is
//! shared with whoever started us, so it must not be made non-blocking. They end with the connection, or with the process.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;

use dhow_client::{Hijacked, Socket};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::{Demux, Seen, escape::Escape};

/// Bytes moved at once.
const BLOCK: usize = 64 * 1024;

/// What to move.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Our standard input to the container.
    pub(crate) stdin: bool,
    /// The container's output to ours; without it the end of our input is the end of everything.
    pub(crate) output: bool,
    /// The container has a terminal: output is not framed, and the keys detach.
    pub(crate) tty: bool,
    /// Other keys than the usual ones.
    pub(crate) detach_keys: Option<String>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The container closed its side (or its last stream).
    Done,
    /// The keys were pressed.
    Detached,
    /// Our own output could not be written, or the connection broke.
    Failed(io::Error),
}

/// Streams in motion.
#[derive(Debug)]
pub(crate) struct Pump {
    ends: mpsc::UnboundedReceiver<End>,
    socket: Socket,
    /// What was shown so far.
    pub(crate) seen: Arc<Seen>,
}

impl Pump {
    /// Starts to move bytes.
    pub(crate) fn start(hijacked: Hijacked, plan: &Plan) -> io::Result<Self> {
        let (report, ends) = mpsc::unbounded_channel();
        let Hijacked { socket, leftover } = hijacked;
        let seen = Arc::new(Seen::default());
        if plan.output {
            let (from, report, tty) = (socket.try_clone()?, report.clone(), plan.tty);
            let seen = Arc::clone(&seen);
            std::thread::spawn(move || {
                let end = output(io::Cursor::new(leftover).chain(from), tty, &seen);
                // Nobody may wait any more.
                let _ = report.send(end.map_or_else(End::Failed, |()| End::Done));
            });
        }
        let (to, plan) = (socket.try_clone()?, plan.clone());
        if plan.stdin {
            std::thread::spawn(move || {
                let end = input(to, &plan);
                if matches!(end, End::Detached) || !plan.output {
                    let _ = report.send(end);
                }
            });
        } else {
            // As Docker does: the engine learns at once that nothing will come.
            let _ = to.shutdown(Shutdown::Write);
        }
        Ok(Self { ends, socket, seen })
    }

    /// Waits for the end.
    pub(crate) async fn end(&mut self) -> End {
        self.ends.recv().await.unwrap_or(End::Done)
    }

    /// Breaks the connection off.
    pub(crate) fn stop(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn output(mut from: impl Read, tty: bool, seen: &Seen) -> io::Result<()> {
    let (mut out, mut err) = seen.fresh(Plain(io::stdout()), io::stderr());
    let (mut demux, mut block) = (Demux::default(), vec![0; BLOCK]);
    loop {
        let length = match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The engine went away or we broke off: whatever came is all there is.
            Err(_) => return Ok(()),
        };
        match tty {
            true => out.write_all(&block[..length])?,
            false => demux.feed(&block[..length], &mut out, &mut err)?,
        }
    }
}

/// Standard output without the line buffer that the standard library puts before it.
struct Plain(io::Stdout);

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(&self.0, bytes) {
                Err(Errno::AGAIN) => until_ready(&self.0, PollFlags::OUT)?,
                other => return other.map_err(Into::into),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for a file that somebody we share it with has made non-blocking.
fn until_ready(file: impl AsFd, how: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(file.as_fd(), how)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn input(mut to: Socket, plan: &Plan) -> End {
    let (mut escape, mut block, mut forward) = (Escape::new(plan.detach_keys.as_deref()), vec![0; BLOCK], Vec::new());
    let stdin = io::stdin();
    loop {
        let length = match rustix::io::read(&stdin, &mut block) {
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) if until_ready(&stdin, PollFlags::IN).is_ok() => continue,
            Ok(0) | Err(_) => break,
            Ok(length) => length,
        };
        let typed = &block[..length];
        let (bytes, detached) = if plan.tty {
            forward.clear();
            let detached = escape.feed(typed, &mut forward);
            (forward.as_slice(), detached)
        } else {
            (typed, false)
        };
        if to.write_all(bytes).is_err() {
            // The container does not read any more; what it prints still matters.
            return End::Done;
        }
        if detached {
            return End::Detached;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    End::Done
}
