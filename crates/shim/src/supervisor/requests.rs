//! What engines ask for.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use dhow_errdefs::{Error, Result, message};
use rustix::process::{Resource, getrlimit};

use super::Supervisor;
use crate::client::ReplyTo;
use crate::container::{self, Ahead, Container, Place};
use crate::frame;
use crate::poll::{Interest, Token};
use crate::protocol::{
    Answer, Attach, Event, Keepsake, Kill, Launch, Op, Request, Resize, RunningExec, State, Status, VERSION,
};
use crate::role;

/// Descriptors that no client gets: the end of the container has to be written down, and an engine that comes back let in.
const RESERVE: u64 = 64;

impl Supervisor {
    /// Serves every whole request that has arrived on a connection.
    pub(super) fn serve(&mut self, number: u32) {
        loop {
            let Some(control) = self.controls.get(number) else { return };
            let Request { seq, op } = match control.received.decode() {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(_) => {
                    control.broken = true;
                    return;
                }
            };
            let fd = if takes_descriptor(&op) { control.received.take_fd() } else { Ok(None) };
            let to = ReplyTo { control: number, seq };
            let result = fd.and_then(with_room_left).and_then(|fd| self.perform(op, fd, to));
            if let Some(result) = result.transpose() {
                self.answer(to, result);
            }
        }
    }

    /// Does it. `None`: the answer comes later.
    fn perform(&mut self, op: Op, fd: Option<OwnedFd>, to: ReplyTo) -> Result<Option<Answer>> {
        let answer = match op {
            Op::Foresee => {
                self.foresee();
                return Ok(None);
            }
            Op::Launch(launch) => self.launch(*launch, to)?,
            Op::Attach(attach) => return self.attach(attach, fd, to).map(|()| None),
            Op::Exec(exec) => return self.exec(*exec, fd, to).map(|()| None),
            Op::Resize(resize) => self.resize(&resize)?,
            Op::Kill(Kill { signal, all }) => done(self.running()?.kill(signal, all))?,
            Op::SignalExec(signal) => self.signal_exec(&signal)?,
            Op::State => Answer::State(self.state()),
            Op::CloseStdin => {
                self.streams.close_stdin(&self.poll);
                Answer::Done
            }
            Op::Pause => done(self.running()?.pause())?,
            Op::Resume => done(self.running()?.resume())?,
            Op::Update(resources) => Answer::Updated { warnings: self.running()?.update(&resources)? },
            Op::Keep { name } => self.keep(name, fd)?,
            Op::Subscribe => {
                self.subscribe(to.control);
                Answer::State(self.state())
            }
        };
        Ok(Some(answer))
    }

    fn subscribe(&mut self, number: u32) {
        if let Some(control) = self.controls.get(number) {
            control.subscribed = true;
        }
    }

    pub(super) fn running(&mut self) -> Result<&mut Container> {
        match &mut self.container {
            Some(container) if self.exit.is_some() => Err(Error::conflict(message::not_running(&container.id))),
            Some(container) => Ok(container),
            None => Err(Error::conflict("the container is not running")),
        }
    }

    fn foresee(&mut self) {
        if self.container.is_none() && self.ahead.is_none() {
            self.ahead = Some(Ahead::make());
        }
    }

    fn launch(&mut self, launch: Launch, to: ReplyTo) -> Result<Answer> {
        if self.container.is_some() || self.over {
            return Err(Error::conflict("this shim has a container already"));
        }
        self.subscribe(to.control);
        let started = self.try_launch(launch);
        if started.is_err() {
            self.abandon();
        }
        started
    }

    fn try_launch(&mut self, mut launch: Launch) -> Result<Answer> {
        if let Some(process) = &mut launch.spec.process {
            process.oom_score_adj.get_or_insert(self.engines_oom_score);
        }
        role::report_panics_to(launch.container_dir.join("shim.log"));
        if let Some(title) = self.title.take() {
            let _ = title.set(launch.run_dir.as_os_str().as_bytes());
        }
        let (place, listener) = Place::take(&launch)?;
        self.place = Some(place);
        self.controls.listen(listener, &self.poll)?;
        let log = container::open_log(&launch)?;
        self.streams.configure(&launch, log, &self.poll)?;
        let (container, ends, warnings) = Container::launch(launch, self.ahead.take().and_then(Ahead::fresh))?;
        let (pid, at) = (container.pid, container.started_at);
        self.watch_oom(&container);
        self.container = Some(container);
        // The program runs: from here on a failure costs its output, not the container.
        self.streams.connect(ends, &self.poll)?;
        self.tell(Event::Started { pid });
        self.mounts = container::mount_namespace(pid);
        Ok(Answer::Started { pid, at, warnings })
    }

    fn watch_oom(&mut self, container: &Container) {
        let watch = container.oom_watch();
        self.oom_watch = watch.filter(|watch| self.poll.add(watch, Token::Oom, Interest::READ).is_ok());
    }

    /// Undoes a launch that failed; the shim ends when its engine has let go.
    pub(super) fn abandon(&mut self) {
        if let Some(container) = &mut self.container {
            let _ = container.kill(rustix::process::Signal::KILL.as_raw(), true);
            return;
        }
        self.streams.abandon();
        self.controls.stop_listening(&self.poll);
        if let Some(place) = self.place.take() {
            // The error that led here is the one to be told.
            let _ = place.leave();
        }
        self.over = true;
    }

    fn attach(&mut self, attach: Attach, fd: Option<OwnedFd>, to: ReplyTo) -> Result<()> {
        let socket = fd.ok_or_else(|| Error::invalid("an attachment comes with a descriptor"))?;
        if self.exit.is_some() || self.over {
            return Err(Error::conflict("the container is not running"));
        }
        self.streams.attach(attach, socket, Some(to), &self.poll)
    }

    fn keep(&mut self, name: String, fd: Option<OwnedFd>) -> Result<Answer> {
        let fd = fd.ok_or_else(|| Error::invalid("what is to be kept comes with a descriptor"))?;
        if self.exit.is_none() && !self.over {
            self.kept.retain(|(known, _)| *known != name);
            self.kept.push((name, fd));
        }
        Ok(Answer::Done)
    }

    fn resize(&self, resize: &Resize) -> Result<Answer> {
        let streams = match &resize.exec {
            None => &self.streams,
            Some(id) => &self.running_exec(id)?.streams,
        };
        done(streams.resize(resize.rows, resize.cols))
    }

    fn state(&self) -> State {
        let container = self.container.as_ref();
        let status = match (container, &self.exit) {
            (_, Some(_)) => Status::Exited,
            (Some(container), None) if container.paused => Status::Paused,
            (Some(_), None) => Status::Running,
            (None, None) => Status::Created,
        };
        let running = self.execs.iter().filter(|exec| !exec.ended);
        State {
            version: VERSION,
            id: container.map(|container| container.id.clone()).unwrap_or_default(),
            status,
            pid: container.filter(|_| self.exit.is_none()).map(|container| container.pid),
            started_at: container.map(|container| container.started_at),
            exit: self.exit.clone(),
            execs: running.map(|exec| RunningExec { id: exec.id.clone(), pid: exec.pid }).collect(),
            ended_execs: self.ended_execs.iter().cloned().collect(),
            log_losses: self.streams.log_losses(),
            kept: Some(self.kept.iter().map(keepsake).collect()),
        }
    }
}

fn keepsake((name, fd): &(String, OwnedFd)) -> Keepsake {
    Keepsake { name: name.clone(), fd: fd.as_raw_fd() }
}

fn takes_descriptor(op: &Op) -> bool {
    match op {
        Op::Attach(_) | Op::Keep { .. } => true,
        Op::Exec(exec) => exec.attach.is_some(),
        _ => false,
    }
}

/// Refuses a descriptor that would be one of the last. A new one has the lowest number that is free, so as long as what stays
/// is below these, so many are free.
fn with_room_left(fd: Option<OwnedFd>) -> Result<Option<OwnedFd>> {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let first_kept = most - (most / 8).min(RESERVE);
    match &fd {
        Some(fd) if u64::try_from(fd.as_raw_fd()).is_ok_and(|number| number >= first_kept) => Err(frame::no_room()),
        _ => Ok(fd),
    }
}

fn done(result: Result<()>) -> Result<Answer> {
    result.map(|()| Answer::Done)
}
