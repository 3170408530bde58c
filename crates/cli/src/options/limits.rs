//! Sizes, processors, ulimits and rates of block devices.

use dhow_api::container::{ThrottleDevice, Ulimit, WeightDevice};

use crate::format::parse_bytes;

/// Names of limits, as in `getrlimit(2)`.
const ULIMITS: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Checks a size.
pub(crate) fn check_bytes(text: &str) -> Result<(), String> {
    parse_bytes(text).map(drop)
}

/// Checks a size of `--memory-swap`, where -1 takes the limit away.
pub(crate) fn check_swap(text: &str) -> Result<(), String> {
    if text == "-1" { Ok(()) } else { check_bytes(text) }
}

/// A size that was checked; nothing is 0.
pub(crate) fn bytes(text: &str) -> i64 {
    if text == "-1" { -1 } else { parse_bytes(text).unwrap_or(0) }
}

/// Checks a value of `--cpus`.
pub(crate) fn check_cpus(text: &str) -> Result<(), String> {
    cpus(text).map(drop)
}

/// Processors as billionths: `1.5`, `3/2`. The error is Docker's text.
pub(crate) fn cpus(text: &str) -> Result<i64, String> {
    let rational = || format!("failed to parse {text} as a rational number");
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    let (whole, fraction) = above.split_once('.').unwrap_or((above, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let whole = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) || !digits(below) {
        return Err(rational());
    }
    let number: i128 = format!("{whole}{fraction}").parse().map_err(|_| rational())?;
    let scale =
        u32::try_from(fraction.len()).ok().and_then(|digits| 10_i128.checked_pow(digits)).ok_or_else(rational)?;
    let divisor = below.parse::<i128>().ok().filter(|&below| below > 0).and_then(|below| below.checked_mul(scale));
    let divisor = divisor.ok_or_else(rational)?;
    let billionths = number.checked_mul(1_000_000_000 * sign).ok_or_else(rational)?;
    if billionths % divisor != 0 {
        return Err("value is too precise".into());
    }
    i64::try_from(billionths / divisor).map_err(|_| rational())
}

/// Checks a value of `--ulimit`.
pub(super) fn check_ulimit(text: &str) -> Result<(), String> {
    ulimit(text).map(drop)
}

/// Reads `name=soft[:hard]`; -1 is unlimited. The error is Docker's text.
pub(super) fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, values) = text.split_once('=').ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !ULIMITS.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number =
        |value: &str| value.parse::<i64>().map_err(|_| format!("strconv.ParseInt: parsing {value:?}: invalid syntax"));
    let (soft, hard) = match values.split(':').collect::<Vec<_>>()[..] {
        [soft] => (number(soft)?, number(soft)?),
        [soft, hard] => (number(soft)?, number(hard)?),
        _ => {
            return Err(format!("too many limit value arguments - {values}, can only have up to two, `soft[:hard]`"));
        }
    };
    if hard != -1 && soft == -1 {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {hard}"
        ));
    }
    if hard != -1 && soft > hard {
        return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
    }
    Ok(Ulimit { name: name.to_owned(), hard, soft })
}

fn device(text: &str) -> Result<(&str, &str), String> {
    let (path, value) = text.split_once(':').ok_or_else(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    Ok((path, value))
}

/// Checks a value of `--blkio-weight-device`.
pub(super) fn check_weight(text: &str) -> Result<(), String> {
    weight(text).map(drop)
}

/// Reads `device:weight`.
pub(super) fn weight(text: &str) -> Result<WeightDevice, String> {
    let (path, value) = device(text)?;
    let weight = value.parse().ok().filter(|weight| matches!(weight, 0 | 10..=1000));
    let weight = weight.ok_or_else(|| format!("invalid weight for device: {text}"))?;
    Ok(WeightDevice { path: path.to_owned(), weight })
}

/// Checks a value of `--device-read-bps` and its like.
pub(super) fn check_rate(text: &str) -> Result<(), String> {
    rate(text).map(drop)
}

/// Reads `device:bytes per second`.
pub(super) fn rate(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = device(text)?;
    let rate = parse_bytes(value).ok().and_then(|rate| u64::try_from(rate).ok()).ok_or_else(|| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        )
    })?;
    Ok(ThrottleDevice { path: path.to_owned(), rate })
}

/// Checks a value of `--device-read-iops` and its like.
pub(super) fn check_iops(text: &str) -> Result<(), String> {
    iops(text).map(drop)
}

/// Reads `device:operations per second`.
pub(super) fn iops(text: &str) -> Result<ThrottleDevice, String> {
    let (path, value) = device(text)?;
    let rate = value.parse().map_err(|_| {
        format!(
            "invalid rate for device: {text}. The correct format is <device-path>:<number>. Number must be a positive integer"
        )
    })?;
    Ok(ThrottleDevice { path: path.to_owned(), rate })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn processors_are_exact() {
        for (text, billionths) in [("1", 1_000_000_000), ("0.5", 500_000_000), (".000000001", 1), ("1/2", 500_000_000)]
        {
            assert_eq!(cpus(text), Ok(billionths), "{text}");
        }
        assert_eq!(cpus("x").unwrap_err(), "failed to parse x as a rational number");
        assert_eq!(cpus("0.0000000001").unwrap_err(), "value is too precise");
        assert!(cpus("").is_err() && cpus(".").is_err() && cpus("1/0").is_err());
    }

    #[test]
    fn ulimits_in_dockers_words() {
        assert_eq!(ulimit("nofile=1:2").unwrap(), Ulimit { name: "nofile".into(), soft: 1, hard: 2 });
        assert_eq!(ulimit("core=-1").unwrap().hard, -1);
        assert_eq!(ulimit("nofile").unwrap_err(), "invalid ulimit argument: nofile");
        assert_eq!(ulimit("x=1").unwrap_err(), "invalid ulimit type: x");
        assert!(ulimit("nofile=2:1").unwrap_err().ends_with("2 > 1"));
        assert!(ulimit("nofile=-1:1").is_err() && ulimit("nofile=1:2:3").is_err() && ulimit("nofile=a").is_err());
    }

    #[test]
    fn block_devices() {
        assert_eq!(weight("/dev/sda:100").unwrap().weight, 100);
        assert_eq!(weight("/dev/sda:9").unwrap_err(), "invalid weight for device: /dev/sda:9");
        assert_eq!(rate("/dev/sda:1mb").unwrap().rate, 1 << 20);
        assert_eq!(rate("sda:1").unwrap_err(), "bad format for device path: sda:1");
        assert_eq!(iops("/dev/sda").unwrap_err(), "bad format: /dev/sda");
        assert!(iops("/dev/sda:1k").is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_them_panic(text in ".{0,16}") {
            drop((cpus(&text), ulimit(&text), weight(&text), rate(&text), iops(&text)));
        }

        #[test]
        fn whole_processors(count in 0..1000_i64) {
            prop_assert_eq!(cpus(&count.to_string()), Ok(count * 1_000_000_000));
        }
    }
}
