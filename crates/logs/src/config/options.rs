//! `--log-driver` and `--log-opt`, checked in Docker's words.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result, parse_bool};

use super::{Config, Driver, size, subject};
use crate::remote::{Syslog, Target};

/// Options of every driver that picks attributes.
const ATTRIBUTES: [&str; 5] = ["labels", "labels-regex", "env", "env-regex", "tag"];
const FILES: [&str; 3] = ["max-size", "max-file", "compress"];
/// Of the local copy beside a remote target.
const CACHE: [&str; 4] = ["cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"];
const SYSLOG: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];

/// Docker's drivers that dhow does not have.
const ELSEWHERE: [&str; 7] = ["awslogs", "etwlogs", "fluentd", "gcplogs", "gelf", "logentries", "splunk"];

/// Bytes that may wait in `mode=non-blocking` where `max-buffer-size` does not say (Docker's default).
const BUFFER: u64 = 1 << 20;

type Options = BTreeMap<String, String>;

impl Config {
    /// From `--log-driver` and `--log-opt`, before there is a container: everything is checked, and nothing is known yet
    /// of attributes, tag and address. Enough to read a log.
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words for an unknown driver, an unknown option or a value that makes no sense.
    pub fn from_options(driver: &str, options: &Options) -> Result<Self> {
        let Some(kind) = Driver::from_name(driver) else { return Err(unknown_driver(driver)) };
        let mut config = Self::of(kind);
        // As Docker: who wants no log may give options all the same.
        if kind == Driver::None {
            return Ok(config);
        }
        config.buffer = mode(options)?;
        config.check_names(options)?;
        config.files(options)?;
        subject::check(options)?;
        if kind == Driver::Syslog {
            Syslog::from_options(options)?;
        }
        Ok(config)
    }

    /// Of a container that was made: what is needed to find and read its log. Whatever else the options say may have
    /// become wrong since, like the path of a socket.
    ///
    /// # Errors
    /// `InvalidArgument` for what this dhow does not know.
    pub fn for_reading(driver: &str, options: &Options) -> Result<Self> {
        let mut config = Self::of(Driver::from_name(driver).ok_or_else(|| unknown_driver(driver))?);
        if config.driver != Driver::None {
            config.files(options)?;
        }
        Ok(config)
    }

    /// Of a container that starts: with attributes, tag and the target's address, which is looked up.
    ///
    /// # Errors
    /// As [`Config::from_options`], and when an address cannot be found.
    pub fn for_container(driver: &str, options: &Options, subject: &super::Subject<'_>) -> Result<Self> {
        let mut config = Self::from_options(driver, options)?;
        config.target = match config.driver {
            Driver::Syslog => Some(Target::syslog(options, subject)?),
            Driver::Journald => Some(Target::journald(options, subject)?),
            Driver::Local | Driver::JsonFile | Driver::None => None,
        };
        if matches!(config.driver, Driver::Local | Driver::JsonFile) {
            config.attributes = subject.attributes(options)?;
        }
        Ok(config)
    }

    fn check_names(&self, options: &Options) -> Result<()> {
        for name in options.keys().map(String::as_str) {
            let known = matches!(name, "mode" | "max-buffer-size")
                || ATTRIBUTES.contains(&name)
                || CACHE.contains(&name)
                || (!self.driver.is_remote() && FILES.contains(&name))
                || (self.driver == Driver::Syslog && SYSLOG.contains(&name));
            if !known {
                return Err(Error::invalid(match self.driver {
                    Driver::Local => format!("unknown log opt '{name}' for log driver local"),
                    driver => format!("unknown log opt '{name}' for {} log driver", driver.as_str()),
                }));
            }
        }
        Ok(())
    }

    /// Limits of the files: those of the local copy have a prefix.
    fn files(&mut self, options: &Options) -> Result<()> {
        let prefix = if self.driver.is_remote() { "cache-" } else { "" };
        let get = |name: &str| options.get(&format!("{prefix}{name}"));
        if let Some(text) = options.get("cache-disabled").filter(|text| !text.is_empty()) {
            let disabled = parse_bool(text);
            let text = || Error::invalid(format!("invalid value for option cache-disabled: {text}"));
            self.cache_disabled = disabled.ok_or_else(text)?;
        }
        // `-1` is how Docker's documentation spells "no limit".
        if let Some(text) = get("max-size") {
            self.max_size = if text == "-1" { None } else { Some(max_size(text)?) };
        }
        if let Some(text) = get("max-file") {
            self.max_file = max_file(text)?;
        }
        if let Some(text) = get("compress") {
            let invalid = || Error::invalid(format!("invalid boolean value for compress: {text:?}"));
            self.compress = parse_bool(text).ok_or_else(invalid)?;
        }
        if self.compress && (self.max_file < 2 || self.max_size.is_none()) {
            let text = "compress cannot be true when max-file is less than 2 or max-size is not set";
            return Err(Error::invalid(text));
        }
        Ok(())
    }
}

/// Docker's words; for a driver that Docker has, with what to use in its place (a hint does not reach a client of the API).
fn unknown_driver(name: &str) -> Error {
    let ours = "dhow has journald, json-file, local, syslog and none";
    let words = format!("logger: no log driver named '{name}' is registered");
    if ELSEWHERE.contains(&name) {
        return Error::invalid(format!(
            "{words}: {ours}; an agent that takes syslog or reads json-file can pass logs on"
        ));
    }
    Error::invalid(words).with_hint(ours)
}

fn mode(options: &Options) -> Result<Option<u64>> {
    let mode = options.get("mode").map_or("", String::as_str);
    let waits = match mode {
        "" | "blocking" => true,
        "non-blocking" => false,
        other => return Err(Error::invalid(format!("logger: logging mode not supported: {other}"))),
    };
    let Some(text) = options.get("max-buffer-size") else { return Ok((!waits).then_some(BUFFER)) };
    if waits {
        return Err(Error::invalid("logger: max-buffer-size option is only supported with 'mode=non-blocking'"));
    }
    size::memory(text).map(Some).map_err(|error| error.context("error parsing option max-buffer-size"))
}

fn max_size(text: &str) -> Result<u64> {
    match size::human(text)? {
        0 => Err(Error::invalid("max-size must be a positive number")),
        bytes => Ok(bytes),
    }
}

fn max_file(text: &str) -> Result<u32> {
    match text.parse::<i64>() {
        Ok(files @ 1..=1_000_000) => Ok(files as u32),
        Ok(files) if files < 1 => Err(Error::invalid("max-file cannot be less than 1")),
        _ => Err(Error::invalid(format!("invalid value for max-file: {text}: it is no number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Options {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn config(driver: &str, pairs: &[(&str, &str)]) -> Config {
        Config::from_options(driver, &options(pairs)).unwrap()
    }

    #[test]
    fn options_are_read_as_docker_reads_them() {
        let json = config("json-file", &[("max-size", "1.5m"), ("max-file", "3"), ("compress", "true")]);
        assert_eq!((json.max_size, json.max_file, json.compress), (Some(1_500_000), 3, true));
        assert_eq!(config("local", &[("max-size", "-1"), ("compress", "false")]).max_size, None);
        assert_eq!(config("", &[("mode", "non-blocking")]).buffer, Some(1 << 20));
        assert_eq!(config("local", &[("mode", "non-blocking"), ("max-buffer-size", "4m")]).buffer, Some(4 << 20));
        let cached = config("journald", &[("cache-max-size", "1m"), ("cache-max-file", "2")]);
        assert_eq!((cached.max_size, cached.max_file, cached.cache_disabled), (Some(1_000_000), 2, false));
        assert!(config("syslog", &[("cache-disabled", "true")]).cache_disabled);
        assert_eq!(config("none", &[("anything", "goes")]).driver, Driver::None);
    }

    #[test]
    fn wrong_options_are_refused_in_dockers_words() {
        let refused =
            |driver, pairs: &[(&str, &str)]| Config::from_options(driver, &options(pairs)).unwrap_err().to_string();
        assert_eq!(refused("json-file", &[("a", "b")]), "unknown log opt 'a' for json-file log driver");
        assert_eq!(refused("local", &[("a", "b")]), "unknown log opt 'a' for log driver local");
        assert_eq!(refused("journald", &[("max-size", "1m")]), "unknown log opt 'max-size' for journald log driver");
        assert_eq!(refused("local", &[("syslog-format", "x")]), "unknown log opt 'syslog-format' for log driver local");
        assert_eq!(refused("local", &[("max-size", "many")]), "invalid suffix: 'many'");
        assert_eq!(refused("json-file", &[("max-size", "0")]), "max-size must be a positive number");
        assert_eq!(refused("local", &[("max-file", "0")]), "max-file cannot be less than 1");
        assert_eq!(
            refused("json-file", &[("compress", "true")]),
            "compress cannot be true when max-file is less than 2 or max-size is not set"
        );
        assert_eq!(refused("local", &[("mode", "fast")]), "logger: logging mode not supported: fast");
        assert_eq!(
            refused("local", &[("max-buffer-size", "1m")]),
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'"
        );
        assert_eq!(refused("syslog", &[("cache-disabled", "maybe")]), "invalid value for option cache-disabled: maybe");
        assert_eq!(refused("syslog", &[("syslog-facility", "x")]), "invalid syslog facility");
        assert!(refused("local", &[("env-regex", "(")]).starts_with("error parsing regexp"));
        assert!(refused("local", &[("tag", "{{.ID")]).starts_with("template: log-tag:"));
    }

    #[test]
    fn drivers_that_dhow_has_not_are_refused_with_advice() {
        let refused = |name| Config::from_options(name, &Options::new()).unwrap_err().to_string();
        assert_eq!(refused("nonsense"), "logger: no log driver named 'nonsense' is registered");
        for name in ["fluentd", "gelf", "awslogs", "splunk", "gcplogs", "etwlogs"] {
            let words = format!("logger: no log driver named '{name}' is registered: dhow has journald, json-file, ");
            assert!(refused(name).starts_with(&words), "{}", refused(name));
        }
    }
}
