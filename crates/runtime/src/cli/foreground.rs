//! Staying with a process until it ends: signals are passed on, a terminal is relayed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use dhow_errdefs::{Result, ResultExt};
use dhow_sys::signal::{self, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::{Errno, read, write};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

/// Signals that are passed on; `SIGWINCH` (28) is the terminal's.
const PASSED: [i32; 8] = [1, 2, 3, 10, 12, 15, 18, 28];
const SIGWINCH: i32 = 28;

/// Signals that are received from before the process was made, so that none is lost.
#[derive(Debug)]
pub(crate) struct Foreground {
    signals: SignalFd,
}

impl Foreground {
    pub(crate) fn begin() -> Result<Self> {
        signal::block_only(&PASSED);
        Ok(Self { signals: SignalFd::new(&PASSED).context(|| "receive signals")? })
    }

    /// Waits for the end of the process, which is reaped; its exit code, or 128 + n for a signal.
    pub(crate) fn stay(self, pidfd: &OwnedFd, pty: Option<OwnedFd>) -> Result<u8> {
        let raw = pty.as_ref().map(|_| RawMode::begin());
        if let Some(pty) = &pty {
            // A program that does not read must not keep us from reading what it writes.
            fcntl_setfl(pty, OFlags::RDWR | OFlags::NONBLOCK)
                .map_err(io::Error::from)
                .context(|| "prepare the terminal")?;
        }
        let mut relay = Relay { pty, input: true, waiting: Vec::new() };
        relay.resize();
        self.watch(pidfd, &mut relay).context(|| "watch the process")?;
        relay.drain();
        drop(raw);
        let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)
            .map_err(io::Error::from)
            .context(|| "wait for the process")?;
        let code = status
            .and_then(|status| status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)));
        Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(255))
    }

    fn watch(&self, pidfd: &OwnedFd, relay: &mut Relay) -> io::Result<()> {
        loop {
            let signals = self.signals.as_fd();
            let mut fds = vec![PollFd::new(pidfd, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
            let input = stdin();
            if let Some(pty) = &relay.pty {
                let room = if relay.waiting.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
                fds.push(PollFd::new(pty, PollFlags::IN | room));
                if relay.input && relay.waiting.is_empty() {
                    fds.push(PollFd::new(&input, PollFlags::IN));
                }
            }
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            if ready.first() == Some(&true) {
                return Ok(());
            }
            if ready.get(1) == Some(&true) {
                self.pass_on(pidfd, relay)?;
            }
            if ready.get(2) == Some(&true) {
                relay.give_input();
                relay.output();
            }
            if ready.get(3) == Some(&true) {
                relay.take_input();
            }
        }
    }

    fn pass_on(&self, pidfd: &OwnedFd, relay: &Relay) -> io::Result<()> {
        while let Some(received) = self.signals.read()? {
            if received.signal == SIGWINCH {
                relay.resize();
            } else {
                // It may have ended; the next poll tells.
                let _ = signal::send(pidfd, received.signal);
            }
        }
        Ok(())
    }
}

/// The terminal between the container and this process' own streams.
struct Relay {
    pty: Option<OwnedFd>,
    input: bool,
    /// Input that the program has not taken yet.
    waiting: Vec<u8>,
}

impl Relay {
    fn resize(&self) {
        if let (Some(pty), Ok(size)) = (&self.pty, tcgetwinsize(stdin())) {
            let _ = tcsetwinsize(pty, size);
        }
    }

    /// Copies a piece of the container's output; false when there is none.
    fn output(&mut self) -> bool {
        let Some(pty) = &self.pty else { return false };
        let mut chunk = [0; 8192];
        match read(pty, &mut chunk) {
            Ok(count) if count > 0 => write_all(stdout(), &chunk[..count]).is_ok(),
            Err(Errno::INTR) => true,
            Err(Errno::AGAIN) => false,
            // EIO: the last process that had the terminal open is gone.
            _ => {
                self.pty = None;
                false
            }
        }
    }

    fn take_input(&mut self) {
        let mut chunk = [0; 8192];
        match read(stdin(), &mut chunk) {
            Ok(count) if count > 0 => {
                self.waiting.extend_from_slice(&chunk[..count]);
                self.give_input();
            }
            Err(Errno::INTR) => {}
            _ => self.input = false,
        }
    }

    /// Gives the program what it takes.
    fn give_input(&mut self) {
        let Some(pty) = &self.pty else { return };
        while !self.waiting.is_empty() {
            match write(pty, &self.waiting) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => (self.input, self.waiting) = (false, Vec::new()),
            }
        }
    }

    /// What the process had written before it ended.
    fn drain(&mut self) {
        while let Some(pty) = &self.pty {
            let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
            let mut fds = [PollFd::new(pty, PollFlags::IN)];
            if !matches!(poll(&mut fds, Some(&now)), Ok(1)) || !self.output() {
                return;
            }
        }
    }
}

fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The caller's terminal without its own line editing, until this is dropped.
struct RawMode(Option<Termios>);

impl RawMode {
    fn begin() -> Self {
        let Ok(before) = tcgetattr(stdin()) else { return Self(None) };
        let mut raw = before.clone();
        raw.make_raw();
        let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
        Self(Some(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
