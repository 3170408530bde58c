//! Moments and durations as Go writes and reads them.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// `2026-11-23 20:52:10 +0000 UTC`: seconds since 1970 in the local time zone.
pub(crate) fn local(seconds: i64) -> String {
    let moment = Timestamp::from_second(seconds).unwrap_or_default();
    moment.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// `2026-11-23 20:52:10.000000001 +0000 UTC`: a time that is written in RFC 3339, as Go prints it; other texts stay as they
/// are.
pub(crate) fn go_time(text: &str) -> String {
    let Ok(moment) = text.parse::<Timestamp>() else { return text.to_owned() };
    let moment = moment.to_zoned_datetime(TimeZone::UTC);
    let nanos = moment.subsec_nanosecond();
    let fraction = format!(".{nanos:09}");
    let fraction = if nanos == 0 { "" } else { fraction.trim_end_matches('0') };
    format!("{}{fraction} +0000 UTC", moment.strftime("%Y-%m-%d %H:%M:%S"))
}

/// `2026-11-23T20:52:10Z`: seconds since 1970 as RFC 3339, local time zone.
pub(crate) fn rfc3339(seconds: i64) -> String {
    zoned(Timestamp::from_second(seconds).unwrap_or_default(), "%Y-%m-%dT%H:%M:%S")
}

/// `2026-11-23T20:52:10.000000001Z`: nanoseconds since 1970 as RFC 3339 with nine decimals, local time zone.
pub(crate) fn local_nanos(nanoseconds: i64) -> String {
    zoned(Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or_default(), "%Y-%m-%dT%H:%M:%S.%9f")
}

/// `Thu May  7 21:09:36 2026`: a time that is written in RFC 3339, in the local time zone; other texts stay as they are.
pub(crate) fn spelled(text: &str) -> String {
    let Ok(moment) = text.parse::<Timestamp>() else { return text.to_owned() };
    moment.to_zoned_datetime(TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

fn zoned(moment: Timestamp, format: &str) -> String {
    let moment = moment.to_zoned_datetime(TimeZone::system());
    let zone = if moment.offset().is_zero() { "Z".to_owned() } else { moment.strftime("%:z").to_string() };
    format!("{}{zone}", moment.strftime(format))
}

/// Go's `time.ParseDuration`, in nanoseconds: `1h30m`, `-1.5s`, `100ms`, `0`.
pub(crate) fn parse_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..unit_at].parse().map_err(|_| invalid())?;
        let after = &rest[unit_at..];
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let unit = &after[..unit_end];
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        total +=
            number * nanoseconds(unit).ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        rest = &after[unit_end..];
    }
    #[allow(clippy::cast_precision_loss, reason = "only the order of magnitude is compared")]
    if total > i64::MAX as f64 {
        return Err(invalid());
    }
    #[allow(clippy::cast_possible_truncation, reason = "checked above; parts of a nanosecond are dropped")]
    Ok((sign * total) as i64)
}

/// A duration in nanoseconds as Go prints it: `0s`, `1m30s`, `1.5ms`.
pub(super) fn go_duration(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let whole = nanoseconds.unsigned_abs();
    let decimal = |unit: u64, digits: usize, name: &str| {
        let text = format!("{}.{:0digits$}", whole / unit, whole % unit);
        format!("{sign}{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
    };
    match whole {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{whole}ns"),
        1_000..1_000_000 => decimal(1_000, 3, "µs"),
        1_000_000..1_000_000_000 => decimal(1_000_000, 6, "ms"),
        _ => {
            let (minutes, rest) = (whole / 60_000_000_000, whole % 60_000_000_000);
            let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
            let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

fn nanoseconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "µs" | "μs" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

/// What `--since` and `--until` take: a duration before now, a date or time (local unless it says otherwise), or seconds
/// since 1970. The result is seconds with nine decimals, as the API wants it; nothing for nothing.
pub(crate) fn timestamp(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    if let Ok(nanoseconds) = parse_duration(text) {
        let moment = Timestamp::now().checked_sub(SignedDuration::from_nanos(nanoseconds));
        return moment.map(written).map_err(|error| error.to_string());
    }
    if let Some(moment) = parse_moment(text) {
        return Ok(written(moment));
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    match !seconds.is_empty() && digits(seconds) && digits(fraction) && fraction.len() <= 9 {
        true => Ok(text.to_owned()),
        false => Err(format!("failed to parse value as time or duration: {text:?}")),
    }
}

fn written(moment: Timestamp) -> String {
    let nanoseconds = moment.as_nanosecond();
    format!("{}.{:09}", nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000))
}

fn parse_moment(text: &str) -> Option<Timestamp> {
    if !text.contains('-') {
        return None;
    }
    if let Ok(moment) = text.parse() {
        return Some(moment);
    }
    let civil = match text.split_once('T') {
        Some((date, time)) if !time.contains(':') => format!("{date}T{time}:00").parse::<DateTime>().ok()?,
        Some(_) => text.parse::<DateTime>().ok()?,
        None => text.strip_suffix('Z').unwrap_or(text).parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()),
    };
    let zone = if text.ends_with('Z') { TimeZone::UTC } else { TimeZone::system() };
    zone.to_timestamp(civil).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_of_go() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            ("-10ms", -10_000_000),
            ("3us2ns", 3_002),
            (".5m", 30_000_000_000),
        ] {
            assert_eq!(parse_duration(text), Ok(nanoseconds), "{text}");
        }
        assert_eq!(parse_duration("5").unwrap_err(), "time: missing unit in duration \"5\"");
        assert_eq!(parse_duration("5d").unwrap_err(), "time: unknown unit \"d\" in duration \"5d\"");
        assert_eq!(parse_duration("x").unwrap_err(), "time: invalid duration \"x\"");
        assert!(parse_duration("").is_err() && parse_duration("9999999999h").is_err());
    }

    #[test]
    fn durations_as_go_prints_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (30_000_000, "30ms"),
            (-1_050_000_000, "-1.05s"),
            (10_000_000_000, "10s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(nanoseconds), text);
        }
    }

    #[test]
    fn moments_in_all_spellings() {
        assert_eq!(timestamp("2020-01-02T03:04:05.6Z").unwrap(), "1577934245.600000000");
        assert_eq!(timestamp("2020-01-02T03:04:05+01:00").unwrap(), "1577930645.000000000");
        assert_eq!(timestamp("2020-01-02Z").unwrap(), "1577923200.000000000");
        assert_eq!(timestamp("1577934245.5").unwrap(), "1577934245.5");
        for civil in ["2020-01-02", "2020-01-02T03", "2020-01-02T03:04", "2020-01-02T03:04:05"] {
            assert!(
                timestamp(civil).unwrap().starts_with("15778") || timestamp(civil).unwrap().starts_with("15779"),
                "{civil}"
            );
        }
        assert_eq!(timestamp("soon").unwrap_err(), "failed to parse value as time or duration: \"soon\"");
        assert_eq!(timestamp("").unwrap(), "");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in ".{0,12}") {
            drop(timestamp(&text));
        }

        #[test]
        fn written_durations_come_back(hours in 0..1000_i64, minutes in 0..60_i64, millis in 0..60_000_i64) {
            let nanoseconds = (hours * 3600 + minutes * 60) * 1_000_000_000 + millis * 1_000_000;
            prop_assert_eq!(parse_duration(&format!("{hours}h{minutes}m{millis}ms")), Ok(nanoseconds));
        }
    }
}
