//! One probe, from its beginning to its end.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_logs::Timestamp;
use dhow_shim::protocol::{Attach, Exec, Op, SignalExec};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;

use super::output::Output;
use super::target::{Http, Target};
use super::{Check, HealthResult, Probe, network};
use crate::container::{Container, Process, View};
use crate::core::Core;
use crate::launch::exec_process;
use crate::link::{Link, PATIENCE};
use crate::signal;
use crate::spec::ExecSpec;

/// The exit code where there was no answer, as in Docker.
const NO_ANSWER: i32 = -1;

/// With what the id of a probe's exec begins. An engine that finds such an exec knows that the one who waited for it is
/// gone; among those of people one begins so once in four thousand million.
const MARK: &str = "00000000";

/// The id for the exec of a new probe.
pub(crate) fn new_probe() -> String {
    let id = crate::create::random_id();
    format!("{MARK}{}", &id[MARK.len()..])
}

/// Whether an exec is a probe.
pub(crate) fn is_probe(exec: &str) -> bool {
    exec.starts_with(MARK)
}

/// How the owner tells that the probe's process has ended.
pub(crate) type Exited = oneshot::Receiver<i32>;

/// A probe that is under way.
#[derive(Debug)]
pub(crate) struct Visit {
    pub core: Arc<Core>,
    pub container: Arc<Container>,
    pub view: Arc<View>,
    pub link: Link,
    pub check: Arc<Check>,
    /// The id of its exec, if it has one.
    pub exec: String,
}

impl Visit {
    /// Asks the container. `unwanted` is closed when nobody wants to know any more. `None`: it could not be asked, for which it
    /// can do nothing.
    pub(crate) async fn ask(self, mut exited: Exited, unwanted: oneshot::Receiver<()>) -> Option<HealthResult> {
        let start = Timestamp::now();
        let mut output = Output::default();
        let timeout = self.check.timeout;
        let answered = tokio::select! {
            answered = tokio::time::timeout(timeout, self.answer(&mut output, &mut exited)) => answered.ok(),
            _ = unwanted => None,
        };
        let (exit_code, output) = match answered {
            Some(Ok(code)) => (code, output.text()),
            Some(Err(error)) if is_of_the_host(&error) => {
                tracing::warn!(id = %self.container.id, %error, "a health check could not be made");
                return None;
            }
            Some(Err(error)) => (NO_ANSWER, error.to_string()),
            None => {
                self.end(exited).await;
                (NO_ANSWER, output.too_slow(timeout))
            }
        };
        Some(HealthResult { start, end: Timestamp::now(), exit_code, output })
    }

    async fn answer(&self, output: &mut Output, exited: &mut Exited) -> Result<i32> {
        match &self.check.probe {
            Probe::Command(words) => self.run(words, output, exited).await,
            Probe::Http(page) => match self.ask_for(page, output).await {
                Ok(well) => Ok(i32::from(!well)),
                Err(error) => Ok(unwell(output, &error)),
            },
            Probe::Tcp(target) => match self.connect(target).await {
                Ok(address) => {
                    output.add(format!("connected to {address}").as_bytes());
                    Ok(0)
                }
                Err(error) => Ok(unwell(output, &error)),
            },
        }
    }

    async fn ask_for(&self, page: &Http, output: &mut Output) -> Result<bool> {
        network::http(&Process::of(&self.view)?.into_fd(), page, output).await
    }

    async fn connect(&self, target: &Target) -> Result<SocketAddr> {
        network::tcp(&Process::of(&self.view)?.into_fd(), target).await.map(|(_, address)| address)
    }

    /// Runs a program inside and reads what it writes.
    async fn run(&self, words: &[String], output: &mut Output, exited: &mut Exited) -> Result<i32> {
        let line = words.join(" ");
        self.tell(format!("exec_create: {line}"));
        let process = self.process(words).await?;
        let (ours, theirs) = UnixStream::pair().context(|| "make a pair of sockets")?;
        let attach = Attach { stdout: true, stderr: true, ..Attach::default() };
        let exec = Exec { id: self.exec.clone(), process, attach: Some(attach), unconfined: false, until: None };
        let link = self.link.clone();
        // In a task of its own: half a request that was given up would cost the connection.
        let begun = tokio::spawn(async move { link.begin(Op::Exec(Box::new(exec)), &[theirs.as_fd()]).await });
        let begun = begun.await.map_err(|error| Error::internal("begin a health check").with_cause(error))??;
        begun.wait().await.map_err(of_the_container)?;
        self.tell(format!("exec_start: {line}"));
        ours.set_nonblocking(true).context(|| "prepare a socket")?;
        let mut said = tokio::net::UnixStream::from_std(ours).context(|| "watch a socket")?;
        let listen = async {
            let mut piece = [0; 1024];
            // A connection that breaks has ended, too.
            while let Ok(count @ 1..) = said.read(&mut piece).await {
                output.add(&piece[..count]);
            }
        };
        let ((), code) = tokio::join!(listen, exited);
        code.map_err(|_| Error::unavailable("the container has ended"))
    }

    async fn process(&self, words: &[String]) -> Result<dhow_oci::runtime::Process> {
        let exec = ExecSpec { cmd: words.to_vec(), ..ExecSpec::default() };
        if exec.cmd.is_empty() {
            return Err(Error::invalid("No exec command specified"));
        }
        let spec = &self.view.spec;
        let user = self.core.user_in(&self.container, &self.view, spec.user.clone()).await?;
        exec_process(&exec, spec, &self.container.id, &self.core.host.platform, &user)
    }

    /// Nobody waits for the answer: its process and what came of it is killed, and gone before there is another.
    async fn end(&self, exited: Exited) {
        if !matches!(self.check.probe, Probe::Command(_)) {
            return;
        }
        let kill = SignalExec { exec: self.exec.clone(), signal: signal::KILL, family: true };
        // It may just have ended, or not have begun.
        if self.link.ask(Op::SignalExec(kill)).await.is_ok() {
            let _ = tokio::time::timeout(PATIENCE, exited).await;
        }
    }

    fn tell(&self, action: String) {
        let more = [("execID", self.exec.clone())];
        self.core.events.passing(action, (&self.container.id, &self.view.name), &self.view.spec, &more);
    }
}

/// The engine or its host is at its limits, or the shim out of reach.
fn is_of_the_host(error: &Error) -> bool {
    matches!(error.class(), Class::ResourceExhausted | Class::Unavailable)
}

/// What its shim is refused in the container's name is the container's own want, of processes or memory.
fn of_the_container(error: Error) -> Error {
    if error.class() == Class::ResourceExhausted { error.with_class(Class::Internal) } else { error }
}

/// A failure of the one who was asked.
fn unwell(output: &mut Output, error: &Error) -> i32 {
    output.add(error.to_string().as_bytes());
    1
}
