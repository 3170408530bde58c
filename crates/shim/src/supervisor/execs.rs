//! Processes beside the first.

use std::os::fd::OwnedFd;

use dhow_errdefs::{Error, Result, message};
use dhow_logs::Timestamp;

use super::Supervisor;
use super::births::{Arrived, Expected};
use crate::client::ReplyTo;
use crate::container::{self, Birth, Born};
use crate::protocol::{Answer, EndedExec, Event, Exec, Moment, SignalExec};
use crate::streams::{LastByte, Streams};

/// How many execs that have ended are remembered, for an engine that was not there.
const MOST_ENDED: usize = 128;

/// A process that runs beside the first, or has ended and still has clients to serve.
#[derive(Debug)]
pub(super) struct RunningExec {
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) pid: i32,
    pidfd: OwnedFd,
    pub(super) streams: Streams,
    pub(super) ended: bool,
}

impl Supervisor {
    /// Begins to run one more process. The answer comes when its program runs.
    pub(super) fn exec(&mut self, mut exec: Exec, socket: Option<OwnedFd>, to: ReplyTo) -> Result<()> {
        let client = match (&exec.attach, socket) {
            (Some(attach), Some(socket)) => Some((attach.clone(), socket)),
            (None, None) => None,
            _ => return Err(Error::invalid("an attached exec comes with a descriptor, another without")),
        };
        if exec.until.is_some_and(Moment::has_passed) {
            // Its engine was told that it did not run, and that has to stay true.
            return Err(Error::deadline("nobody waits for this exec any more"));
        }
        let (number, terminal) = (self.next_exec, exec.process.terminal);
        self.next_exec += 1;
        let expected = Expected { number, id: std::mem::take(&mut exec.id), terminal, client, to };
        match self.running()?.exec(exec)? {
            Birth::Done(born) => self.exec_born(expected, born, None),
            Birth::Aside(make) => self.births.begin(expected, make)?,
        }
        Ok(())
    }

    /// Execs have begun to run, or have failed.
    pub(super) fn on_births(&mut self) {
        while let Some(Arrived { expected, born, code }) = self.births.next() {
            match born {
                Ok(born) => self.exec_born(expected, born, code),
                Err(error) => self.answer(expected.to, Err(error)),
            }
        }
    }

    /// An exec has begun to run, and may have ended since.
    fn exec_born(&mut self, expected: Expected, born: Born, code: Option<i32>) {
        let (to, pid, warnings) = (expected.to, born.pid, born.warnings.clone());
        let begun = self.take_in(expected, born);
        // After an error it is not known, and its end is nobody's.
        self.answer(to, begun.map(|at| Answer::Started { pid, at, warnings }));
        if let Some(code) = code {
            self.exec_ended(pid, code);
        }
    }

    fn take_in(&mut self, expected: Expected, born: Born) -> Result<Timestamp> {
        let Expected { number, id, terminal, client, .. } = expected;
        let mut streams = Streams::new(number, terminal, LastByte::EndsInput);
        let connected = streams.connect(born.ends, &self.poll);
        let attached = client.map(|(attach, socket)| streams.attach(attach, socket, None, &self.poll));
        if let Err(error) = connected.and(attached.unwrap_or(Ok(()))) {
            // Nobody could hear it: it is better not run at all.
            let _ = container::send(&born.pidfd, rustix::process::Signal::KILL.as_raw());
            streams.abandon();
            return Err(error);
        }
        let pid = born.pid;
        self.execs.push(RunningExec { number, id: id.clone(), pid, pidfd: born.pidfd, streams, ended: false });
        self.tell(Event::ExecStarted { exec: id, pid });
        Ok(Timestamp::now())
    }

    pub(super) fn signal_exec(&mut self, signal: &SignalExec) -> Result<Answer> {
        let exec = self.running_exec(&signal.exec)?;
        match &self.container {
            // Before the process itself: its children are known by it.
            Some(container) if signal.family => container.kill_family(exec.pid),
            _ => container::send(&exec.pidfd, signal.signal)?,
        }
        Ok(Answer::Done)
    }

    pub(super) fn running_exec(&self, id: &str) -> Result<&RunningExec> {
        self.execs
            .iter()
            .find(|exec| exec.id == id && !exec.ended)
            .ok_or_else(|| Error::not_found(message::no_such_exec(id)))
    }

    /// Takes the last output of an exec that has ended, and tells.
    pub(super) fn exec_ended(&mut self, pid: i32, code: i32) {
        let Some(exec) = self.execs.iter_mut().find(|exec| exec.pid == pid && !exec.ended) else {
            // A process of the container that has lost its parent, or an exec that is still on its way.
            return self.births.note(pid, code);
        };
        exec.streams.finish(&mut self.buffer, &self.poll);
        exec.ended = true;
        let event = Event::ExecExited { exec: exec.id.clone(), code };
        if self.ended_execs.len() == MOST_ENDED {
            self.ended_execs.pop_front();
        }
        self.ended_execs.push_back(EndedExec { id: exec.id.clone(), code });
        self.tell(event);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::client::GOODBYE;
    use crate::poll::{Direction, Poll};
    use crate::protocol::Attach;
    use crate::streams::{CHUNK, Ends};

    /// An exec that has written more than its client's socket holds, and has ended; and the client, who takes nothing.
    fn ended_exec(poll: &Poll) -> (RunningExec, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        let ([_, stdout, _], ends) = Ends::pipes(false).unwrap();
        let mut streams = Streams::new(1, false, LastByte::EndsInput);
        streams.connect(ends, poll).unwrap();
        streams.attach(Attach { stdout: true, ..Attach::default() }, near.into(), None, poll).unwrap();
        let (mut stdout, mut buffer) = (std::fs::File::from(stdout), vec![0; CHUNK]);
        for _ in 0..16 {
            stdout.write_all(&buffer).unwrap();
            streams.on_stream(Direction::Stdout, &mut buffer, poll);
        }
        streams.finish(&mut buffer, poll);
        let pidfd = rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
        (RunningExec { number: 1, id: "e".to_owned(), pid: 1, pidfd: pidfd.unwrap(), streams, ended: true }, far)
    }

    #[test]
    fn a_shim_does_not_stay_for_ever_for_a_client_of_an_exec_that_takes_nothing() {
        let (near, _engine) = UnixStream::pair().unwrap();
        let mut supervisor = Supervisor::new(near, None).unwrap();
        let (exec, _client) = ended_exec(&supervisor.poll);
        supervisor.execs.push(exec);
        supervisor.over = true;
        supervisor.settle();
        assert!(!supervisor.is_done());
        let rest = supervisor.rest().expect("it looks again");
        assert!(rest <= GOODBYE && rest > GOODBYE / 2, "{rest:?}");
        supervisor.execs[0].streams.clients_have_taken_nothing_for(GOODBYE);
        supervisor.settle();
        assert!(supervisor.is_done());
    }
}
