//! How the answers of a container add up. Pure: who calls has the clock.

use std::time::Duration;

use dhow_logs::Timestamp;
use serde::{Deserialize, Serialize};

use super::Check;

/// How many results are kept, as in Docker.
const KEPT: usize = 5;

/// Docker's verdicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "they are what they are called")]
pub enum HealthStatus {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What is known of a container's health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The verdict.
    pub status: HealthStatus,
    /// Failures since the last success that counted.
    pub failing_streak: u32,
    /// The last results, oldest first.
    pub log: Vec<HealthResult>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// When the probe began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// 0: well. -1: no answer was had.
    pub exit_code: i32,
    /// The beginning of what was said.
    pub output: String,
}

impl Health {
    /// The container has started; what was said before stays in the log.
    pub(crate) fn begin(&mut self) {
        self.status = HealthStatus::Starting;
        self.failing_streak = 0;
    }

    /// Nobody looks any more. Docker calls that unhealthy.
    pub(crate) fn halt(&mut self) {
        self.status = HealthStatus::Unhealthy;
    }

    /// Takes an answer of a run that began at `started`; whether the verdict has changed.
    pub(crate) fn take(&mut self, result: HealthResult, check: &Check, started: Timestamp) -> bool {
        let before = self.status;
        let age = result.start.0.saturating_sub(started.0);
        if result.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting || !in_start_period(check, age) {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.has_failed(check) {
                self.status = HealthStatus::Unhealthy;
            }
        }
        let surplus = (self.log.len() + 1).saturating_sub(KEPT);
        self.log.drain(..surplus);
        self.log.push(result);
        self.status != before
    }

    /// It has failed as often as it takes.
    pub(crate) fn has_failed(&self, check: &Check) -> bool {
        self.failing_streak >= check.retries
    }

    /// How long until the next probe, for a container that has run for so many nanoseconds.
    pub(crate) fn pause(&self, check: &Check, age: i64) -> Duration {
        let starting = self.status == HealthStatus::Starting && in_start_period(check, age);
        if starting { check.start_interval } else { check.interval }
    }
}

fn in_start_period(check: &Check, age: i64) -> bool {
    u64::try_from(age).is_ok_and(|age| Duration::from_nanos(age) < check.start_period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Probe;
    use proptest::prelude::*;

    const SECOND: i64 = 1_000_000_000;

    fn check() -> Check {
        Check {
            probe: Probe::Command(Vec::new()),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            start_period: Duration::from_secs(10),
            start_interval: Duration::from_secs(1),
            retries: 3,
        }
    }

    /// An answer so many seconds after the start, which was at second 100.
    fn answer(second: i64, exit_code: i32) -> HealthResult {
        let at = Timestamp((100 + second) * SECOND);
        HealthResult { start: at, end: at, exit_code, output: String::new() }
    }

    fn take(health: &mut Health, second: i64, code: i32) -> bool {
        health.take(answer(second, code), &check(), Timestamp(100 * SECOND))
    }

    #[test]
    fn failures_count_after_the_start_period_only() {
        let mut health = Health::default();
        for second in 0..10 {
            assert!(!take(&mut health, second, 1));
        }
        assert_eq!((health.status, health.failing_streak, health.log.len()), (HealthStatus::Starting, 0, KEPT));
        assert!(!take(&mut health, 10, 1) && !take(&mut health, 40, 1));
        assert!(take(&mut health, 70, -1));
        assert_eq!((health.status, health.failing_streak), (HealthStatus::Unhealthy, 3));
        assert!(take(&mut health, 100, 0));
        assert_eq!((health.status, health.failing_streak), (HealthStatus::Healthy, 0));
    }

    #[test]
    fn one_success_ends_the_start_period() {
        let mut health = Health::default();
        assert!(take(&mut health, 1, 0));
        assert!(!take(&mut health, 2, 1) && !take(&mut health, 3, 1) && take(&mut health, 4, 1));
    }

    #[test]
    fn probes_come_faster_while_it_starts() {
        let mut health = Health::default();
        assert_eq!(health.pause(&check(), 0), Duration::from_secs(1));
        assert_eq!(health.pause(&check(), 10 * SECOND), Duration::from_secs(30));
        take(&mut health, 1, 0);
        assert_eq!(health.pause(&check(), 2 * SECOND), Duration::from_secs(30));
        // A clock that was set back is no reason to hurry for ever.
        assert_eq!(Health::default().pause(&check(), -SECOND), Duration::from_secs(30));
    }

    proptest! {
        /// Whatever comes in whatever order, the verdict follows from the last answers.
        #[test]
        fn verdicts_follow_from_the_last_answers(codes in proptest::collection::vec(0..2, 1..40)) {
            let mut health = Health::default();
            for (index, code) in codes.iter().enumerate() {
                take(&mut health, 10 + index as i64, *code);
            }
            let streak = codes.iter().rev().take_while(|code| **code == 1).count();
            prop_assert_eq!(health.failing_streak as usize, streak);
            prop_assert_eq!(health.status == HealthStatus::Unhealthy, streak >= 3);
            prop_assert_eq!(health.status == HealthStatus::Starting, streak < 3 && streak == codes.len());
            prop_assert!(health.log.len() == codes.len().min(KEPT));
        }
    }
}
