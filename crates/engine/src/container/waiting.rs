//! Those who wait for a container to end, or to be gone.

use dhow_errdefs::Error;
use tokio::sync::oneshot;

use super::State;
use super::owner::Owner;
use crate::{ExitStatus, WaitCondition};

impl Owner {
    pub(super) fn exit_status(&self) -> ExitStatus {
        ExitStatus { code: self.condition.exit_code, error: None }
    }

    /// Tells those who wait for one of these.
    pub(super) fn wake(&mut self, conditions: &[WaitCondition]) {
        let status = self.exit_status();
        let (told, rest) = self.waiting.drain(..).partition(|(condition, _)| conditions.contains(condition));
        self.waiting = rest;
        let told: Vec<(WaitCondition, oneshot::Sender<ExitStatus>)> = told;
        for (_, waiter) in told {
            let _ = waiter.send(status.clone());
        }
    }

    /// Tells those who wait for it to be gone that it stays.
    pub(super) fn wake_failed(&mut self, error: &Error) {
        let gone = |(condition, _): &(WaitCondition, _)| *condition == WaitCondition::Removed;
        for (_, waiter) in self.waiting.extract_if(.., |waiting| gone(waiting)) {
            let _ = waiter.send(ExitStatus { error: Some(error.to_string()), ..ExitStatus::default() });
        }
    }

    pub(super) fn wait(&mut self, condition: WaitCondition, waiter: oneshot::Sender<ExitStatus>) {
        let runs = self.condition.state.is_alive() || self.condition.state == State::Restarting;
        if condition == WaitCondition::NotRunning && !runs {
            let _ = waiter.send(self.exit_status());
        } else {
            self.waiting.retain(|(_, waiter)| !waiter.is_closed());
            self.waiting.push((condition, waiter));
        }
    }
}
