//! What people ask of a container beside its start and its end.

use std::sync::Arc;

use dhow_errdefs::{Result, ResultExt};
use dhow_shim::protocol::Op;
use tokio::sync::oneshot;

use super::owner::Owner;
use super::{Attachment, Request, State, Stopping, Target, Then};
use crate::WaitCondition;
use crate::spec::{Resources, RestartPolicy};

impl Owner {
    pub(super) fn begin_stop(&mut self, then: Then) -> Result<Stopping> {
        self.check(Request::Stop)?;
        self.note_stop(then);
        Ok(self.stopping())
    }

    /// Somebody stops it: that is written down now, because the engine may not live to see the end.
    fn note_stop(&mut self, then: Then) {
        (self.condition.stopped_by_hand, self.condition.then) = (true, then);
        self.persist();
    }

    pub(super) fn begin_kill(&mut self, signal: i32) -> Result<Stopping> {
        self.check(Request::Kill)?;
        let stop = self.body.spec.stop_signal.as_deref().and_then(|text| crate::signal::parse(text).ok());
        if signal == crate::signal::KILL || signal == stop.unwrap_or(crate::signal::TERM) {
            // Who is restarting it goes on with that; who did so once has no say any more.
            let then = if self.condition.then == Then::Resume { Then::Nothing } else { self.condition.then };
            self.note_stop(then);
        }
        Ok(self.stopping())
    }

    pub(super) fn stopping(&mut self) -> Stopping {
        let (waiter, ended) = oneshot::channel();
        if self.condition.state == State::Restarting {
            self.cancel_restart();
        }
        self.wait(WaitCondition::NotRunning, waiter);
        let state = self.condition.state;
        let target = match &self.link {
            Some(link) => Target::Shim(link.clone()),
            None if state.is_alive() => Target::OutOfReach,
            None => Target::Nothing,
        };
        Stopping { target, paused: state == State::Paused, ended }
    }

    pub(super) async fn attach(&mut self, attachment: Attachment) -> Result<()> {
        self.check(Request::Attach)?;
        match self.condition.state {
            State::Running => attachment.begin(self.shim()?, Arc::clone(&self.core)).await,
            _ => {
                // Whoever has gone and left nothing to be read holds no descriptor.
                self.attachments.retain(|waiting| !waiting.is_abandoned());
                self.attachments.push(attachment);
                Ok(())
            }
        }
    }

    pub(super) fn rename(&mut self, name: String) -> Result<()> {
        self.check(Request::Rename)?;
        self.core.rename(&self.container.id, &self.name, &name)?;
        let old = std::mem::replace(&mut self.name, name);
        tokio::task::block_in_place(|| self.core.renamed(&self.container.id, &old, &self.name));
        self.publish();
        self.tell_event("rename", &[("oldName", format!("/{old}"))]);
        Ok(())
    }

    pub(super) async fn update(&mut self, resources: &Resources, policy: Option<RestartPolicy>) -> Result<Vec<String>> {
        let container = Arc::clone(&self.container);
        let cannot = || crate::update::cannot(&container.id);
        self.check(Request::Update).context(cannot)?;
        let (spec, warnings) =
            crate::update::apply(&self.container.id, &self.body.spec, resources, policy, &self.core)?;
        let limits = crate::update::live(&spec, resources);
        let before = Arc::clone(&self.body.spec);
        // What cannot be written down is not done.
        self.rewrite(|body| *body = spec).context(cannot)?;
        if self.condition.state.is_alive()
            && let Err(error) = self.ask_shim(Op::Update(Box::new(limits))).await.context(cannot)
        {
            self.rewrite_back(before);
            return Err(error);
        }
        self.publish();
        self.tell_event("update", &[]);
        Ok(warnings)
    }

    /// Has the shim set the limits once more: whoever changed them last may have been killed after the change was written down
    /// and before the shim heard of it.
    pub(super) async fn repeat_limits(&self) {
        let Some(link) = &self.link else { return };
        let limits = crate::update::live(&self.body.spec, &self.body.spec.host.resources);
        // Sent before anything that is asked for later; the answer says nothing that could be helped.
        if let Err(error) = link.begin(Op::Update(Box::new(limits)), &[]).await {
            tracing::debug!(id = %self.container.id, %error, "the limits of a container could not be set once more");
        }
    }
}
