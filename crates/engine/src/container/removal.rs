//! Removing a container. It always comes to an end: with the container gone, or dead with the reason.
//!
//! What is alive is killed first and gets [`PATIENCE`](crate::link::PATIENCE) to go; then its shim is killed and what it
//! leaves behind is swept. The record goes before the files: an engine that is killed in between finds files without a
//! record and drops them when it opens.

use std::sync::Arc;
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result};
use dhow_shim::protocol::{Kill, Op};

use super::owner::{Next, Owner};
use super::surroundings::settled;
use super::{Body, Container, Fact, Reply, Request, State};
use crate::core::Core;
use crate::link::PATIENCE;
use crate::{RemoveOptions, WaitCondition};

/// How long after a removal that nobody waits for has failed for want of descriptors or space it is tried again.
const WANT: Duration = Duration::from_secs(2);

/// A removal that is under way.
#[derive(Debug)]
pub(super) struct Removal {
    volumes: bool,
    replies: Vec<Reply<()>>,
}

impl Owner {
    pub(super) async fn begin_removal(&mut self, options: RemoveOptions, reply: Reply<()>) -> Next {
        let request = if options.force { Request::RemoveForce } else { Request::Remove };
        if let Some(removal) = &mut self.removal {
            if options.force {
                removal.replies.push(reply);
            } else {
                let error = super::Refusal::RemovalInProgress.into_error(&self.container.id, &self.name);
                let _ = reply.send(Err(error));
            }
            return Next::Continue;
        }
        if let Err(error) = self.check(request) {
            let _ = reply.send(Err(error));
            return Next::Continue;
        }
        self.removal = Some(Removal { volumes: options.volumes, replies: vec![reply] });
        self.restart_at = None;
        if self.condition.state == State::Starting || self.link.is_some() {
            self.end_first();
            return Next::Continue;
        }
        if self.condition.state.is_alive() {
            // Its shim is out of reach. Boxed because what follows can lead here, though only where nothing is alive.
            return Box::pin(self.shim_lost()).await;
        }
        self.finish_removal().await
    }

    /// Kills what runs; the removal goes on when the shim has gone.
    pub(super) fn end_first(&mut self) {
        self.condition.stopped_by_hand = true;
        self.set_overdue(PATIENCE);
        if !self.condition.state.is_alive() {
            return;
        }
        self.tell_event("kill", &[("signal", crate::signal::KILL.to_string())]);
        let (Some(link), paused) = (self.link.clone(), self.condition.state == State::Paused) else { return };
        tokio::spawn(async move {
            // Whatever goes wrong here, the shim is killed when it is overdue.
            let _ = link.ask(Op::Kill(Kill { signal: crate::signal::KILL, all: true })).await;
            if paused {
                let _ = link.ask(Op::Resume).await;
            }
        });
    }

    /// Nothing of it runs any more.
    pub(super) async fn finish_removal(&mut self) -> Next {
        let Some(removal) = self.removal.take() else { return Next::Continue };
        self.apply(Fact::RemovalBegun);
        // What does not come to an end gives back by itself, whenever that is.
        let _ = tokio::time::timeout(PATIENCE, settled(&mut self.leaving)).await;
        let (core, container, body) = (Arc::clone(&self.core), Arc::clone(&self.container), Arc::clone(&self.body));
        let (volumes, dirty) = (removal.volumes, self.dirty);
        let erased = tokio::task::spawn_blocking(move || {
            if dirty {
                crate::leftovers::sweep(&core, &container.id, core.cgroup_of(&container).as_deref());
            }
            erase(&core, &container, &body, volumes)
        })
        .await;
        match erased.unwrap_or_else(|_| Err(Error::internal("the removal was interrupted"))) {
            Ok(()) => {
                self.core.forget(&self.container.id);
                self.attachments.clear();
                self.tell_event("destroy", &[]);
                self.wake(&[WaitCondition::Removed, WaitCondition::NextExit, WaitCondition::NotRunning]);
                removal.replies.into_iter().for_each(|reply| drop(reply.send(Ok(()))));
                Next::End
            }
            Err(error) => {
                self.condition.error = error.to_string();
                self.apply(Fact::RemovalFailed);
                self.persist();
                self.wake_failed(&error);
                if error.class() == Class::ResourceExhausted && removal.replies.iter().all(Reply::is_closed) {
                    self.remove_later(removal.volumes);
                }
                // Whoever wanted to start it had to wait for its last shim.
                for reply in std::mem::take(&mut self.starting) {
                    let refusal = super::Refusal::MarkedForRemoval("started");
                    let _ = reply.send(Err(refusal.into_error(&self.container.id, &self.name)));
                }
                for reply in removal.replies {
                    let text = format!("cannot remove container \"/{}\": {error}", self.name);
                    let _ = reply.send(Err(Error::new(error.class(), text)));
                }
                Next::Continue
            }
        }
    }

    /// Tries a removal once more that nobody would ask for again.
    fn remove_later(&self, volumes: bool) {
        let container = Arc::clone(&self.container);
        tokio::spawn(async move {
            tokio::time::sleep(WANT).await;
            // Somebody may have removed it meanwhile.
            drop(container.remove_unheard(volumes));
        });
    }
}

/// Takes record, files and volumes away; goes on after a failure and reports the first.
fn erase(core: &Core, container: &Container, body: &Body, volumes: bool) -> Result<()> {
    if !volumes {
        core.leave_anonymous_volumes(&body.mounts)?;
    }
    core.store.metadata().delete_container(&container.id)?;
    let files = core.store.snapshots().remove(&container.id).map(drop);
    let volumes = if volumes { core.remove_anonymous_volumes(&container.id, &body.mounts) } else { Ok(()) };
    let shm = crate::start::remove_shm(core, &container.id);
    files.and(volumes).and(shm)
}
