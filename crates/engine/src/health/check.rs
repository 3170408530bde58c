//! What a container is asked, with everything decided.

use std::time::Duration;

use dhow_errdefs::{Error, Result};

use super::target::{Http, Target};
use crate::spec::{ContainerSpec, Healthcheck};

/// Docker's choices where nobody chose.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const START_INTERVAL: Duration = Duration::from_secs(5);
const RETRIES: u32 = 3;
/// The shortest time that Docker takes, in nanoseconds.
const SHORTEST: i64 = 1_000_000;

/// A health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub probe: Probe,
    pub interval: Duration,
    pub timeout: Duration,
    /// After the start, in which failures do not count.
    pub start_period: Duration,
    /// Between two probes in that time.
    pub start_interval: Duration,
    pub retries: u32,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probe {
    /// A program inside.
    Command(Vec<String>),
    /// A web server inside.
    Http(Http),
    /// Somebody who listens inside.
    Tcp(Target),
}

impl Check {
    /// The check of a container that is merged with its image; `None` where there is none, or one of a kind that nobody
    /// knows (see [`unknown_kind`]).
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words for times and numbers, in ours for addresses.
    pub(crate) fn of(spec: &ContainerSpec) -> Result<Option<Self>> {
        let Some(asked) = &spec.healthcheck else { return Ok(None) };
        validate(asked)?;
        let Some((kind, words)) = asked.test.split_first() else { return Ok(None) };
        let address = || match words {
            [address] => Ok(address.as_str()),
            _ => Err(Error::invalid(format!("a health check of the kind {kind} takes one address"))),
        };
        let probe = match kind.as_str() {
            "CMD" => Probe::Command(words.to_vec()),
            "CMD-SHELL" => Probe::Command([shell(spec), words.to_vec()].concat()),
            "HTTP" => Probe::Http(Http::parse(address()?)?),
            "TCP" => Probe::Tcp(Target::parse(address()?)?),
            _ => return Ok(None),
        };
        let or = |nanos: i64, default: Duration| match u64::try_from(nanos) {
            Ok(0) | Err(_) => default,
            Ok(nanos) => Duration::from_nanos(nanos),
        };
        Ok(Some(Self {
            probe,
            interval: or(asked.interval, INTERVAL),
            timeout: or(asked.timeout, TIMEOUT),
            start_period: or(asked.start_period, Duration::ZERO),
            start_interval: or(asked.start_interval, START_INTERVAL),
            retries: u32::try_from(asked.retries).ok().filter(|retries| *retries > 0).unwrap_or(RETRIES),
        }))
    }
}

/// A kind of check that neither Docker nor we know: Docker warns and checks nothing.
pub(crate) fn unknown_kind(asked: &Healthcheck) -> Option<&str> {
    let kind = asked.test.first()?;
    (!["NONE", "CMD", "CMD-SHELL", "HTTP", "TCP"].contains(&kind.as_str())).then_some(kind)
}

fn shell(spec: &ContainerSpec) -> Vec<String> {
    match &spec.shell {
        Some(shell) if !shell.is_empty() => shell.clone(),
        _ => ["/bin/sh", "-c"].map(str::to_owned).to_vec(),
    }
}

fn validate(asked: &Healthcheck) -> Result<()> {
    let times = [
        ("Interval", asked.interval),
        ("Timeout", asked.timeout),
        ("StartPeriod", asked.start_period),
        ("StartInterval", asked.start_interval),
    ];
    if let Some((name, _)) = times.iter().find(|(_, nanos)| *nanos != 0 && *nanos < SHORTEST) {
        return Err(Error::invalid(format!("{name} in Healthcheck cannot be less than 1ms")));
    }
    if asked.retries < 0 {
        return Err(Error::invalid("Retries in Healthcheck cannot be negative"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(test: &[&str]) -> Result<Option<Check>> {
        let test = test.iter().map(ToString::to_string).collect();
        Check::of(&ContainerSpec {
            healthcheck: Some(Healthcheck { test, interval: 2_000_000, ..Healthcheck::default() }),
            ..ContainerSpec::default()
        })
    }

    #[test]
    fn kinds_and_defaults() {
        let found = check(&["CMD-SHELL", "true"]).unwrap().unwrap();
        assert_eq!(found.probe, Probe::Command(["/bin/sh", "-c", "true"].map(str::to_owned).to_vec()));
        assert_eq!((found.interval, found.timeout, found.retries), (Duration::from_millis(2), TIMEOUT, RETRIES));
        assert!(matches!(check(&["CMD", "a", "b"]).unwrap().unwrap().probe, Probe::Command(words) if words.len() == 2));
        assert!(matches!(check(&["HTTP", ":80/x"]).unwrap().unwrap().probe, Probe::Http(_)));
        assert!(matches!(check(&["TCP", "80"]).unwrap().unwrap().probe, Probe::Tcp(_)));
        assert!(check(&[]).unwrap().is_none() && check(&["NONE"]).unwrap().is_none());
        assert!(check(&["WHAT", "x"]).unwrap().is_none());
        assert!(check(&["HTTP"]).is_err() && check(&["TCP", "80", "81"]).is_err());
    }

    #[test]
    fn an_images_shell_is_used() {
        let spec = ContainerSpec {
            shell: Some(vec!["/bin/ash".into(), "-ec".into()]),
            healthcheck: Some(Healthcheck { test: vec!["CMD-SHELL".into(), "x".into()], ..Healthcheck::default() }),
            ..ContainerSpec::default()
        };
        let Probe::Command(words) = Check::of(&spec).unwrap().unwrap().probe else { panic!("a command") };
        assert_eq!(words, ["/bin/ash", "-ec", "x"]);
    }

    #[test]
    fn refusals_have_dockers_words() {
        let refused = |asked: Healthcheck| validate(&asked).unwrap_err().to_string();
        let text = refused(Healthcheck { timeout: 1000, ..Healthcheck::default() });
        assert_eq!(text, "Timeout in Healthcheck cannot be less than 1ms");
        let text = refused(Healthcheck { retries: -1, ..Healthcheck::default() });
        assert_eq!(text, "Retries in Healthcheck cannot be negative");
        let unknown = Healthcheck { test: vec!["WHAT".into()], ..Healthcheck::default() };
        assert_eq!(unknown_kind(&unknown), Some("WHAT"));
    }
}
