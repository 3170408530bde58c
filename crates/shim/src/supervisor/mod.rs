//! The main loop: one thread, which waits in one place.

mod births;
mod ending;
mod execs;
mod losses;
mod requests;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use dhow_errdefs::{Result, ResultExt};
use dhow_sys::signal::{self, SignalFd};
use dhow_sys::title::LastArgument;
use rustix::process::{Signal, WaitOptions};

use crate::client::ReplyTo;
use crate::container::{self, Ahead, Container, Place};
use crate::control::Controls;
use crate::poll::{Interest, Poll, Ready, Token};
use crate::protocol::{Answer, EndedExec, Event, Exit, Message};
use crate::streams::{CHUNK, LastByte, Streams};
use births::Births;
use execs::RunningExec;
use losses::LossReports;

/// Signals that would end a shim by default and must not: it ends when its container does.
const SIGNALS: [i32; 7] = [
    Signal::CHILD.as_raw(),
    Signal::TERM.as_raw(),
    Signal::INT.as_raw(),
    Signal::HUP.as_raw(),
    Signal::QUIT.as_raw(),
    Signal::USR1.as_raw(),
    Signal::USR2.as_raw(),
];

/// Number of the container's own streams; execs count from 1.
const CONTAINER: u32 = 0;

/// Everything a shim has.
#[derive(Debug)]
pub(crate) struct Supervisor {
    poll: Poll,
    signals: SignalFd,
    controls: Controls,
    /// One for all reads, so that memory does not grow with the number of streams.
    buffer: Box<[u8]>,
    streams: Streams,
    births: Births,
    execs: Vec<RunningExec>,
    /// The last ones that have ended, the oldest first.
    ended_execs: VecDeque<EndedExec>,
    next_exec: u32,
    ahead: Option<Ahead>,
    place: Option<Place>,
    container: Option<Container>,
    /// The container's mount namespace: the kernel tells of the last process's end without unmounting everything first.
    mounts: Option<OwnedFd>,
    /// What the container's processes get that do not say: as if the engine had made them.
    engines_oom_score: i32,
    oom_watch: Option<OwnedFd>,
    oom_kills: u64,
    exit: Option<Exit>,
    /// Where ps(1) is to see whose shim this is, when that was not known at its start.
    title: Option<LastArgument>,
    reports: LossReports,
    /// What the next engine will want: of the container's network namespace, which goes only without it.
    kept: Vec<(String, OwnedFd)>,
    /// Nothing is to be done any more but to serve the clients that are still there.
    over: bool,
}

impl Supervisor {
    /// Prepares to supervise; nothing is launched yet.
    pub(crate) fn new(control: UnixStream, title: Option<LastArgument>) -> Result<Self> {
        signal::block_only(&SIGNALS);
        let signals = SignalFd::new(&SIGNALS).context(|| "receive signals")?;
        let poll = Poll::new()?;
        poll.add(&signals, Token::Signals, Interest::READ)?;
        let mut controls = Controls::default();
        controls.add(control, &poll)?;
        let births = Births::new()?;
        poll.add(&births, Token::Births, Interest::READ)?;
        Ok(Self {
            poll,
            signals,
            controls,
            buffer: vec![0; CHUNK].into_boxed_slice(),
            streams: Streams::new(CONTAINER, false, LastByte::EndsSession),
            births,
            execs: Vec::new(),
            ended_execs: VecDeque::new(),
            next_exec: CONTAINER + 1,
            ahead: None,
            place: None,
            container: None,
            mounts: None,
            engines_oom_score: container::own_oom_score_adj(),
            oom_watch: None,
            oom_kills: 0,
            exit: None,
            title,
            reports: LossReports::default(),
            kept: Vec::new(),
            over: false,
        })
    }

    /// Runs until the container has ended and its clients have everything.
    ///
    /// # Errors
    /// When waiting itself fails, which it does not.
    pub(crate) fn run(mut self) -> Result<()> {
        container::protect_from_oom();
        while !self.is_done() {
            let most = self.rest();
            for ready in self.poll.wait(most)? {
                self.handle(ready);
            }
            self.settle();
        }
        Ok(())
    }

    /// How long there is nothing to be done, unless something happens. `None`: for ever.
    fn rest(&mut self) -> Option<Duration> {
        if self.streams.work_on_log() {
            return Some(Duration::ZERO);
        }
        let report = self.reports.rest(self.streams.log_losses());
        let stale = self.ahead.as_ref().map(Ahead::rest);
        let execs = self.execs.iter().map(|exec| exec.streams.rest());
        execs.chain([report, stale, self.streams.rest()]).flatten().min()
    }

    fn is_done(&self) -> bool {
        self.over && self.streams.is_quiet() && self.execs.is_empty() && self.births.is_quiet()
    }

    fn handle(&mut self, ready: Ready) {
        match ready.token {
            Token::Signals => self.on_signals(),
            Token::Listener => self.controls.accept(&self.poll),
            Token::Oom => self.on_oom(),
            Token::Log => self.streams.on_log(),
            Token::Births => self.on_births(),
            Token::Control(number) => self.on_control(number, ready),
            Token::Stream(process, direction) => {
                if let Some((streams, buffer, poll)) = self.streams_of(process) {
                    streams.on_stream(direction, buffer, poll);
                }
            }
            Token::Client(process, _) => {
                if let Some((streams, buffer, poll)) = self.streams_of(process) {
                    streams.on_client(ready, buffer, poll);
                }
            }
        }
    }

    /// The streams of the container or an exec, and what they need.
    fn streams_of(&mut self, process: u32) -> Option<(&mut Streams, &mut [u8], &Poll)> {
        let streams = match process {
            CONTAINER => &mut self.streams,
            number => &mut self.execs.iter_mut().find(|exec| exec.number == number)?.streams,
        };
        Some((streams, &mut self.buffer, &self.poll))
    }

    fn on_control(&mut self, number: u32, ready: Ready) {
        let Some(control) = self.controls.get(number) else { return };
        if ready.write {
            control.flush(&self.poll);
        }
        if ready.read || ready.gone {
            control.receive();
            self.serve(number);
        }
    }

    /// After each round: what follows from what happened.
    fn settle(&mut self) {
        let replies = self.streams.settle(&mut self.buffer, &self.poll);
        for exec in &mut self.execs {
            exec.streams.settle(&mut self.buffer, &self.poll);
        }
        self.execs.retain(|exec| !(exec.ended && exec.streams.is_quiet()));
        for (reply, early) in replies {
            self.answer(reply, Ok(Answer::Detached { early }));
        }
        if let Some(losses) = self.reports.due(self.streams.log_losses()) {
            self.tell(Event::LogLosses(losses));
        }
        self.ahead.take_if(|ahead| ahead.rest().is_zero());
        self.controls.sweep(&self.poll);
        // A shim that was told nothing ends with the engine that should have told it.
        if self.container.is_none() && self.controls.is_empty() && !self.over {
            self.abandon();
            self.settle();
        }
    }

    fn answer(&mut self, to: ReplyTo, result: Result<Answer>) {
        let result = result.map_err(|error| (&error).into());
        self.controls.send(to.control, &Message::Response { seq: to.seq, result }, &self.poll);
    }

    fn tell(&mut self, event: Event) {
        self.controls.tell(event, &self.poll);
    }

    /// Children have ended, or somebody tries to stop the shim, which does not let itself be stopped.
    fn on_signals(&mut self) {
        while let Ok(Some(_)) = self.signals.read() {}
        let mut first = None;
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let code = exit_code(status);
            if self.container.as_ref().is_some_and(|container| container.pid == pid.as_raw_pid()) && self.exit.is_none()
            {
                first = Some(code);
            } else {
                self.exec_ended(pid.as_raw_pid(), code);
            }
        }
        if let Some(code) = first {
            self.container_ended(code);
        }
    }

    fn on_oom(&mut self) {
        let (Some(watch), Some(container)) = (&self.oom_watch, &self.container) else { return };
        // Both kinds of descriptors are emptied by one large read.
        let _ = rustix::io::read(watch, &mut *self.buffer);
        let kills = container.oom_kills();
        if kills > self.oom_kills {
            self.oom_kills = kills;
            self.tell(Event::Oom);
        }
    }
}

/// 128 + n for the end by signal n, as shells and Docker have it.
fn exit_code(status: rustix::process::WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 255,
    }
}
