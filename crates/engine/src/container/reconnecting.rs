//! A connection that ended before the shim did. That is no reason to end what runs: the shim is sought where it lives, and
//! connected to once more. Until then the container is one whose shim is out of reach.

use std::sync::Arc;
use std::time::Duration;

use dhow_shim::protocol::{Op, State as ShimState, Status};
use tokio::time::Instant;

use super::owner::{Next, Owner};
use super::{Command, Container, State};
use crate::core::Core;
use crate::link::{Events, Link, Occupant, SHORT_PATIENCE};
use crate::restore::{OUT_OF_REACH, UNKNOWN_END};

/// How long after a search in vain the next one begins. A shim that does not answer takes much longer to be given up.
const PAUSE: Duration = Duration::from_secs(1);

/// A new connection to a shim, and how it finds things.
#[derive(Debug)]
pub(crate) struct Reunion {
    link: Link,
    events: Events,
    state: ShimState,
}

impl Owner {
    /// The connection has ended: mostly because the shim has, or is to.
    pub(super) async fn connection_lost(&mut self) -> Next {
        let unwanted = self.forced || self.removal.is_some() || !self.condition.state.is_alive();
        if self.link.take().is_none() || unwanted {
            return self.shim_lost().await;
        }
        // Nobody has paused it: its health is what it was.
        (self.events, self.care) = (None, None);
        self.publish();
        self.sought += 1;
        self.wait_for_the_shim();
        tokio::spawn(seek(Arc::clone(&self.core), Arc::clone(&self.container), self.sought));
        Next::Continue
    }

    /// What came of a search. One that is not the last is of a run that somebody has ended by force.
    pub(super) async fn shim_sought(&mut self, number: u64, found: Option<Box<Reunion>>) -> Next {
        if number != self.sought {
            return Next::Continue;
        }
        let Some(reunion) = found else { return self.shim_lost().await };
        self.reconnected(*reunion).await;
        self.shim_settled().await
    }

    /// Whoever needs the shim waits for it from now on, but not for long.
    pub(super) fn wait_for_the_shim(&mut self) {
        self.seeking.get_or_insert_with(|| Instant::now() + SHORT_PATIENCE);
    }

    /// The shim is there, or gone, or takes longer than anybody should wait: whoever waits for it goes on.
    pub(super) async fn shim_settled(&mut self) -> Next {
        if self.seeking.take().is_none() {
            return Next::Continue;
        }
        if self.link.is_none() && matches!(self.condition.state, State::Running | State::Paused) {
            self.condition.error = format!("{OUT_OF_REACH}: the connection was lost, and the shim does not answer");
            self.publish();
        }
        self.replay().await
    }

    async fn reconnected(&mut self, reunion: Reunion) {
        let Reunion { link, events, state } = reunion;
        tracing::warn!(id = %self.container.id, "the connection to the container's shim was lost; there is a new one");
        self.link = Some(link.clone());
        self.condition.error.clear();
        self.listen(events);
        self.condition.log_losses = state.log_losses;
        state.ended_execs.iter().for_each(|exec| self.core.exec_ended(&exec.id, exec.code));
        let running: Vec<String> = state.execs.into_iter().map(|exec| exec.id).collect();
        // The shim remembers the last ones only.
        let forgotten = self.core.execs.missing_from(&running, &self.container.id);
        forgotten.iter().for_each(|exec| self.core.exec_ended(exec, UNKNOWN_END));
        self.end_orphaned_execs(&running);
        self.repeat_limits().await;
        match (state.status, self.condition.state) {
            // That everything is undone comes as an event.
            (Status::Exited, _) => return state.exit.into_iter().for_each(|exit| self.ended(exit)),
            // Whoever wanted that was told that it has failed.
            (Status::Paused, State::Running) => drop(link.begin(Op::Resume, &[]).await),
            (Status::Running, State::Paused) => self.thawed(),
            _ => {}
        }
        self.pay_what_is_owed().await;
        if self.condition.state == State::Running && self.care.is_none() {
            self.resume_care();
        }
        self.publish();
    }
}

/// Looks for the shim until it is found, or there is none, or nobody wants to know any more.
async fn seek(core: Arc<Core>, container: Arc<Container>, number: u64) {
    let (run_dir, mut closing) = (core.run_dir(&container.id), core.closing());
    drop(core);
    loop {
        let place = run_dir.clone();
        // Interrupted only when the process ends.
        let Ok(found) = tokio::task::spawn_blocking(move || Link::find(&place)).await else { return };
        let found = match found {
            Ok(Occupant::Nobody) => Ok(None),
            Ok(Occupant::Adopted(shim, state)) => {
                shim.watch().map(|(link, events)| Some(Box::new(Reunion { link, events, state: *state })))
            }
            Ok(Occupant::OutOfReach(shim)) => Err(shim.error),
            Err(error) => Err(error),
        };
        if let Ok(found) = found {
            // An owner that has gone has no use for it.
            let _ = container.tell(Command::ShimSought(number, found));
            return;
        }
        let closing = tokio::time::timeout(PAUSE, closing.wait_for(|closing| *closing)).await.is_ok();
        let view = container.view();
        if closing || view.link.is_some() || !view.condition.state.is_alive() {
            return;
        }
    }
}
