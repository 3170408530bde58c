//! A container's first process, before and after its start.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{ContainerStatus, Hook, Spec, State};

use crate::birth::Child;
use crate::plan::explain::Words;
use crate::plan::{Container, Streams, World};
use crate::report::{Message, go, receive};
use crate::{gate, hooks, notify};

/// A container that is made and waits to be started. Dropping it ends and reaps the process.
#[derive(Debug)]
pub struct Init {
    child: Child,
    words: Words,
    warnings: Vec<String>,
    afterwards: Afterwards,
    /// What the child was made of: it takes as long to be closed as the child does to begin, and is closed meanwhile.
    remains: Remains,
}

/// Descriptors that only have to be closed.
#[derive(Debug)]
pub(crate) struct Remains {
    _container: Option<Box<Container>>,
    _streams: Streams,
}

impl Remains {
    /// What of a plan is not for the child alone.
    pub(crate) fn of(world: World<'_>, streams: Streams) -> Self {
        let container = match world {
            World::New(container) => Some(container),
            World::Entered(_) => None,
        };
        Self { _container: container, _streams: streams }
    }
}

/// A running first process. It is a child of the caller, who has to reap it.
#[derive(Debug)]
pub struct Started {
    /// Its process id on the host.
    pub pid: i32,
    /// A descriptor of it; polls readable when it ends.
    pub pidfd: OwnedFd,
    /// The terminal's master, if it has a terminal and nobody took it before.
    pub pty: Option<OwnedFd>,
}

/// What is to be done around the start.
#[derive(Debug)]
pub(crate) struct Afterwards {
    poststart: Vec<Hook>,
    /// Where a seccomp listener goes.
    agent: Option<notify::Agent>,
    state: State,
}

impl Afterwards {
    pub(crate) fn of(spec: &Spec, state: State) -> Self {
        let poststart = spec.hooks.as_ref().map(|hooks| hooks.poststart.clone()).unwrap_or_default();
        Self { poststart, agent: notify::Agent::of(spec), state }
    }

    fn done(mut self, listener: Option<OwnedFd>) -> Result<()> {
        if let (Some(agent), Some(listener)) = (&self.agent, listener) {
            agent.hand_over(&self.state, listener)?;
        }
        self.state.status = ContainerStatus::Running;
        hooks::run_all("poststart", &self.poststart, &self.state)
    }
}

impl Init {
    pub(crate) fn new(
        child: Child,
        (words, warnings): (Words, Vec<String>),
        afterwards: Afterwards,
        remains: Remains,
    ) -> Self {
        Self { child, words, warnings, afterwards, remains }
    }

    /// The process id on the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.pid
    }

    /// A descriptor of the process.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// The terminal's master, once.
    pub fn take_pty(&mut self) -> Option<OwnedFd> {
        self.child.pty.take()
    }

    /// What the host could not do and the spec did not insist on.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Lets the container run: hook `startContainer`, the program, hook `poststart`. A seccomp listener goes to the
    /// socket that the spec names.
    ///
    /// # Errors
    /// Why the program could not be executed; the process has then ended and is reaped.
    pub fn start(mut self) -> Result<Started> {
        self.child.go()?;
        drop(self.remains);
        self.child.until_executed(&self.words)?;
        let listener = self.child.listener.take();
        // A failure drops, and so ends, the child.
        self.afterwards.done(listener)?;
        let (pid, pidfd, pty) = self.child.release();
        Ok(Started { pid, pidfd, pty })
    }

    /// Lets the process live on without this value, for a start through the [`Gate::Socket`](crate::Gate::Socket).
    #[must_use]
    pub fn detach(self) -> Started {
        let (pid, pidfd, pty) = self.child.release();
        Started { pid, pidfd, pty }
    }

    /// Starts a detached container through its socket.
    ///
    /// # Errors
    /// As [`Init::start`], except that nothing is reaped; `Conflict` when nobody waits there any more.
    pub fn start_at(gate: &Path, spec: &Spec, state: State) -> Result<()> {
        let process = spec.process.as_ref().ok_or_else(|| Error::invalid("the spec has no process"))?;
        let words = Words::of(process, spec.hooks.as_ref(), None)?;
        let line = gate::connect_to(gate)?;
        go(line.as_fd()).context(|| "talk to the container's first process")?;
        let mut listener = None;
        loop {
            match receive(&line).context(|| "listen to the container's first process")? {
                None => break,
                Some((Message::Failed(failure), _)) => return Err(words.explain(failure)),
                Some((Message::Listener, fd)) => listener = fd,
                Some(_) => {}
            }
        }
        Afterwards::of(spec, state).done(listener)
    }
}
