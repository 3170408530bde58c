//! A container's state in words, as `docker ps` prints it.

use std::time::Duration;

use dhow_engine::{HealthStatus, StateView, Status};
use jiff::Timestamp;

/// `Up 5 minutes`, `Exited (0) 2 hours ago`, …
pub(crate) fn sentence(state: &StateView, now: Timestamp) -> String {
    let since = |start: Option<Timestamp>| duration(start.map_or(Duration::ZERO, |start| elapsed(start, now)));
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}{}", since(state.started_at), health(state)),
        Status::Paused => format!("Up {} (Paused)", since(state.started_at)),
        Status::Restarting => format!("Restarting ({}) {} ago", state.exit_code, since(state.finished_at)),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Dead => "Dead".to_owned(),
        // Never started after all: Docker shows nothing for it.
        Status::Exited if state.finished_at.is_none() => String::new(),
        Status::Exited => format!("Exited ({}) {} ago", state.exit_code, since(state.finished_at)),
    }
}

/// Docker's remark on the health of what runs.
fn health(state: &StateView) -> String {
    match state.health.as_ref().map(|health| health.status) {
        None => String::new(),
        Some(HealthStatus::Starting) => " (health: starting)".to_owned(),
        Some(status) => format!(" ({})", status.as_str()),
    }
}

fn elapsed(start: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(start)).unwrap_or_default()
}

/// A length of time in Docker's words: one unit, rounded as Docker rounds.
fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let minutes = seconds / 60;
    let hours = (seconds + 1800) / 3600;
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (seconds @ 2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, minutes @ 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".to_owned(),
        (_, _, hours @ 2..48) => format!("{hours} hours"),
        (_, _, hours @ 48..336) => format!("{} days", hours / 24),
        (_, _, hours @ 336..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, hours @ 1440..17_520) => format!("{} months", hours / 24 / 30),
        (_, _, hours) => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn lengths_of_time_have_dockers_words() {
        for (seconds, words) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5399, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86_400, "2 weeks"),
            (60 * 86_400, "2 months"),
            (730 * 86_400, "2 years"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), words, "{seconds}");
        }
    }

    #[test]
    fn states_are_sentences() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let at = |seconds| Some(Timestamp::from_second(seconds).expect("a time"));
        let state = |status| StateView {
            status,
            exit_code: 3,
            started_at: at(999_990),
            finished_at: at(999_940),
            ..StateView::default()
        };
        for (status, words) in [
            (Status::Created, "Created"),
            (Status::Running, "Up 10 seconds"),
            (Status::Paused, "Up 10 seconds (Paused)"),
            (Status::Restarting, "Restarting (3) About a minute ago"),
            (Status::Exited, "Exited (3) About a minute ago"),
            (Status::Removing, "Removal In Progress"),
            (Status::Dead, "Dead"),
        ] {
            assert_eq!(sentence(&state(status), now), words);
        }
    }

    #[test]
    fn health_is_remarked_on() {
        let now = Timestamp::from_second(10).expect("a time");
        let sentence = |health| {
            let health = Some(Arc::new(dhow_engine::Health { status: health, ..Default::default() }));
            sentence(&StateView { status: Status::Running, started_at: Some(now), health, ..StateView::default() }, now)
        };
        assert_eq!(sentence(HealthStatus::Starting), "Up Less than a second (health: starting)");
        assert_eq!(sentence(HealthStatus::Unhealthy), "Up Less than a second (unhealthy)");
    }

    #[test]
    fn a_clock_that_was_set_back_does_no_harm() {
        let now = Timestamp::from_second(10).expect("a time");
        let state = StateView {
            status: Status::Running,
            started_at: Some(Timestamp::from_second(99).expect("a time")),
            ..StateView::default()
        };
        assert_eq!(sentence(&state, now), "Up Less than a second");
    }
}
