//! Looking after a container's health: when a probe is due, and what follows from its result.

use std::sync::Arc;

use dhow_logs::Timestamp;
use dhow_shim::protocol::{Op, SignalExec};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::owner::Owner;
use super::policy::{self, End};
use super::{Command, State};
use crate::health::{Check, HealthResult, Visit, is_probe, new_probe};
use crate::link::Link;

/// A container that is looked after: it runs and is not paused.
#[derive(Debug)]
pub(super) struct Care {
    check: Arc<Check>,
    /// `None` while a probe is under way.
    due: Option<Instant>,
    under_way: Option<UnderWay>,
}

/// A probe that is under way.
#[derive(Debug)]
struct UnderWay {
    exec: String,
    exited: Option<oneshot::Sender<i32>>,
    /// Dropped with this.
    _wanted: oneshot::Sender<()>,
}

impl Owner {
    /// A run has begun.
    pub(super) fn begin_care(&mut self) {
        self.unhealthy = false;
        self.resume_care();
        match (&self.care, &mut self.condition.health) {
            (Some(_), health) => Arc::make_mut(health.get_or_insert_default()).begin(),
            (None, health) => *health = None,
        }
        self.schedule();
    }

    /// It runs on: adopted, or no longer paused.
    pub(super) fn resume_care(&mut self) {
        // What is wrong with a check was said when the container was made.
        let check = Check::of(&self.body.spec).ok().flatten();
        self.care = check.map(|check| Care { check: Arc::new(check), due: None, under_way: None });
        self.schedule();
    }

    /// It does not run, or is paused. A probe that is under way is ended.
    pub(super) fn end_care(&mut self) {
        if self.care.take().is_some()
            && let Some(health) = &mut self.condition.health
        {
            Arc::make_mut(health).halt();
        }
    }

    pub(super) fn probe_due(&self) -> Option<Instant> {
        self.care.as_ref().and_then(|care| care.due)
    }

    fn schedule(&mut self) {
        let age = self.age();
        let Some(care) = &mut self.care else { return };
        let pause = self.condition.health.get_or_insert_default().pause(&care.check, age);
        care.due = Some(Instant::now() + pause);
    }

    /// Nanoseconds since the start.
    fn age(&self) -> i64 {
        let started = self.condition.started_at.unwrap_or_default();
        Timestamp::now().0.saturating_sub(started.0)
    }

    /// It is time to ask.
    pub(super) fn probe(&mut self) {
        let (Some(care), Some(link)) = (&mut self.care, &self.link) else { return };
        let (exited, ended) = oneshot::channel();
        let (wanted, unwanted) = oneshot::channel();
        let exec = new_probe();
        care.due = None;
        care.under_way = Some(UnderWay { exec: exec.clone(), exited: Some(exited), _wanted: wanted });
        let container = Arc::clone(&self.container);
        let visit = Visit {
            core: Arc::clone(&self.core),
            view: container.view(),
            container: Arc::clone(&container),
            link: link.clone(),
            check: Arc::clone(&care.check),
            exec: exec.clone(),
        };
        tokio::spawn(async move {
            let result = visit.ask(ended, unwanted).await;
            // The container may be gone by now.
            let _ = container.tell(Command::Probed(exec, result));
        });
    }

    /// The process of an exec has ended; whether that was a probe.
    pub(super) fn probe_exited(&mut self, exec: &str, code: i32) -> bool {
        if !is_probe(exec) {
            return false;
        }
        let under_way = self.care.as_mut().and_then(|care| care.under_way.as_mut());
        if let Some(exited) = under_way.filter(|probe| probe.exec == exec).and_then(|probe| probe.exited.take()) {
            let _ = exited.send(code);
        }
        let more = [("execID", exec.to_owned()), ("exitCode", code.to_string())];
        self.core.events.passing("exec_die", (&self.container.id, &self.name), &self.body.spec, &more);
        true
    }

    /// A probe has its result. One that nobody wants any more is of another run, or of before a pause.
    pub(super) fn probed(&mut self, exec: &str, result: Option<HealthResult>) {
        let wanted = |care: &&mut Care| care.under_way.as_ref().is_some_and(|probe| probe.exec == exec);
        let Some(care) = self.care.as_mut().filter(wanted) else { return };
        care.under_way = None;
        let Some(result) = result else { return self.schedule() };
        let check = Arc::clone(&care.check);
        let failed = result.exit_code != 0;
        let health = Arc::make_mut(self.condition.health.get_or_insert_default());
        let changed = health.take(result, &check, self.condition.started_at.unwrap_or_default());
        let unhealthy = failed && health.has_failed(&check);
        let status = health.status;
        self.publish();
        if changed {
            self.persist();
            self.tell_event(&format!("health_status: {}", status.as_str()), &[]);
        }
        self.schedule();
        if unhealthy {
            self.end_unhealthy();
        }
    }

    /// Ends a container because it is unhealthy, if its policy starts it again then. At the limit of restarts it is left
    /// alone: an unhealthy container is worth more than none.
    fn end_unhealthy(&mut self) {
        let end = End { code: 0, restarts: self.condition.restart_count, unhealthy: true };
        let again = policy::restarts(&self.body.spec.host.restart_policy, end);
        let busy = self.unhealthy || self.removal.is_some() || self.condition.stopped_by_hand;
        if !again || busy || self.condition.state != State::Running {
            return;
        }
        self.unhealthy = true;
        let stopping = self.stopping();
        tokio::spawn(Arc::clone(&self.core).end_unhealthy(Arc::clone(&self.container), stopping));
    }

    /// Whoever waited for the answers of these probes is gone; of these execs it was told that they did not begin.
    pub(crate) fn end_orphaned_execs(&self, execs: &[String]) {
        let Some(link) = &self.link else { return };
        for exec in execs.iter().filter(|exec| is_probe(exec) || self.core.execs.has_failed(exec)) {
            tokio::spawn(kill(link.clone(), exec.clone()));
        }
    }
}

async fn kill(link: Link, exec: String) {
    // It may just have ended.
    let _ = link.ask(Op::SignalExec(SignalExec { exec, signal: crate::signal::KILL, family: true })).await;
}
