//! The task that owns a container.

use std::sync::Arc;
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result};
use dhow_shim::protocol::{Event, Op};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::care::Care;
use super::pausing::Frozen;
use super::policy::Backoff;
use super::removal::Removal;
use super::{Attachment, Body, Command, Condition, Container, Fact, Reply, Request, State, View, stored};
use crate::core::Core;
use crate::link::{Events, LONG_PATIENCE, Link, PATIENCE};
use crate::{ExitStatus, WaitCondition};

/// Everything that changes of one container, in one hand.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(super) core: Arc<Core>,
    pub(super) container: Arc<Container>,
    mailbox: mpsc::UnboundedReceiver<Command>,
    pub(super) name: String,
    pub(super) body: Arc<Body>,
    pub(super) condition: Condition,
    pub(super) pid: i32,
    pub(super) link: Option<Link>,
    pub(super) events: Option<Events>,
    pub(super) waiting: Vec<(WaitCondition, oneshot::Sender<ExitStatus>)>,
    /// Clients that attached before the start.
    pub(super) attachments: Vec<Attachment>,
    /// Who waits for the start that is under way or comes when the old shim has gone.
    pub(super) starting: Vec<Reply<()>>,
    /// Commands that make sense only when a launch has come to its end.
    deferred: Vec<Command>,
    /// Gives the launch that is under way up.
    pub(super) launching: Option<oneshot::Sender<()>>,
    pub(super) removal: Option<Removal>,
    /// A shim was told to launch, and nobody has said since that everything of it is undone.
    pub(super) dirty: bool,
    /// When the restart policy starts it again.
    pub(super) restart_at: Option<Instant>,
    pub(super) backoff: Backoff,
    /// Its health checks, while there are any.
    pub(super) care: Option<Care>,
    pub(super) frozen: Frozen,
    /// It is being ended because it is unhealthy.
    pub(super) unhealthy: bool,
    /// When a shim that should be gone is ended by force.
    pub(super) overdue_at: Option<Instant>,
    /// That has been done.
    pub(super) forced: bool,
    /// Its shim is being sought; until then, whoever needs one waits.
    pub(super) seeking: Option<Instant>,
    /// How often its shim was sought, or was gone.
    pub(super) sought: u64,
    /// What goes on of the last run: volumes are being unmounted, or a launch that was given up.
    pub(super) leaving: Option<JoinHandle<()>>,
    /// Those who wait until what was mounted for it is given back.
    pub(super) left: Vec<Reply<()>>,
}

/// Whether the owner goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Continue,
    /// The container is no more.
    End,
}

/// What the owner woke up for.
enum Wake {
    Command(Option<Command>),
    Shim(Option<Event>),
    Restart,
    Overdue,
    Probe,
    ShimSettled,
}

impl Owner {
    /// The owner of a container as its handle shows it now. With the link and the events of a shim that was adopted.
    pub(crate) fn new(
        core: Arc<Core>,
        container: Arc<Container>,
        mailbox: mpsc::UnboundedReceiver<Command>,
        events: Option<Events>,
    ) -> Self {
        let view = container.view();
        Self {
            core,
            container,
            mailbox,
            name: view.name.clone(),
            body: Arc::clone(&view.body),
            condition: view.condition.clone(),
            pid: view.pid,
            link: view.link.clone(),
            // Of one that is dead nobody could read whether it runs.
            dirty: events.is_some() || view.condition.state.is_alive() || view.condition.state == State::Dead,
            events,
            waiting: Vec::new(),
            attachments: Vec::new(),
            starting: Vec::new(),
            deferred: Vec::new(),
            launching: None,
            removal: None,
            restart_at: None,
            backoff: Backoff::after(view.condition.restart_pause),
            care: None,
            frozen: Frozen::default(),
            unhealthy: false,
            overdue_at: None,
            forced: false,
            seeking: None,
            sought: 0,
            leaving: None,
            left: Vec::new(),
        }
    }

    /// Works until the container is removed or the engine closes.
    pub(crate) async fn run(mut self) {
        let mut closing = self.core.closing();
        self.resume().await;
        loop {
            let probe_due = self.probe_due();
            let wake = tokio::select! {
                biased;
                // The core holds the sender as long as there are owners.
                _ = closing.wait_for(|closing| *closing) => break,
                command = self.mailbox.recv() => Wake::Command(command),
                event = next(&mut self.events) => Wake::Shim(event),
                () = until(self.restart_at) => Wake::Restart,
                () = until(self.overdue_at) => Wake::Overdue,
                () = until(probe_due) => Wake::Probe,
                () = until(self.seeking) => Wake::ShimSettled,
            };
            let next = match wake {
                Wake::Command(None) => Next::End,
                Wake::Command(Some(command)) => self.command(command).await,
                Wake::Shim(Some(event)) => self.event(event).await,
                Wake::Shim(None) => self.connection_lost().await,
                Wake::Restart => self.restart(),
                Wake::Overdue => self.overdue().await,
                Wake::ShimSettled => self.shim_settled().await,
                Wake::Probe => {
                    self.probe();
                    Next::Continue
                }
            };
            if next == Next::End {
                self.answer_late();
                break;
            }
        }
    }

    /// Who began to wait while the container was being removed hears how it has ended, too; and who wanted it to end, that it has.
    fn answer_late(&mut self) {
        self.mailbox.close();
        let mut late = std::mem::take(&mut self.deferred);
        while let Ok(command) = self.mailbox.try_recv() {
            late.push(command);
        }
        for command in late {
            match command {
                Command::Wait(_, waiter) => drop(waiter.send(self.exit_status())),
                Command::BeginStop(_, reply) | Command::BeginKill(_, reply) => answer(reply, Ok(self.stopping())),
                _ => {}
            }
        }
    }

    async fn command(&mut self, command: Command) -> Next {
        let starting = self.condition.state == State::Starting;
        if !starting && self.link.as_ref().is_some_and(Link::has_ended) {
            // The end of the connection has not had its turn yet, nor what the shim has said before it.
            self.wait_for_the_shim();
        }
        let seeking = self.seeking.is_some();
        if (starting || seeking) && waits_for_the_shim(&command) || seeking && concerns_what_runs(&command) {
            if starting && wants_the_end(&command) {
                self.set_overdue(PATIENCE);
            }
            self.deferred.push(command);
            return Next::Continue;
        }
        match command {
            Command::Start(reply) => self.start(reply),
            Command::BeginStop(then, reply) => {
                answer(reply, self.begin_stop(then));
                return self.go_if_ended().await;
            }
            Command::StayEnded => return self.stay_ended().await,
            Command::BeginKill(signal, reply) => answer(reply, self.begin_kill(signal)),
            Command::ForceEnd => return self.force_end().await,
            Command::Pause(reply) => answer(reply, self.pause().await),
            Command::Unpause(reply) => self.unpause(reply).await,
            Command::Freeze(reply) => answer(reply, self.freeze().await),
            Command::Thaw(number, reply) => answer(reply, self.thaw(number).await),
            Command::AwaitCopies(reply) => self.await_copies(reply),
            Command::AwaitLeft(reply) => self.await_left(reply),
            Command::Thawed => self.thawed(),
            Command::Attach(attachment, reply) => answer(reply, self.attach(attachment).await),
            Command::Rename(name, reply) => answer(reply, self.rename(name)),
            Command::Update(resources, policy, reply) => answer(reply, self.update(&resources, policy).await),
            Command::Remove(options, reply) => return self.begin_removal(options, reply).await,
            Command::Publish(change, reply) => answer(reply, self.publish_change(&change).await),
            Command::Connect(network, spec, reply) => answer(reply, self.connect(network, *spec).await),
            Command::Disconnect(network, reply) => answer(reply, self.disconnect(network).await),
            Command::Unlink(alias, reply) => answer(reply, self.unlink(&alias).await),
            Command::Wait(condition, waiter) => self.wait(condition, waiter),
            Command::FilesBusy => self.wait_for_files(),
            Command::ShimBorn(link) => self.shim_born(link),
            Command::ShimSought(number, found) => return self.shim_sought(number, found).await,
            Command::Probed(exec, result) => self.probed(&exec, result),
            Command::Launched(outcome, under_way) => {
                let next = self.launched(*outcome, under_way).await;
                return if next == Next::End { next } else { self.replay().await };
            }
        }
        Next::Continue
    }

    /// What had to wait for the shim.
    pub(super) async fn replay(&mut self) -> Next {
        for command in std::mem::take(&mut self.deferred) {
            // Boxed because a command can lead here again: the shim may be gone once more.
            if Box::pin(self.command(command)).await == Next::End {
                return Next::End;
            }
        }
        Next::Continue
    }

    async fn event(&mut self, event: Event) -> Next {
        match event {
            Event::Exited(exit) => self.ended(exit),
            Event::ExecExited { exec, code } => {
                if !self.probe_exited(&exec, code) {
                    self.core.exec_ended(&exec, code);
                }
            }
            Event::Oom => self.tell_event("oom", &[]),
            Event::LogLosses(losses) => {
                self.condition.log_losses = losses;
                self.publish();
            }
            Event::Warning(warning) => tracing::warn!(id = %self.container.id, "{warning}"),
            Event::Gone => return self.shim_gone().await,
            // Both are told by the answers to the requests, too.
            Event::Started { .. } | Event::ExecStarted { .. } => {}
        }
        Next::Continue
    }

    /// Refuses what makes no sense now.
    pub(super) fn check(&self, request: Request) -> Result<()> {
        let refuse = |refusal: super::Refusal| refusal.into_error(&self.container.id, &self.name);
        self.condition.state.may(request).map_err(refuse)
    }

    /// Notes that something has happened. What cannot happen is a fault of ours, told and otherwise ignored.
    pub(super) fn apply(&mut self, fact: Fact) {
        match self.condition.state.after(fact) {
            Some(state) => self.condition.state = state,
            None => tracing::error!(id = %self.container.id, state = ?self.condition.state, ?fact, "impossible"),
        }
        self.publish();
    }

    /// Shows everybody how things are.
    pub(super) fn publish(&self) {
        let old = self.container.view();
        self.container.publish(View {
            name: self.name.clone(),
            spec: Arc::clone(&self.body.spec),
            body: Arc::clone(&self.body),
            points: Arc::clone(&old.points),
            condition: self.condition.clone(),
            pid: self.pid,
            link: self.link.clone(),
        });
    }

    /// Writes the condition down. Memory stays right when that fails; the next transition tries again.
    pub(super) fn persist(&self) {
        let id = &self.container.id;
        let written = stored(&self.condition)
            .and_then(|state| self.core.record(|metadata| metadata.set_container_state(id, &state)));
        if let Err(error) = written {
            tracing::error!(id = %self.container.id, %error, "the state could not be written down");
        }
    }

    pub(super) fn tell_event(&self, action: &str, more: &[(&str, String)]) {
        self.core.events.container(action, (&self.container.id, &self.name), &self.body.spec, more);
    }

    /// A fact that is to be written down and told.
    pub(super) fn settle(&mut self, fact: Fact, event: &str) {
        self.apply(fact);
        self.persist();
        self.tell_event(event, &[]);
    }

    /// Asks for something that needs a running container. One that has ended says so by a connection that ends; without the
    /// record of an end the connection alone has.
    pub(super) async fn ask_shim(&self, op: Op) -> Result<()> {
        match self.shim()?.ask(op).await {
            Err(error) if error.class() == Class::Unavailable && self.has_written_its_end() => {
                Err(Error::conflict(format!("Container {} is not running", self.container.id)))
            }
            result => result.map(drop),
        }
    }

    fn has_written_its_end(&self) -> bool {
        let exit = self.core.read_exit(&self.container.id);
        exit.is_some_and(|exit| Some(exit.started_at) >= self.condition.started_at)
    }

    pub(super) fn shim(&self) -> Result<&Link> {
        self.link.as_ref().ok_or_else(crate::link::out_of_reach)
    }

    /// Ends the shim and everything in the container by force. What comes of it arrives as the end of the connection, where
    /// there is one.
    async fn force_end(&mut self) -> Next {
        if self.link.is_none() && self.condition.state.is_alive() {
            return self.shim_lost().await;
        }
        self.kill_shim();
        Next::Continue
    }

    fn kill_shim(&self) {
        if let Some(link) = &self.link {
            tracing::warn!(id = %self.container.id, "the container does not end; its shim is killed");
            link.kill_shim();
        }
    }

    /// A shim that should be gone is not: it is killed; and if even that does not end it (it waits for a dead disk), the
    /// container goes on without it.
    async fn overdue(&mut self) -> Next {
        self.overdue_at = None;
        if let Some(launching) = self.launching.take() {
            self.kill_shim();
            // It has just come to its end by itself.
            let _ = launching.send(());
            return Next::Continue;
        }
        if self.forced {
            return self.shim_lost().await;
        }
        self.forced = true;
        self.kill_shim();
        self.set_overdue(PATIENCE);
        Next::Continue
    }

    /// A launch waits for somebody who is alive: its time begins later, unless somebody wants the end.
    fn wait_for_files(&mut self) {
        if self.removal.is_none() && !self.deferred.iter().any(wants_the_end) {
            self.overdue_at = None;
        }
    }

    fn shim_born(&mut self, link: Link) {
        self.link = Some(link);
        self.set_overdue(LONG_PATIENCE);
    }

    /// Something is to happen in that time, if nobody expects it sooner.
    pub(super) fn set_overdue(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.overdue_at = Some(self.overdue_at.map_or(deadline, |sooner| sooner.min(deadline)));
    }

    /// Takes a shim's events up.
    pub(super) fn listen(&mut self, events: Events) {
        self.events = Some(events);
    }

    pub(super) fn forget_shim(&mut self) {
        (self.link, self.events, self.overdue_at) = (None, None, None);
        (self.pid, self.dirty, self.forced) = (0, false, false);
        self.sought += 1;
        self.leave_volumes();
    }
}

/// Commands that need to know what came of a launch, or of the search for a shim.
fn waits_for_the_shim(command: &Command) -> bool {
    match command {
        Command::BeginStop(..) | Command::BeginKill(..) | Command::Pause(_) | Command::Unpause(_) => true,
        Command::Update(..)
        | Command::Publish(..)
        | Command::Connect(..)
        | Command::Disconnect(..)
        | Command::Unlink(..) => true,
        Command::Remove(options, _) => !options.force,
        Command::Start(_)
        | Command::StayEnded
        | Command::ForceEnd
        | Command::Freeze(_)
        | Command::AwaitCopies(_)
        | Command::AwaitLeft(_)
        | Command::Thaw(..)
        | Command::Thawed
        | Command::Attach(..)
        | Command::Rename(..)
        | Command::Wait(..) => false,
        Command::FilesBusy
        | Command::ShimBorn(_)
        | Command::ShimSought(..)
        | Command::Launched(..)
        | Command::Probed(..) => false,
    }
}

/// Further commands for whose sake a shim is waited for that is being sought.
fn concerns_what_runs(command: &Command) -> bool {
    matches!(command, Command::Freeze(_) | Command::Thaw(..) | Command::Attach(..) | Command::AwaitCopies(_))
}

/// Commands for whose sake a launch that takes long is given up.
fn wants_the_end(command: &Command) -> bool {
    match command {
        Command::BeginStop(..) | Command::Remove(..) => true,
        Command::BeginKill(signal, _) => *signal == crate::signal::KILL,
        _ => false,
    }
}

pub(super) fn answer<T>(reply: Reply<T>, result: Result<T>) {
    // Who asked may have gone away.
    let _ = reply.send(result);
}

async fn next(events: &mut Option<Events>) -> Option<Event> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
