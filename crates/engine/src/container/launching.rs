//! Starting a container: from its record to a running process.

use std::sync::Arc;
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result};
use dhow_logs::Timestamp;
use dhow_network::model::Attached;
use dhow_shim::protocol::{Answer, Launch, Op};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::owner::{Next, Owner};
use super::policy::Backoff;
use super::surroundings::settled;
use super::{Attachment, Command, Container, Fact, Reply, Request, State, Then, View};
use crate::WaitCondition;
use crate::core::Core;
use crate::link::{Events, LONG_PATIENCE, Link, PATIENCE, Pending, abandon};
use crate::start::Shared;
use crate::volumes::Passage;

/// How long a container that runs already is not told of because others do not know yet where it is. They mostly do: it takes
/// less than a millisecond, and is begun long before.
const RENEWAL: Duration = Duration::from_secs(1);

/// A container that runs.
#[derive(Debug)]
pub(crate) struct Launched {
    link: Link,
    events: Events,
    pid: i32,
    at: Timestamp,
    warnings: Vec<String>,
    attached: Attached,
    /// Kept until it counts as running.
    passage: Passage,
}

/// Everything that a shim has to be told, and what has to be kept until it has done it.
#[derive(Debug)]
struct Prepared {
    launch: Launch,
    attached: Attached,
    shared: Shared,
    /// Others learn meanwhile where it is.
    renewal: Option<JoinHandle<()>>,
}

impl Owner {
    pub(super) fn start(&mut self, reply: Reply<()>) {
        if let Err(error) = self.check(Request::Start) {
            let _ = reply.send(Err(error));
            return;
        }
        if self.removal.is_some() {
            let refusal = super::Refusal::MarkedForRemoval("started");
            let _ = reply.send(Err(refusal.into_error(&self.container.id, &self.name)));
            return;
        }
        self.starting.push(reply);
        (self.condition.stopped_by_hand, self.condition.then) = (false, Then::Nothing);
        (self.condition.restart_count, self.condition.restart_pause) = (0, 0);
        self.restart_at = None;
        self.backoff = Backoff::default();
        // A shim that is still cleaning up after the last run is waited for.
        if self.link.is_none() {
            self.launch();
        }
    }

    /// Starts in a task of its own, so that the owner can answer meanwhile.
    pub(super) fn launch(&mut self) {
        self.apply(Fact::Launched);
        let dirty = std::mem::replace(&mut self.dirty, true);
        let (core, container) = (Arc::clone(&self.core), Arc::clone(&self.container));
        let attachments = std::mem::take(&mut self.attachments);
        // What this launch waits for; one that is given up leaves it to the next one.
        let mut under_way = self.leaving.take();
        let (give_up, given_up) = oneshot::channel();
        self.launching = Some(give_up);
        self.set_overdue(LONG_PATIENCE);
        tokio::spawn(async move {
            let outcome = tokio::select! {
                outcome = launch(&core, &container, (dirty, attachments), &mut under_way) => match outcome {
                    Err(error) => Err(blame_the_image(&core, &container, error).await),
                    launched => launched,
                },
                Ok(()) = given_up => Err(gave_up(&core, &container).await),
            };
            // An owner that has gone meanwhile has no use for it; dropping the link leaves the shim to the next engine.
            let _ = container.tell(Command::Launched(Box::new(outcome), under_way));
        });
    }

    /// The outcome of a launch, and what goes on of one that was given up.
    pub(super) async fn launched(&mut self, outcome: Result<Launched>, under_way: Option<JoinHandle<()>>) -> Next {
        (self.launching, self.overdue_at, self.leaving) = (None, None, under_way);
        match outcome {
            Ok(launched) => self.runs(launched).await,
            Err(error) => self.failed(error).await,
        }
    }

    async fn runs(&mut self, launched: Launched) -> Next {
        let Launched { link, events, pid, at, warnings, attached, passage: _passage } = launched;
        for warning in warnings {
            tracing::warn!(id = %self.container.id, "{warning}");
        }
        let condition = &mut self.condition;
        (condition.exit_code, condition.oom_killed, condition.error) = (0, false, String::new());
        (condition.started_at, condition.finished_at) = (Some(at), None);
        condition.then = Then::Nothing;
        condition.log_losses = dhow_logs::Losses::default();
        condition.attached = Some(Arc::new(attached));
        self.pid = pid;
        self.link = Some(link.clone());
        self.listen(events);
        self.begin_care();
        self.apply(Fact::Started);
        self.tell_joined();
        self.tell_event("start", &[]);
        self.starting.drain(..).for_each(|reply| drop(reply.send(Ok(()))));
        self.persist();
        for attachment in std::mem::take(&mut self.attachments) {
            if let Err(error) = attachment.begin(&link, Arc::clone(&self.core)).await {
                tracing::warn!(id = %self.container.id, %error, "a client could not be attached");
            }
        }
        if self.removal.is_some() {
            self.end_first();
        }
        Next::Continue
    }

    async fn failed(&mut self, error: Error) -> Next {
        let started_before = self.condition.started_at.is_some();
        let unheard = self.starting.is_empty();
        if unheard {
            tracing::warn!(id = %self.container.id, %error, "a container could not be started again");
        }
        self.condition.exit_code = exit_code(&error);
        self.condition.error = error.to_string();
        self.condition.then = Then::Nothing;
        self.leave_networks();
        self.forget_shim();
        // What could not be swept is told by this, and swept again by whoever removes the container.
        self.dirty = self.core.run_dir(&self.container.id).exists();
        // Nobody waits for it: its policy has started it, and tries again.
        let again = unheard && self.again(self.condition.exit_code);
        if again {
            self.restart_later(0);
        }
        self.apply(match started_before {
            _ if again => Fact::EndedToRestart,
            true => Fact::StartFailed,
            false => Fact::FirstStartFailed,
        });
        self.attachments.clear();
        self.wake(&[WaitCondition::NextExit, WaitCondition::NotRunning]);
        let (class, text, hint) = (error.class(), error.to_string(), error.hint().map(str::to_owned));
        for reply in self.starting.drain(..) {
            let copy = Error::new(class, text.clone());
            let _ = reply.send(Err(match &hint {
                Some(hint) => copy.with_hint(hint.clone()),
                None => copy,
            }));
        }
        self.persist();
        if self.removal.is_some() {
            return self.finish_removal().await;
        }
        if self.body.spec.host.auto_remove {
            return self.remove_itself().await;
        }
        Next::Continue
    }
}

/// The exit code Docker gives to a container whose program could not be run.
fn exit_code(error: &Error) -> i32 {
    match error.class() {
        Class::NotFound => 127,
        Class::PermissionDenied => 126,
        _ => 128,
    }
}

async fn launch(
    core: &Arc<Core>,
    container: &Arc<Container>,
    (dirty, attachments): (bool, Vec<Attachment>),
    under_way: &mut Option<JoinHandle<()>>,
) -> Result<Launched> {
    settled(under_way).await;
    // A new shim would write down its own things where it is written what is left of the last run.
    if dirty && !sweep(core, container).await? {
        let text = format!("what is left of the last run of container {} could not be removed", container.id);
        return Err(Error::unavailable(text).with_hint("the engine's log says what holds it"));
    }
    // Two overlays must not write to the same folder: whoever copies something into it is waited for, however long that takes.
    let _quiet = match container.files.try_lock() {
        Ok(quiet) => quiet,
        Err(_) => {
            let _ = container.tell(Command::FilesBusy);
            container.files.lock().await
        }
    };
    let passage = pass(core, container).await;
    let (mut link, mut events, awake) = shim(core, container).await?;
    let _ = container.tell(Command::ShimBorn(link.clone()));
    let (prepared, answer) = oneshot::channel();
    *under_way = Some(tokio::spawn(prepare(Arc::clone(core), Arc::clone(container), prepared)));
    let Prepared { launch, attached, shared: _shared, renewal } =
        answer.await.unwrap_or_else(|_| Err(Error::internal("the preparation of a start was interrupted")))?;
    *under_way = None;
    if let Some(awake) = awake
        && !awake.comes_soon().await
    {
        tracing::warn!(id = %container.id, "the shim that was started ahead does not answer; another one takes its place");
        link.kill_shim();
        (link, events) = fresh_shim(core, container).await?;
        let _ = container.tell(Command::ShimBorn(link.clone()));
    }
    for attachment in attachments {
        attachment.begin(&link, Arc::clone(core)).await?;
    }
    // It has them before it launches; nobody waits for that.
    drop(link.keep(core.kernel.keepsakes(&container.id)).await?);
    match link.call(Op::Launch(Box::new(launch)), &[]).await {
        Ok(Answer::Started { pid, at, warnings }) => {
            if let Some(renewal) = renewal {
                let _ = tokio::time::timeout(RENEWAL, renewal).await;
            }
            Ok(Launched { link, events, pid, at, warnings, attached, passage })
        }
        Ok(answer) => Err(Error::internal(format!("the shim answered a launch with {answer:?}"))),
        Err(error) => {
            // It undoes what it has done and ends; only then may another one begin.
            let undone = async { while events.recv().await.is_some() {} };
            let ended = tokio::time::timeout(PATIENCE, undone).await.is_ok();
            if !ended || error.class() == Class::Unavailable {
                // Stuck, or killed before it could undo anything.
                link.kill_shim();
                let _ = sweep(core, container).await?;
            }
            Err(crate::start::failure(error))
        }
    }
}

/// Waits while volumes of the container are copied at one moment, or have their content changed, however long that takes.
async fn pass(core: &Core, container: &Container) -> Passage {
    let view = container.view();
    let volumes = || crate::volumes::names(&view.body.mounts);
    if let Some(passage) = core.volumes.doors.try_pass(volumes()) {
        return passage;
    }
    let _ = container.tell(Command::FilesBusy);
    core.volumes.doors.pass(volumes()).await
}

/// One that waits already, or one that starts up. One that has waited is asked whether it is awake; its answer comes while
/// its task is put together.
async fn shim(core: &Arc<Core>, container: &Container) -> Result<(Link, Events, Option<Pending>)> {
    let spare = core.shims.take();
    let (shims, refilled) = (Arc::clone(&core.shims), Arc::downgrade(core));
    tokio::spawn(async move {
        if shims.quiet().await
            && let Some(core) = refilled.upgrade()
        {
            let _ = tokio::task::spawn_blocking(move || core.refill_shims()).await;
        }
    });
    let Some(spare) = spare else {
        let (link, events) = fresh_shim(core, container).await?;
        return Ok((link, events, None));
    };
    let (link, events) = Link::of_child(spare)?;
    let awake = link.begin(Op::State, &[]).await?;
    Ok((link, events, Some(awake)))
}

async fn fresh_shim(core: &Core, container: &Container) -> Result<(Link, Events)> {
    let (program, run_dir) = (core.program(), core.run_dir(&container.id));
    let (sender, spawned) = oneshot::channel();
    tokio::task::spawn_blocking(move || {
        // The start may have been given up meanwhile, and nobody else would reap it.
        if let Err(Ok(unwanted)) = sender.send(dhow_shim::spawn(&program, &run_dir)) {
            abandon(&unwanted.pidfd);
        }
    });
    let spawned = spawned.await.unwrap_or_else(|_| Err(Error::internal("the start of a shim was interrupted")));
    Link::of_child(spawned?)
}

/// What a start takes of the host: networks, volumes, files. A launch that was given up meanwhile does not want it any
/// more: it is given back then, here, because it was taken after everything else was.
async fn prepare(core: Arc<Core>, container: Arc<Container>, prepared: oneshot::Sender<Result<Prepared>>) {
    let taken = {
        let (core, container) = (Arc::clone(&core), Arc::clone(&container));
        blocking(move || {
            let view = container.view();
            let attached = core.enter_networks(&container, &view)?;
            let renewal = renew_links(&core, &container);
            let (launch, shared) = crate::start::prepare(&core, &container, &view)?;
            Ok(Prepared { launch, attached, shared, renewal })
        })
    };
    if prepared.send(taken.await).is_err() {
        // Interrupted only when the process ends; the next engine finds what is left.
        let _ = tokio::task::spawn_blocking(move || give_back(&core, &container)).await;
    }
}

/// Beside the start: the files of others may be on a disk that hangs.
fn renew_links(core: &Arc<Core>, container: &Arc<Container>) -> Option<JoinHandle<()>> {
    let links = core.links_to(container);
    let (core, container) = (Arc::clone(core), Arc::clone(container));
    (!links.is_empty()).then(|| tokio::task::spawn_blocking(move || core.renew_links(&links, &container)))
}

/// Undoes [`prepare`]; the container may have been removed since.
fn give_back(core: &Core, container: &Container) {
    core.leave_networks(&container.id);
    let view = container.view();
    crate::volumes::names(&view.body.mounts).for_each(|name| core.volumes.detach(name, &container.id));
    crate::start::unmount(core, &container.id);
}

/// Takes away what there is of a launch that waits for something that does not come: a file server that is dead, a
/// runtime that hangs. Whoever waits there comes back to nobody.
async fn gave_up(core: &Arc<Core>, container: &Arc<Container>) -> Error {
    let swept = sweep(core, container).await;
    let error = Error::deadline("the start took too long and was given up");
    crate::start::failure(match swept {
        Ok(_) => error,
        Err(cause) => error.with_cause(cause),
    })
}

/// Says of a start that failed when the image is damaged, and what to do about it.
async fn blame_the_image(core: &Arc<Core>, container: &Arc<Container>, error: Error) -> Error {
    // A want of descriptors keeps us from reading the layer, too.
    let Some(layer) = container.layer.filter(|_| error.class() != Class::ResourceExhausted) else { return error };
    let core = Arc::clone(core);
    let damaged = blocking(move || core.store.layers().is_damaged(&layer)).await;
    if !damaged.unwrap_or_default() {
        return error;
    }
    // Only the text gets to the client.
    let text = format!("{error} (the image is damaged on the disk: `dhow system check --repair` heals it)");
    Error::new(error.class(), text)
}

/// Whether nothing is left.
async fn sweep(core: &Arc<Core>, container: &Arc<Container>) -> Result<bool> {
    let (core, container) = (Arc::clone(core), Arc::clone(container));
    let cgroup = core.cgroup_of(&container);
    blocking(move || Ok(crate::leftovers::sweep(&core, &container.id, cgroup.as_deref()))).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::internal("prepare a start").with_cause(error)))
}

/// Whether a view shows a container whose namespaces can be shared.
pub(crate) fn shareable(view: &View) -> bool {
    matches!(view.condition.state, State::Running | State::Paused) && view.pid > 0
}
