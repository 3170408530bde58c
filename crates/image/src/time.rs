//! Times as configs and filters write them.

use dhow_errdefs::{Error, Result};
use jiff::{SignedDuration, Timestamp};

/// The time in a config; nothing for none and for one that is no time.
pub(crate) fn parse(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Now, as a config has it.
pub(crate) fn now() -> String {
    Timestamp::now().to_string()
}

/// A time in a filter: seconds since 1970, a date with or without time (UTC), or how long ago (`1h30m`, Go's form).
///
/// # Errors
/// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a text that is none of these.
pub fn moment(text: &str, now: Timestamp) -> Result<Timestamp> {
    let since_epoch = || {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let nanoseconds = format!("{fraction:0<9.9}").parse().ok()?;
        Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
    };
    let ago = || now.checked_sub(go_duration(text)?).ok();
    let date = || {
        let date: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(date).ok()
    };
    since_epoch()
        .or_else(ago)
        .or_else(|| text.parse().ok())
        .or_else(date)
        .ok_or_else(|| Error::invalid(format!("failed to parse value as time or duration: {text:?}")))
}

/// Go's durations: numbers with units, as in `1h15m30.5s`.
pub(crate) fn go_duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = next;
    }
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    SignedDuration::try_from_secs_f64(sign * total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(go_duration("1h30m"), Some(SignedDuration::from_secs(5400)));
        assert_eq!(go_duration("1.5s"), Some(SignedDuration::from_millis(1500)));
        assert_eq!(go_duration("-2ms"), Some(SignedDuration::from_millis(-2)));
        for bad in ["", "-", "1", "1d", "h", "1..2s", "1h ", "x1h"] {
            assert_eq!(go_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_are_absolute_or_ago() {
        let now: Timestamp = "2024-05-01T12:00:00Z".parse().unwrap();
        let at = |text: &str| moment(text, now).unwrap().to_string();
        assert_eq!(at("1h"), "2024-05-01T11:00:00Z");
        assert_eq!(at("0"), "1970-01-01T00:00:00Z");
        assert_eq!(at("1.25"), "1970-01-01T00:00:01.25Z");
        assert_eq!(at("2024-01-02T03:04:05+01:00"), "2024-01-02T02:04:05Z");
        assert!(moment("yesterday", now).is_err());
    }
}
