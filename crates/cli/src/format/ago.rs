//! How long ago something was, in round words.

use std::time::{SystemTime, UNIX_EPOCH};

/// `3 minutes ago`, for a moment in seconds since 1970.
pub(crate) fn since_then(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    #[allow(clippy::cast_precision_loss, reason = "seconds of our age fit")]
    let passed = now - seconds as f64;
    format!("{} ago", round(passed))
}

/// Seconds in the words of Docker's `go-units`.
fn round(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, reason = "whole units are wanted")]
    let (whole, minutes, hours) = (seconds as i64, (seconds / 60.0) as i64, (seconds / 3600.0 + 0.5) as i64);
    match (whole, minutes, hours) {
        (..1, ..) => "Less than a second".into(),
        (1, ..) => "1 second".into(),
        (..60, ..) => format!("{whole} seconds"),
        (_, 1, _) => "About a minute".into(),
        (_, ..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".into(),
        (.., ..48) => format!("{hours} hours"),
        (.., ..336) => format!("{} days", hours / 24),
        (.., ..1440) => format!("{} weeks", hours / 24 / 7),
        (.., ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", whole / 3600 / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_where_dockers_do() {
        let day = 86_400.0;
        for (seconds, words) in [
            (0.9, "Less than a second"),
            (1.0, "1 second"),
            (59.9, "59 seconds"),
            (60.0, "About a minute"),
            (179.0, "2 minutes"),
            (3599.0, "59 minutes"),
            (3600.0, "About an hour"),
            (5400.0, "2 hours"),
            (47.4 * 3600.0, "47 hours"),
            (2.0 * day, "2 days"),
            (14.0 * day, "2 weeks"),
            (60.0 * day, "2 months"),
            (730.0 * day, "2 years"),
        ] {
            assert_eq!(round(seconds), words, "{seconds}");
        }
    }
}
