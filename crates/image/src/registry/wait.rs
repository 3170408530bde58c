//! When to try again.

use std::time::Duration;

/// How often something is tried again before it has failed.
const TRIES: u32 = 5;

/// The first wait; each further one twice as long.
const FIRST: Duration = Duration::from_millis(250);

/// Longest wait that a registry may ask for (RFC 9110 section 10.2.3, `Retry-After`).
const LONGEST: Duration = Duration::from_secs(60);

/// Waits that become longer, and end.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// How long to wait before the next try, unless there were enough. What the other side asks for counts if it is
    /// longer.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        if self.tries == TRIES {
            return None;
        }
        let own = FIRST * 2_u32.pow(self.tries);
        self.tries += 1;
        Some(own.max(asked.unwrap_or_default()).min(LONGEST))
    }
}

/// What `Retry-After` says: seconds, or a date.
pub(super) fn asked_for(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    // One that has passed asks for nothing.
    Some(date.duration_since(jiff::Timestamp::now()).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        assert_eq!(asked_for(" 120"), Some(Duration::from_secs(120)));
        assert_eq!(asked_for("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let far = asked_for("Sat, 06 Nov 2094 08:49:37 GMT").expect("a date");
        assert!(far > Duration::from_secs(3600));
        assert_eq!(asked_for("soon"), None);
    }

    #[test]
    fn waits_grow_and_end() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = std::iter::from_fn(|| backoff.next(None)).map(|wait| wait.as_millis()).collect();
        assert_eq!(waits, [250, 500, 1000, 2000, 4000]);
    }

    #[test]
    fn what_the_registry_asks_for_counts_within_reason() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(Some(Duration::from_secs(3))), Some(Duration::from_secs(3)));
        assert_eq!(backoff.next(Some(Duration::from_secs(9000))), Some(LONGEST));
    }
}
