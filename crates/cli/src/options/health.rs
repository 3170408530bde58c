//! `--health-*`.

use dhow_api::container::HealthConfig;
use dhow_errdefs::Result;

use super::wrong;
use crate::flags::Parsed;
use crate::format::parse_duration;

const DURATIONS: [&str; 4] = ["health-interval", "health-timeout", "health-start-period", "health-start-interval"];

/// Checks a duration.
pub(super) fn check_duration(text: &str) -> Result<(), String> {
    parse_duration(text).map(drop)
}

/// The health check the flags describe, if they describe one.
pub(super) fn health(flags: &Parsed) -> Result<Option<HealthConfig>> {
    let test = test(flags)?;
    let given = test.is_some()
        || flags.number("health-retries") != 0
        || DURATIONS.iter().any(|name| duration(flags, name) != 0);
    if flags.on("no-healthcheck") {
        return match given {
            true => Err(wrong("--no-healthcheck conflicts with --health-* options")),
            false => Ok(Some(HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() })),
        };
    }
    if !given {
        return Ok(None);
    }
    if let Some(name) = DURATIONS.iter().find(|name| duration(flags, name) < 0) {
        return Err(wrong(format!("--{name} cannot be negative")));
    }
    if flags.number("health-retries") < 0 {
        return Err(wrong("--health-retries cannot be negative"));
    }
    Ok(Some(HealthConfig {
        test: test.unwrap_or_default(),
        interval: duration(flags, "health-interval"),
        timeout: duration(flags, "health-timeout"),
        start_period: duration(flags, "health-start-period"),
        start_interval: duration(flags, "health-start-interval"),
        retries: flags.number("health-retries"),
    }))
}

/// What is to be asked; whether an address is one, the engine decides.
fn test(flags: &Parsed) -> Result<Option<Vec<String>>> {
    let kinds = [("health-cmd", "CMD-SHELL"), ("health-http", "HTTP"), ("health-tcp", "TCP")];
    let mut tests =
        kinds.iter().filter_map(|(flag, kind)| Some(vec![(*kind).to_owned(), flags.some(flag)?.to_owned()]));
    match (tests.next(), tests.next()) {
        (_, Some(_)) => Err(wrong("--health-cmd, --health-http and --health-tcp exclude each other")),
        (test, None) => Ok(test),
    }
}

fn duration(flags: &Parsed, name: &str) -> i64 {
    parse_duration(flags.text(name)).unwrap_or(0)
}
