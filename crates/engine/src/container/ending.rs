//! How a container ends, and whether it starts again.

use dhow_logs::Timestamp;
use dhow_shim::protocol::Exit;
use tokio::time::Instant;

use super::owner::{Next, Owner};
use super::policy::{self, End};
use super::{Fact, State, Then};
use crate::link::PATIENCE;
use crate::{RemoveOptions, WaitCondition};

impl Owner {
    /// The shim says that it has ended.
    pub(super) fn ended(&mut self, exit: Exit) {
        let again = self.again(exit.code);
        self.end_care();
        self.nobody_freezes();
        self.condition.exit_code = exit.code;
        self.condition.oom_killed = exit.oom_killed;
        self.condition.error = exit.error;
        self.condition.log_losses = exit.log_losses;
        self.condition.started_at.get_or_insert(exit.started_at);
        self.condition.finished_at = Some(exit.finished_at);
        self.pid = 0;
        self.leave_networks();
        if again {
            self.condition.stopped_by_hand = false;
            self.restart_later(exit.finished_at.0.saturating_sub(exit.started_at.0));
        }
        self.apply(if again { Fact::EndedToRestart } else { Fact::Ended });
        self.core.execs_ended(&self.container.id);
        self.set_overdue(PATIENCE);
        self.tell_event(
            "die",
            &[("exitCode", exit.code.to_string()), ("execDuration", self.condition.seconds().to_string())],
        );
        self.tell_left();
        // Also where it is started again: Docker's `wait` returns at the end of a run.
        self.wake(&[WaitCondition::NextExit, WaitCondition::NotRunning]);
        // A record that is deleted in a moment need not be right; after a crash exit.json is.
        if again || !self.removes_itself() {
            self.persist();
        }
    }

    /// Whether it is started again after this end.
    pub(super) fn again(&self, code: i32) -> bool {
        let end = End { code, restarts: self.condition.restart_count, unhealthy: self.unhealthy };
        let policy = !self.condition.stopped_by_hand && policy::restarts(&self.body.spec.host.restart_policy, end);
        self.removal.is_none() && (policy || self.condition.then == Then::Resume)
    }

    /// Lets it be started again after a pause; its last run took so many nanoseconds.
    pub(super) fn restart_later(&mut self, ran: i64) {
        self.condition.restart_count += 1;
        let pause = self.backoff.next(ran);
        self.condition.restart_pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.restart_at = Some(Instant::now() + pause);
    }

    /// Everything of the last run is undone: what waited for that goes on.
    pub(super) async fn shim_gone(&mut self) -> Next {
        self.forget_shim();
        self.go_on().await
    }

    async fn go_on(&mut self) -> Next {
        let next = self.remove_or_launch().await;
        if next == Next::End { next } else { self.shim_settled().await }
    }

    async fn remove_or_launch(&mut self) -> Next {
        self.publish();
        if self.removal.is_some() {
            return self.finish_removal().await;
        }
        if self.removes_itself() && self.starting.is_empty() && self.condition.state == State::Exited {
            return self.remove_itself().await;
        }
        let restart_is_due = self.condition.state == State::Restarting && self.restart_at.is_none();
        if !self.starting.is_empty() || restart_is_due {
            self.launch();
        }
        Next::Continue
    }

    fn removes_itself(&self) -> bool {
        self.body.spec.host.auto_remove && self.condition.then == Then::Nothing
    }

    /// It was stopped in order to be started again, and that failed.
    pub(super) async fn stay_ended(&mut self) -> Next {
        self.condition.then = Then::Nothing;
        self.persist();
        self.go_if_ended().await
    }

    /// One that removes itself at its end does so if it has come to that and nothing else wants it.
    pub(super) async fn go_if_ended(&mut self) -> Next {
        if self.link.is_none() && self.removes_itself() && self.condition.state == State::Exited {
            return self.remove_itself().await;
        }
        Next::Continue
    }

    pub(super) async fn remove_itself(&mut self) -> Next {
        let (reply, _) = tokio::sync::oneshot::channel();
        self.begin_removal(RemoveOptions { force: false, volumes: true }, reply).await
    }

    /// The shim has gone without saying goodbye: what it left on disk tells how the container ended, else it is ended
    /// here.
    pub(super) async fn shim_lost(&mut self) -> Next {
        let (core, container) = (self.core.clone(), self.container.clone());
        let alive = self.condition.state.is_alive();
        let started = self.condition.started_at;
        let swept = tokio::task::spawn_blocking(move || {
            let cgroup = core.cgroup_of(&container);
            let clean = crate::leftovers::sweep(&core, &container.id, cgroup.as_deref());
            (clean, core.read_exit(&container.id).filter(|exit| Some(exit.started_at) >= started))
        });
        // Interrupted only when the process ends; the next engine finds out what became of the container.
        let Ok((clean, exit)) = swept.await else { return Next::End };
        if alive {
            let lost = Exit {
                code: 137,
                oom_killed: false,
                started_at: started.unwrap_or_default(),
                finished_at: Timestamp::now(),
                error: "the container's shim ended unexpectedly".to_owned(),
                log_losses: self.condition.log_losses,
            };
            self.ended(exit.unwrap_or(lost));
        }
        self.forget_shim();
        // Who removes it sweeps once more then.
        self.dirty = !clean;
        self.go_on().await
    }

    /// The time for a restart has come.
    pub(super) fn restart(&mut self) -> Next {
        self.restart_at = None;
        if self.condition.state != State::Restarting {
            return Next::Continue;
        }
        if self.link.is_some() {
            // The old shim is still cleaning up; its end is the time.
            return Next::Continue;
        }
        self.launch();
        Next::Continue
    }

    pub(super) fn cancel_restart(&mut self) {
        self.restart_at = None;
        self.apply(Fact::RestartCancelled);
        self.persist();
        self.wake(&[WaitCondition::NotRunning]);
    }

    /// What an owner does first: the engine may have died while a restart was due, or a probe under way.
    pub(super) async fn resume(&mut self) {
        if self.condition.state.is_alive() {
            self.repeat_limits().await;
        }
        match self.condition.state {
            // Not sooner than it would have been.
            State::Restarting => self.restart_at = Some(Instant::now() + self.backoff.next(0)),
            // One whose shim cannot be reached is not asked for its health.
            State::Running if self.link.is_some() => {
                self.resume_care();
                self.publish();
            }
            _ => {}
        }
    }
}
