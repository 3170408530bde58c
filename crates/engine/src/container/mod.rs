//! One container: the handle everybody has, and the task that owns it.
//!
//! The owner alone changes a container. It takes [`Command`]s from a mailbox and events from the shim, carries them out
//! one after the other, and publishes a new [`View`] after each change. Whoever only wants to know reads the view and
//! waits for nobody.

mod attachment;
mod care;
mod ending;
mod launching;
mod networking;
mod owner;
mod pausing;
mod policy;
mod process;
mod reconnecting;
pub(crate) mod record;
mod removal;
mod requests;
mod state;
mod surroundings;
mod waiting;

use std::sync::{Arc, PoisonError, RwLock};

use dhow_errdefs::{Error, Result};
use dhow_network::model::{EndpointSpec, Network};
use dhow_oci::Digest;
use dhow_store::Document;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::health::HealthResult;
use crate::link::{Link, PATIENCE};
use crate::spec::{ContainerSpec, Resources, RestartPolicy};
use crate::{ExitStatus, MountPoint, PublishChange, RemoveOptions, StateView, WaitCondition};

pub(crate) use attachment::Attachment;
pub(crate) use launching::{Launched, shareable};
pub(crate) use owner::Owner;
pub(crate) use policy::{resumes, was_steady};
pub(crate) use process::Process;
use reconnecting::Reunion;
pub(crate) use record::{Body, Condition};
pub(crate) use state::{Fact, Refusal, Request, State};

/// A container as the rest of the engine has it.
#[derive(Debug)]
pub(crate) struct Container {
    pub id: Arc<str>,
    pub created: Timestamp,
    pub image: Option<Digest>,
    pub layer: Option<Digest>,
    /// Held while it is started, and while somebody else writes to its files.
    pub files: Arc<tokio::sync::Mutex<()>>,
    view: RwLock<Arc<View>>,
    mailbox: mpsc::UnboundedSender<Command>,
}

/// What is known of a container at one moment.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub name: String,
    pub spec: Arc<ContainerSpec>,
    pub body: Arc<Body>,
    pub points: Arc<Vec<MountPoint>>,
    pub condition: Condition,
    /// Process 1 on the host, while it runs.
    pub pid: i32,
    /// The shim, while there is one.
    pub link: Option<Link>,
}

/// Where an answer goes. Who asked may have gone away; then the answer is dropped.
pub(crate) type Reply<T> = oneshot::Sender<Result<T>>;

/// What the owner is asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start it; answered when it runs.
    Start(Reply<()>),
    /// It is going to be stopped by somebody: no restarts any more.
    BeginStop(Then, Reply<Stopping>),
    /// What was stopped in order to be started again is not started.
    StayEnded,
    /// A signal is going to be sent by somebody.
    BeginKill(i32, Reply<Stopping>),
    /// It did not end by any signal: end it and its shim by force.
    ForceEnd,
    Pause(Reply<()>),
    Unpause(Reply<()>),
    /// Freeze it for the moment in which something is copied; the number is for the end of that.
    Freeze(Reply<Option<u64>>),
    /// Answer when what was mounted for its last run is given back.
    AwaitLeft(Reply<()>),
    /// Answer when nothing is being copied that it writes to.
    AwaitCopies(Reply<()>),
    /// Whether it stood still until now, or until its end, is the answer.
    Thaw(u64, Reply<bool>),
    /// Somebody who ends it has let its processes go on.
    Thawed,
    Attach(Attachment, Reply<()>),
    Rename(String, Reply<()>),
    Update(Box<Resources>, Option<RestartPolicy>, Reply<Vec<String>>),
    Publish(Box<PublishChange>, Reply<()>),
    Remove(RemoveOptions, Reply<()>),
    Connect(Arc<Network>, Box<EndpointSpec>, Reply<()>),
    /// Out of the network with that name.
    Disconnect(String, Reply<()>),
    /// Without the link of that name.
    Unlink(String, Reply<()>),
    Wait(WaitCondition, oneshot::Sender<ExitStatus>),
    /// From the launch that is under way: somebody writes to the files, and that may take its time.
    FilesBusy,
    /// From the launch that is under way: the shim runs.
    ShimBorn(Link),
    /// From the search with that number: the shim whose connection was lost, or that there is none any more.
    ShimSought(u64, Option<Box<Reunion>>),
    /// From the launch that is under way: its outcome, and what goes on of it if it was given up.
    Launched(Box<Result<Launched>>, Option<JoinHandle<()>>),
    /// From a probe, by its exec: its result, if the container could be asked.
    Probed(String, Option<HealthResult>),
}

/// What somebody who stops a container wants next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Then {
    #[default]
    Nothing,
    /// To start it again: until then it stays, also if it removes itself at its end.
    Start,
    /// The same, but who wanted it has gone with its engine: it is started as soon as it has ended.
    Resume,
}

/// Who is to be signalled.
#[derive(Debug)]
pub(crate) enum Target {
    Nothing,
    Shim(Link),
    /// A shim that this engine cannot talk to: there is only force.
    OutOfReach,
}

/// What somebody who wants a container to end has to know.
#[derive(Debug)]
pub(crate) struct Stopping {
    pub target: Target,
    /// It has to be thawed to take notice.
    pub paused: bool,
    /// Told when it has ended.
    pub ended: oneshot::Receiver<ExitStatus>,
}

impl Container {
    /// The handle of a container and the mailbox for its owner.
    pub(crate) fn new(
        (id, created): (Arc<str>, Timestamp),
        (image, layer): (Option<Digest>, Option<Digest>),
        view: View,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Command>) {
        let (mailbox, commands) = mpsc::unbounded_channel();
        let (files, view) = (Arc::default(), RwLock::new(Arc::new(view)));
        let container = Self { id, created, image, layer, files, view, mailbox };
        (Arc::new(container), commands)
    }

    /// The present view.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn publish(&self, view: View) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(view);
    }

    /// Asks the owner and waits for its answer.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply))?;
        answer.await.map_err(|_| self.gone())?
    }

    /// Waits until what was mounted for its last run is given back: whoever has stopped it may want the disk.
    pub(crate) async fn until_left(&self) {
        let left = self.ask(Command::AwaitLeft);
        // A file server that is dead keeps nobody, nor one who removes it.
        let _ = tokio::time::timeout(PATIENCE, left).await;
    }

    /// Waits while it stands still because something is copied, or its shim is being sought, and for nothing else.
    pub(crate) async fn until_reached(&self) -> Result<()> {
        let view = self.view();
        let is_sought = || view.link.as_ref().is_none_or(Link::has_ended);
        match view.condition.state {
            State::Paused => self.ask(Command::AwaitCopies).await,
            State::Running if is_sought() => self.ask(Command::AwaitCopies).await,
            _ => Ok(()),
        }
    }

    /// Tells the owner something.
    pub(crate) fn tell(&self, command: Command) -> Result<()> {
        self.mailbox.send(command).map_err(|_| self.gone())
    }

    /// Has it removed by force; what comes of that nobody hears.
    pub(crate) fn remove_unheard(&self, volumes: bool) -> Result<()> {
        let (reply, _) = oneshot::channel();
        self.tell(Command::Remove(RemoveOptions { force: true, volumes }, reply))
    }

    /// The owner has ended: the container was removed a moment ago.
    fn gone(&self) -> Error {
        Error::not_found(dhow_errdefs::message::no_such_container(&self.id))
    }

    /// The refusal of a request that makes no sense now.
    pub(crate) fn check(&self, request: Request) -> Result<Arc<View>> {
        let view = self.view();
        view.condition.state.may(request).map_err(|refusal| refusal.into_error(&self.id, &view.name))?;
        Ok(view)
    }
}

impl View {
    /// The state as `inspect` shows it.
    pub(crate) fn state(&self) -> StateView {
        let condition = &self.condition;
        let time = |time: dhow_logs::Timestamp| Timestamp::from_nanosecond(i128::from(time.0)).ok();
        StateView {
            status: condition.state.status(condition.started_at.is_some(), condition.restart_count > 0),
            pid: self.pid,
            exit_code: condition.exit_code,
            error: condition.error.clone(),
            oom_killed: condition.oom_killed,
            started_at: condition.started_at.and_then(time),
            finished_at: condition.finished_at.and_then(time),
            health: condition.health.clone(),
        }
    }
}

/// The condition as it is stored; `Starting` is never stored, because a restart of the engine finds out what came of it.
fn stored(condition: &Condition) -> Result<Document> {
    let settled = match condition.state {
        State::Starting if condition.started_at.is_some() => State::Exited,
        State::Starting => State::Created,
        state => state,
    };
    record::write(&Condition { state: settled, ..condition.clone() })
}
