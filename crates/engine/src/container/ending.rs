//! How a container ends, and whether it starts again.

use std::time::Duration;

use dhow_logs::Timestamp;
use dhow_shim::protocol::Exit;
use tokio::time::Instant;

use super::owner::{Next, Owner};
use super::{Fact, State};
use crate::link::PATIENCE;
use crate::spec::RestartPolicy;
use crate::{RemoveOptions, WaitCondition};

/// How long the first restart waits; each further one twice as long.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Who ran so long was not failing at its start.
const STEADY: i64 = 10_000_000_000;

impl Owner {
    /// The shim says that it has ended.
    pub(super) fn ended(&mut self, exit: Exit) {
        let again = self.again(exit.code);
        if exit.finished_at.0.saturating_sub(exit.started_at.0) >= STEADY {
            self.backoff = FIRST_BACKOFF;
        }
        self.condition.exit_code = exit.code;
        self.condition.oom_killed = exit.oom_killed;
        self.condition.error = exit.error;
        self.condition.log_losses = exit.log_losses;
        self.condition.started_at.get_or_insert(exit.started_at);
        self.condition.finished_at = Some(exit.finished_at);
        self.pid = 0;
        if again {
            self.restart_at = Some(Instant::now() + self.backoff);
            self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
        }
        self.apply(if again { Fact::EndedToRestart } else { Fact::Ended });
        self.core.execs_ended(&self.container.id);
        self.set_overdue(PATIENCE);
        // Also where it is started again: Docker's `wait` returns at the end of a run.
        self.wake(&[WaitCondition::NextExit, WaitCondition::NotRunning]);
        self.tell_event("die", &[("exitCode", exit.code.to_string()), ("execDuration", self.seconds())]);
        // A record that is deleted in a moment need not be right; after a crash exit.json is.
        if again || !self.body.spec.host.auto_remove {
            self.persist();
        }
    }

    /// How many seconds the last run took.
    fn seconds(&self) -> String {
        let nanos = match (self.condition.started_at, self.condition.finished_at) {
            (Some(start), Some(end)) => end.0.saturating_sub(start.0),
            _ => 0,
        };
        (nanos / 1_000_000_000).to_string()
    }

    fn again(&self, code: i32) -> bool {
        self.removal.is_none()
            && !self.condition.stopped_by_hand
            && restarts(&self.body.spec.host.restart_policy, code, self.condition.restart_count)
    }

    /// Everything of the last run is undone: what waited for that goes on.
    pub(super) async fn shim_gone(&mut self) -> Next {
        self.forget_shim();
        self.publish();
        if self.removal.is_some() {
            return self.finish_removal().await;
        }
        if self.body.spec.host.auto_remove && self.condition.state == State::Exited {
            return self.remove_itself().await;
        }
        if !self.starting.is_empty() {
            self.launch();
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
            crate::leftovers::sweep(&core, &container.id, cgroup.as_deref());
            core.read_exit(&container.id).filter(|exit| Some(exit.started_at) >= started)
        });
        // Interrupted only when the process ends; the next engine finds out what became of the container.
        let Ok(exit) = swept.await else { return Next::End };
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
        self.shim_gone().await
    }

    /// The time for a restart has come.
    pub(super) fn restart(&mut self) -> Next {
        self.restart_at = None;
        if self.condition.state != State::Restarting {
            return Next::Continue;
        }
        if self.link.is_some() {
            // The old shim is still cleaning up.
            self.restart_at = Some(Instant::now() + FIRST_BACKOFF);
            return Next::Continue;
        }
        self.condition.restart_count += 1;
        self.launch();
        Next::Continue
    }

    pub(super) fn cancel_restart(&mut self) {
        self.restart_at = None;
        self.apply(Fact::RestartCancelled);
        self.persist();
        self.wake(&[WaitCondition::NotRunning]);
    }

    /// What an owner does first: the engine may have died while a restart was due.
    pub(super) fn resume(&mut self) {
        if self.condition.state == State::Restarting {
            self.restart_at = Some(Instant::now() + self.backoff);
        }
    }
}

/// Whether a policy starts a container again that ended by itself.
pub(crate) fn restarts(policy: &RestartPolicy, code: i32, restarts: u32) -> bool {
    match policy.name.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => {
            let limit = u32::try_from(policy.maximum_retry_count).unwrap_or(0);
            code != 0 && (limit == 0 || restarts < limit)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_mean_what_docker_means() {
        let policy = |name: &str, maximum_retry_count| RestartPolicy { name: name.into(), maximum_retry_count };
        assert!(!restarts(&policy("no", 0), 1, 0));
        assert!(restarts(&policy("always", 0), 0, 100));
        assert!(restarts(&policy("unless-stopped", 0), 0, 100));
        assert!(!restarts(&policy("on-failure", 0), 0, 0));
        assert!(restarts(&policy("on-failure", 2), 1, 1));
        assert!(!restarts(&policy("on-failure", 2), 1, 2));
    }
}
