//! Execs on their way into the container, each on a thread of its own: what leads to a program (its working directory, the
//! folders of its `PATH`) may lie on a file server that does not answer, and nobody else is to wait for that.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use dhow_errdefs::{Result, ResultExt};
use dhow_sys::process;
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::Signal;

use crate::client::ReplyTo;
use crate::container::{self, Born};
use crate::protocol::Attach;

/// Enough for making a plan and a process.
const STACK: usize = 256 << 10;

/// An exec whose program does not run yet.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) terminal: bool,
    pub(super) client: Option<(Attach, OwnedFd)>,
    /// Who hears of it.
    pub(super) to: ReplyTo,
}

/// What became of one.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) expected: Expected,
    pub(super) born: Result<Born>,
    /// Its exit code, if it has ended already.
    pub(super) code: Option<i32>,
}

/// Those on their way, and how their threads tell what became of them.
#[derive(Debug)]
pub(super) struct Births {
    sender: Sender<(u32, Result<Born>)>,
    receiver: Receiver<(u32, Result<Born>)>,
    wake: Arc<OwnedFd>,
    expected: Vec<Expected>,
    /// Threads that have not told yet, whoever waits for them.
    at_work: usize,
    /// Children that ended while some were on their way, and were nobody known: one of them may be an exec that ended before
    /// its thread told of it.
    ended: Vec<(i32, i32)>,
}

impl Births {
    pub(super) fn new() -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = eventfd(0, flags).map_err(std::io::Error::from).context(|| "make an event descriptor")?;
        let (sender, receiver) = mpsc::channel();
        Ok(Self { sender, receiver, wake: Arc::new(wake), expected: Vec::new(), at_work: 0, ended: Vec::new() })
    }

    /// Lets a thread make it; [`Births::next`] gives it when the descriptor is readable.
    pub(super) fn begin(
        &mut self,
        expected: Expected,
        make: impl FnOnce() -> Result<Born> + Send + 'static,
    ) -> Result<()> {
        let (number, sender, wake) = (expected.number, self.sender.clone(), Arc::clone(&self.wake));
        let work = move || {
            // The receiver lives as long as the shim. Whatever the counter is, the descriptor is readable then.
            let _ = sender.send((number, make()));
            let _ = rustix::io::write(&*wake, &1u64.to_ne_bytes());
        };
        let thread = thread::Builder::new().name("exec".to_owned()).stack_size(STACK).spawn(work);
        thread.context(|| "start a thread for an exec")?;
        self.expected.push(expected);
        self.at_work += 1;
        Ok(())
    }

    /// Nobody is on the way.
    pub(super) fn is_quiet(&self) -> bool {
        self.at_work == 0
    }

    /// The next that has come, or has failed.
    pub(super) fn next(&mut self) -> Option<Arrived> {
        // Level-triggered: what was told is to be told once.
        let _ = rustix::io::read(&*self.wake, &mut [0; 8]);
        let (expected, born) = loop {
            let (number, born) = self.receiver.try_recv().ok()?;
            self.at_work -= 1;
            match self.expected.iter().position(|expected| expected.number == number) {
                Some(index) => break (self.expected.swap_remove(index), born),
                // It comes too late.
                None => drop(born.map(|born| container::send(&born.pidfd, Signal::KILL.as_raw()))),
            }
        };
        let code = born.as_ref().ok().and_then(|born| self.code_of(born));
        if self.expected.is_empty() {
            self.ended.clear();
        }
        Some(Arrived { expected, born, code })
    }

    fn code_of(&self, born: &Born) -> Option<i32> {
        let (_, code) = self.ended.iter().find(|(pid, _)| *pid == born.pid && process::has_ended(&born.pidfd))?;
        Some(*code)
    }

    /// A child has ended that nobody knows.
    pub(super) fn note(&mut self, pid: i32, code: i32) {
        if !self.expected.is_empty() {
            self.ended.push((pid, code));
        }
    }

    /// Nobody waits for them any more.
    pub(super) fn abandon(&mut self) -> Vec<Expected> {
        std::mem::take(&mut self.expected)
    }
}

impl AsFd for Births {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
