//! Times on the wire.

use dhow_errdefs::{Error, Result};
use jiff::Timestamp;

/// Go's zero time, which Docker shows for "never".
const NEVER: &str = "0001-01-01T00:00:00Z";

/// RFC 3339 with as many digits of the second as there are.
pub(crate) fn text(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

/// RFC 3339 in whole seconds.
pub(crate) fn seconds(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |time| format!("{time:.0}"))
}

/// RFC 3339 with nine digits of the second, so that lines stay aligned.
pub(crate) fn fixed_nanos(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// A parameter: seconds since 1970, with or without a fraction, or RFC 3339. Nothing, empty and `0` mean no limit.
pub(crate) fn from_query(value: Option<&str>) -> Result<Option<Timestamp>> {
    match value {
        None | Some("" | "0") => Ok(None),
        Some(value) => match from_seconds(value).or_else(|| value.parse().ok()) {
            Some(time) => Ok(Some(time)),
            None => Err(Error::invalid(format!("invalid value for a time: {value:?}"))),
        },
    }
}

fn from_seconds(value: &str) -> Option<Timestamp> {
    let (seconds, fraction) = value.split_once('.').unwrap_or((value, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9.9}").parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<String> {
        from_query(Some(value)).ok()?.map(|time| time.to_string())
    }

    #[test]
    fn parameters_are_seconds_or_dates() {
        assert_eq!(parsed("1795467712").as_deref(), Some("2026-11-23T21:01:52Z"));
        assert_eq!(parsed("1795467712.5").as_deref(), Some("2026-11-23T21:01:52.5Z"));
        assert_eq!(parsed("1795467712.000000001").as_deref(), Some("2026-11-23T21:01:52.000000001Z"));
        assert_eq!(parsed("2026-11-23T21:01:52Z").as_deref(), Some("2026-11-23T21:01:52Z"));
        assert_eq!(from_query(Some("0")).expect("no limit"), None);
        assert!(["x", "1.x", "1.-5", "999999999999999"].into_iter().all(|value| from_query(Some(value)).is_err()));
    }

    #[test]
    fn never_is_the_first_of_january_of_year_one() {
        assert_eq!(text(None), "0001-01-01T00:00:00Z");
        let time = "2026-11-23T21:04:13.95Z".parse().expect("a time");
        assert_eq!(text(Some(time)), "2026-11-23T21:04:13.95Z");
        assert_eq!(fixed_nanos(time), "2026-11-23T21:04:13.950000000Z");
    }
}
