//! The one place where a shim waits.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use dhow_errdefs::{Result, ResultExt};
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// What became ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// Signals are pending.
    Signals,
    /// An engine connects.
    Listener,
    /// The kernel may have killed for lack of memory.
    Oom,
    /// The container's log can go on.
    Log,
    /// An exec has begun to run, or has failed.
    Births,
    /// The connection with that number.
    Control(u32),
    /// A stream of the process with that number.
    Stream(u32, Direction),
    /// A client of the process with that number; the client's own number.
    Client(u32, u32),
}

/// A process's end of its streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Stdin,
    Stdout,
    Stderr,
}

/// Client numbers are cut to this; they come back after a million clients of one process.
pub(crate) const CLIENT_NUMBERS: u32 = 1 << 20;

impl Token {
    fn to_data(self) -> EventData {
        let (kind, process, detail) = match self {
            Self::Signals => (0, 0, 0),
            Self::Listener => (1, 0, 0),
            Self::Oom => (2, 0, 0),
            Self::Control(number) => (3, number, 0),
            Self::Stream(process, Direction::Stdin) => (4, process, 0),
            Self::Stream(process, Direction::Stdout) => (4, process, 1),
            Self::Stream(process, Direction::Stderr) => (4, process, 2),
            Self::Client(process, number) => (5, process, number),
            Self::Log => (6, 0, 0),
            Self::Births => (7, 0, 0),
        };
        EventData::new_u64(kind << 60 | u64::from(process) << 24 | u64::from(detail))
    }

    fn from_data(data: EventData) -> Self {
        let data = data.u64();
        let (process, detail) = ((data >> 24) as u32, (data & 0xFF_FFFF) as u32);
        match data >> 60 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Oom,
            3 => Self::Control(process),
            4 => Self::Stream(process, [Direction::Stdin, Direction::Stdout, Direction::Stderr][detail as usize]),
            6 => Self::Log,
            7 => Self::Births,
            _ => Self::Client(process, detail),
        }
    }
}

/// What to wait for on a descriptor. Its end (HUP, ERR) is always reported while it is watched at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const READ: Self = Self { read: true, write: false };
    pub(crate) const WRITE: Self = Self { read: false, write: true };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }
}

/// What is ready on a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) token: Token,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// The other end is gone, in both directions.
    pub(crate) gone: bool,
}

/// How many descriptors are told of at a time.
const BATCH: usize = 32;

/// An epoll(7) instance, level-triggered.
///
/// Who closes a watched descriptor takes it out before: a copy of it in a child that has not executed yet would keep the
/// registration alive, and with it events for nobody.
#[derive(Debug)]
pub(crate) struct Poll(OwnedFd);

impl Poll {
    pub(crate) fn new() -> Result<Self> {
        epoll::create(CreateFlags::CLOEXEC).map(Self).map_err(io::Error::from).context(|| "make an epoll instance")
    }

    pub(crate) fn add(&self, fd: impl AsFd, token: Token, interest: Interest) -> Result<()> {
        epoll::add(&self.0, fd, token.to_data(), interest.flags()).map_err(io::Error::from).context(|| "watch a stream")
    }

    pub(crate) fn change(&self, fd: impl AsFd, token: Token, interest: Interest) {
        // It fails only for a descriptor that is not watched, and then nothing is to be changed.
        let _ = epoll::modify(&self.0, fd, token.to_data(), interest.flags());
    }

    pub(crate) fn remove(&self, fd: impl AsFd) {
        // As above.
        let _ = epoll::delete(&self.0, fd);
    }

    /// Waits until something is ready, or for so long, and gives what is ready.
    pub(crate) fn wait(&self, most: Option<Duration>) -> Result<impl Iterator<Item = Ready> + use<>> {
        let most = most.map(|most| Timespec { tv_sec: most.as_secs() as i64, tv_nsec: most.subsec_nanos().into() });
        let mut events = [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; BATCH];
        let count = rustix::io::retry_on_intr(|| epoll::wait(&self.0, &mut events, most.as_ref()))
            .map_err(io::Error::from)
            .context(|| "wait for events")?;
        Ok(events.into_iter().take(count).map(|Event { flags, data }| Ready {
            token: Token::from_data(data),
            read: flags.contains(EventFlags::IN),
            write: flags.contains(EventFlags::OUT),
            gone: flags.intersects(EventFlags::HUP | EventFlags::ERR),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_survives_the_kernel() {
        let tokens = [
            Token::Signals,
            Token::Listener,
            Token::Oom,
            Token::Log,
            Token::Births,
            Token::Control(u32::MAX),
            Token::Stream(7, Direction::Stdin),
            Token::Stream(u32::MAX, Direction::Stdout),
            Token::Stream(0, Direction::Stderr),
            Token::Client(u32::MAX, CLIENT_NUMBERS - 1),
        ];
        for token in tokens {
            assert_eq!(Token::from_data(token.to_data()), token);
        }
    }
}
