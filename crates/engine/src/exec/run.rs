//! Creating and starting execs.

use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use dhow_errdefs::{Class, Error, Result};
use dhow_oci::runtime;
use dhow_shim::protocol::{self, Answer, Moment, Op, SignalExec};

use crate::attach::detach_keys;
use crate::container::{Container, Request, View};
use crate::core::Core;
use crate::launch::{Identity, exec_process, merge_environment};
use crate::link::{LONG_PATIENCE, Link};
use crate::spec::ExecSpec;
use crate::{ClientStream, ExecStartOptions};

impl Core {
    /// Checks that an exec makes sense and keeps it.
    pub(crate) fn exec_create(&self, container: &Container, spec: ExecSpec) -> Result<String> {
        let view = container.check(Request::Exec)?;
        if spec.cmd.is_empty() {
            return Err(Error::invalid("No exec command specified"));
        }
        if let Some(bad) = spec.env.iter().find(|variable| variable.is_empty() || variable.starts_with('=')) {
            return Err(Error::invalid(format!("invalid environment variable: {bad}")));
        }
        detach_keys(spec.detach_keys.as_deref())?;
        let id = crate::create::random_id();
        let command = spec.cmd.join(" ");
        self.execs.insert(id.clone(), Arc::clone(&container.id), spec);
        // It may have ended in between: what was made for that run is not for the next one.
        if let Err(refusal) = container.check(Request::Exec) {
            self.execs.withdraw(&id);
            return Err(refusal);
        }
        self.exec_event(container, &view, &id, format!("exec_create: {command}"));
        Ok(id)
    }

    /// An exec that can be started now, if nobody else is quicker.
    pub(crate) async fn exec_ready(&self, id: &str) -> Result<Target> {
        let target = self.exec_target(id).await?;
        self.execs.check(id)?;
        Ok(target)
    }

    /// An exec whose container runs.
    pub(crate) async fn exec_target(&self, id: &str) -> Result<Target> {
        let (container, spec) = self.execs.find(id)?;
        let container = self.containers().find(&container)?;
        container.until_reached().await?;
        let view = container.check(Request::Exec)?;
        Ok(Target { container, view, spec })
    }

    /// Starts an exec. A failure is also told to the client.
    pub(crate) async fn exec_start(
        self: Arc<Self>,
        id: String,
        options: ExecStartOptions,
        stream: Option<ClientStream>,
    ) -> Result<()> {
        let client = stream.as_ref().and_then(|stream| stream.fd.try_clone().ok());
        let started = self.exec_begin(&id, &options, stream).await;
        if let (Err(error), Some(client)) = (&started, client) {
            let created_with_tty = || self.execs.find(&id).is_ok_and(|(_, spec)| spec.tty);
            tell(client, error, options.tty.unwrap_or_else(created_with_tty));
        }
        started
    }

    /// The same; that it failed becomes the exec's exit code, if it was this start that failed.
    async fn exec_begin(&self, id: &str, options: &ExecStartOptions, stream: Option<ClientStream>) -> Result<()> {
        let target = self.exec_target(id).await?;
        self.execs.claim(id)?;
        // Before it runs, as in Docker: it may end at once, and then its end would be told first.
        let command = target.spec.cmd.join(" ");
        self.exec_event(&target.container, &target.view, id, format!("exec_start: {command}"));
        self.exec_run(id, &target, options, stream).await.map_err(failure).inspect_err(|error| {
            self.execs.failed(id, if error.class() == Class::NotFound { 127 } else { 126 });
        })
    }

    async fn exec_run(
        &self,
        id: &str,
        target: &Target,
        options: &ExecStartOptions,
        stream: Option<ClientStream>,
    ) -> Result<()> {
        let link = target.view.link.clone().ok_or_else(crate::link::out_of_reach)?;
        let wanted = if target.spec.user.is_empty() { &target.view.spec.user } else { &target.spec.user };
        let user = self.user_in(&target.container, &target.view, wanted.clone()).await?;
        let process = self.exec_process(target, options, &user)?;
        let attach = stream.as_ref().map(|stream| attach(&target.spec, options, &stream.leftover)).transpose()?;
        let unconfined = target.spec.privileged && !target.view.spec.host.privileged;
        let until = Some(Moment::after(LONG_PATIENCE));
        let exec = protocol::Exec { id: id.to_owned(), process, attach, unconfined, until };
        let pending = match stream {
            Some(stream) => {
                let pending = link.begin(Op::Exec(Box::new(exec)), &[stream.fd.as_fd()]).await?;
                self.execs.hold(id, stream.fd);
                pending
            }
            None => link.begin(Op::Exec(Box::new(exec)), &[]).await?,
        };
        match pending.wait_patiently().await {
            Ok(Answer::Started { pid, .. }) => {
                self.execs.runs(id, pid);
                Ok(())
            }
            Ok(answer) => Err(Error::internal(format!("the shim answered an exec with {answer:?}"))),
            Err(error) => {
                if error.class() == Class::DeadlineExceeded {
                    // It may have begun just now.
                    take_back(&link, id).await;
                }
                Err(error)
            }
        }
    }

    fn exec_process(&self, target: &Target, options: &ExecStartOptions, user: &Identity) -> Result<runtime::Process> {
        let Target { container, view, spec } = target;
        let sized = ExecSpec { console_size: options.console_size.or(spec.console_size), ..(**spec).clone() };
        let mut process = exec_process(&sized, &view.spec, &container.id, &self.host.platform, user)?;
        // As the first process was told of those that the container is linked to.
        process.env = merge_environment(self.present_link_environment(view), &process.env);
        Ok(process)
    }

    fn exec_event(&self, container: &Container, view: &View, id: &str, action: String) {
        self.events.container(action, (&container.id, &view.name), &view.spec, &[("execID", id.to_owned())]);
    }
}

/// An exec and where it runs.
#[derive(Debug)]
pub(crate) struct Target {
    pub container: Arc<Container>,
    pub view: Arc<View>,
    pub spec: Arc<ExecSpec>,
}

/// Ends an exec that was given up. A shim does one thing after the other, so this comes after its start, whenever that is.
async fn take_back(link: &Link, id: &str) {
    let kill = SignalExec { exec: id.to_owned(), signal: crate::signal::KILL, family: true };
    // A shim that does not even take the question has not taken the exec.
    let _ = link.begin(Op::SignalExec(kill), &[]).await;
}

/// How the client is connected.
fn attach(spec: &ExecSpec, options: &ExecStartOptions, leftover: &[u8]) -> Result<protocol::Attach> {
    Ok(protocol::Attach {
        stdin: spec.attach_stdin,
        stdout: spec.attach_stdout,
        stderr: spec.attach_stderr && !spec.tty,
        // Docker asks the start, not the creation: clients that start an exec with a terminal as if it had none get frames.
        multiplex: !options.tty.unwrap_or(spec.tty),
        detach_keys: detach_keys(spec.detach_keys.as_deref())?,
        leftover: leftover.to_vec(),
    })
}

/// The error of an exec in the words that Docker's clients look for.
fn failure(error: Error) -> Error {
    match error.class() {
        _ if of_the_program(&error) => {
            error.context("OCI runtime exec failed: exec failed: unable to start container process")
        }
        _ => error,
    }
}

/// The program could not be run, or not where it was to be.
fn of_the_program(error: &Error) -> bool {
    matches!(error.class(), Class::NotFound | Class::PermissionDenied) || error.to_string().starts_with("chdir to cwd ")
}

/// Writes the failure where the client reads, as Docker does: raw, or as a frame of standard output.
fn tell(client: std::os::fd::OwnedFd, error: &Error, tty: bool) {
    let text = format!("{error}\r\n");
    let mut bytes = Vec::new();
    if !tty {
        bytes.extend([1, 0, 0, 0]);
        bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    }
    bytes.extend(text.as_bytes());
    let mut client = UnixStream::from(client);
    // A client that does not read so few bytes does not want to know.
    let _ = client.write_all(&bytes);
    // Also where a shim has a copy that it does not look at.
    let _ = client.shutdown(std::net::Shutdown::Write);
}
