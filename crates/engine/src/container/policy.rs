//! When a container is started again without being asked. Pure: who calls has the clock.

use std::time::Duration;

use super::Condition;
use crate::spec::RestartPolicy;

/// How long the first restart waits; each further one twice as long.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// Who ran for so many nanoseconds was not failing at its start.
const STEADY: i64 = 10_000_000_000;

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub code: i32,
    /// How often the policy has started it again before.
    pub restarts: u32,
    /// It was ended because it was unhealthy.
    pub unhealthy: bool,
}

/// Whether a policy starts a container again that was not stopped by anybody.
pub(crate) fn restarts(policy: &RestartPolicy, end: End) -> bool {
    let limit = u32::try_from(policy.maximum_retry_count).unwrap_or(0);
    let allowed = limit == 0 || end.restarts < limit;
    match policy.name.as_str() {
        "always" | "unless-stopped" => true,
        "on-failure" => end.code != 0 && allowed,
        // Who has failed is not healthy either.
        "on-unhealthy" => (end.code != 0 || end.unhealthy) && allowed,
        _ => false,
    }
}

/// Whether a policy starts a container that does not run when the engine starts; `rebooted`: with the host. Only a reboot
/// starts again what somebody has stopped, and only where the policy is `always`.
pub(crate) fn resumes(policy: &RestartPolicy, condition: &Condition, rebooted: bool) -> bool {
    if condition.stopped_by_hand {
        return rebooted && policy.name == "always";
    }
    restarts(policy, End { code: condition.exit_code, restarts: condition.restart_count, unhealthy: false })
}

/// Whether the last run was none of a container that fails at its start.
pub(crate) fn was_steady(condition: &Condition) -> bool {
    condition.seconds() >= STEADY / 1_000_000_000
}

/// How long restarts wait.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Backoff {
    /// As it was when an engine before this one had restarted with a pause of so many milliseconds.
    pub(super) fn after(pause: u64) -> Self {
        Self(Duration::from_millis(pause).saturating_mul(2).clamp(FIRST, LONGEST))
    }

    /// The pause before the next restart, after a run of so many nanoseconds.
    pub(super) fn next(&mut self, ran: i64) -> Duration {
        if ran >= STEADY {
            self.0 = FIRST;
        }
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(name: &str, maximum_retry_count: i64) -> RestartPolicy {
        RestartPolicy { name: name.into(), maximum_retry_count }
    }

    fn end(code: i32, restarts: u32) -> End {
        End { code, restarts, unhealthy: false }
    }

    #[test]
    fn policies_mean_what_docker_means() {
        assert!(!restarts(&policy("no", 0), end(1, 0)) && !restarts(&policy("", 0), end(1, 0)));
        assert!(restarts(&policy("always", 0), end(0, 100)));
        assert!(restarts(&policy("unless-stopped", 0), end(0, 100)));
        assert!(!restarts(&policy("on-failure", 0), end(0, 0)));
        assert!(restarts(&policy("on-failure", 2), end(1, 1)));
        assert!(!restarts(&policy("on-failure", 2), end(1, 2)));
    }

    #[test]
    fn unhealthy_ones_are_restarted_where_that_is_wanted() {
        let ill = |restarts| End { code: 0, restarts, unhealthy: true };
        assert!(restarts(&policy("on-unhealthy", 0), ill(9)));
        assert!(restarts(&policy("on-unhealthy", 2), ill(1)) && !restarts(&policy("on-unhealthy", 2), ill(2)));
        assert!(restarts(&policy("on-unhealthy", 0), end(1, 0)) && !restarts(&policy("on-unhealthy", 0), end(0, 0)));
        assert!(!restarts(&policy("on-failure", 0), ill(0)));
    }

    #[test]
    fn who_was_stopped_by_hand_stays_so_until_the_host_boots() {
        let stopped = Condition { stopped_by_hand: true, exit_code: 137, ..Condition::default() };
        let ended = Condition { exit_code: 1, ..Condition::default() };
        for (name, engine, boot) in [
            ("no", false, false),
            ("on-failure", false, false),
            ("unless-stopped", false, false),
            ("always", false, true),
        ] {
            assert_eq!(resumes(&policy(name, 0), &stopped, false), engine, "{name}");
            assert_eq!(resumes(&policy(name, 0), &stopped, true), boot, "{name}");
            assert_eq!(resumes(&policy(name, 0), &ended, false), name != "no", "{name}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_start_again_after_a_steady_run() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..12).map(|_| backoff.next(STEADY - 1).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(backoff.next(STEADY).as_millis(), 100);
        assert_eq!(backoff.next(0).as_millis(), 200);
    }

    #[test]
    fn pauses_go_on_after_a_restart_of_the_engine() {
        let mut backoff = Backoff::after(1_600);
        assert_eq!([backoff.next(0), backoff.next(0)].map(|pause| pause.as_millis()), [3200, 6400]);
        assert_eq!(Backoff::after(0).next(0), FIRST);
        assert_eq!(Backoff::after(u64::MAX).next(0), LONGEST);
    }

    proptest! {
        #[test]
        fn pauses_stay_within_bounds(runs in proptest::collection::vec(any::<i64>(), 0..100)) {
            let mut backoff = Backoff::default();
            for ran in runs {
                prop_assert!((FIRST..=LONGEST).contains(&backoff.next(ran)));
            }
        }
    }
}
