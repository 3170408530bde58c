//! Which driver, and its options in Docker's spelling.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result};
use serde::{Deserialize, Serialize};

/// How a container's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// Framed, checksummed records; dhow's default.
    #[default]
    Local,
    /// Docker's `json-file`, byte for byte.
    JsonFile,
    /// Not at all.
    None,
}

impl Driver {
    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::JsonFile => "json-file",
            Self::None => "none",
        }
    }

    /// Bytes of one file where the user does not say; `None`: no limit, as Docker's json-file has none.
    const fn default_size(self) -> Option<u64> {
        match self {
            Self::Local => Some(20 * MEGABYTE),
            Self::JsonFile | Self::None => None,
        }
    }

    const fn default_files(self) -> u32 {
        match self {
            Self::Local => 5,
            Self::JsonFile | Self::None => 1,
        }
    }
}

const MEGABYTE: u64 = 1000 * 1000;

/// A driver and its limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The driver.
    pub driver: Driver,
    /// A file is rotated before it would grow beyond this many bytes; `None`: never.
    pub max_size: Option<u64>,
    /// How many files are kept, the current one among them; at least 1.
    pub max_file: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self::of(Driver::Local)
    }
}

impl Config {
    /// A driver with its default limits: `local` 5 files of 20 MB, `json-file` one without limit.
    #[must_use]
    pub const fn of(driver: Driver) -> Self {
        Self { driver, max_size: driver.default_size(), max_file: driver.default_files() }
    }

    /// From `--log-driver` and `--log-opt`. Options that have no effect here (`compress`, `mode`, `labels`, `env`, `tag`
    /// …) are accepted, because they change no line that Docker's clients see.
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words for an unknown driver, an unknown option or a value that is no size or number.
    pub fn from_options(driver: &str, options: &BTreeMap<String, String>) -> Result<Self> {
        let driver = match driver {
            "" | "local" => Driver::Local,
            "json-file" => Driver::JsonFile,
            "none" => Driver::None,
            other => {
                return Err(Error::invalid(format!("logger: no log driver named '{other}' is registered"))
                    .with_hint("dhow has the log drivers local, json-file and none"));
            }
        };
        let mut config = Self::of(driver);
        for (name, value) in options {
            config.set(name, value)?;
        }
        if driver == Driver::JsonFile && config.max_file > 1 && config.max_size.is_none() {
            return Err(Error::invalid("max-file cannot be set without max-size"));
        }
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        match name {
            "max-size" => self.max_size = parse_size(value)?,
            "max-file" => {
                self.max_file = value
                    .parse()
                    .map_err(|_| Error::invalid(format!("invalid value for max-file: {value:?} is not a number")))?;
                if self.max_file == 0 {
                    return Err(Error::invalid("max-file cannot be less than 1"));
                }
            }
            "compress" | "mode" | "max-buffer-size" | "labels" | "labels-regex" | "env" | "env-regex" | "tag" => {}
            _ => {
                let driver = self.driver.as_str();
                return Err(Error::invalid(format!("unknown log opt '{name}' for {driver} log driver")));
            }
        }
        Ok(())
    }

    /// Where the log of a container is: `<container_dir>/log/…`; Docker's file name for `json-file`. `None` for the
    /// driver that keeps nothing.
    #[must_use]
    pub fn path(&self, container_dir: &Path, id: &str) -> Option<PathBuf> {
        let name = match self.driver {
            Driver::Local => "container.log".to_owned(),
            Driver::JsonFile => format!("{id}-json.log"),
            Driver::None => return None,
        };
        Some(container_dir.join("log").join(name))
    }
}

/// A size as Docker reads it (`10m`, `1.5g`, `512k`, `100`; units of 1000, as go-units' `FromHumanSize`); `-1` is no limit.
fn parse_size(text: &str) -> Result<Option<u64>> {
    if text == "-1" {
        return Ok(None);
    }
    let invalid = || Error::invalid(format!("invalid size: '{text}'"));
    let lower = text.trim().to_ascii_lowercase();
    let bare = lower.strip_suffix('b').unwrap_or(&lower);
    let (digits, unit) = match bare.char_indices().next_back() {
        Some((at, 'k')) => (&bare[..at], 1000.0),
        Some((at, 'm')) => (&bare[..at], 1e6),
        Some((at, 'g')) => (&bare[..at], 1e9),
        Some((at, 't')) => (&bare[..at], 1e12),
        _ => (bare, 1.0),
    };
    let number: f64 = digits.trim().parse().map_err(|_| invalid())?;
    if !number.is_finite() || number <= 0.0 {
        return Err(invalid());
    }
    Ok(Some((number * unit) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn local_is_capped_by_default_and_json_file_is_not() {
        assert_eq!(Config::default(), Config { driver: Driver::Local, max_size: Some(20_000_000), max_file: 5 });
        assert_eq!(Config::of(Driver::JsonFile), Config { driver: Driver::JsonFile, max_size: None, max_file: 1 });
    }

    #[test]
    fn options_are_read_as_docker_reads_them() {
        let config = Config::from_options("json-file", &options(&[("max-size", "1.5m"), ("max-file", "3")])).unwrap();
        assert_eq!(config, Config { driver: Driver::JsonFile, max_size: Some(1_500_000), max_file: 3 });
        let config = Config::from_options("local", &options(&[("max-size", "-1"), ("compress", "false")])).unwrap();
        assert_eq!(config.max_size, None);
        for (text, bytes) in [("100", 100), ("10k", 10_000), ("2KB", 2_000), ("1g", 1_000_000_000)] {
            assert_eq!(parse_size(text).unwrap(), Some(bytes));
        }
    }

    #[test]
    fn wrong_options_are_refused_in_dockers_words() {
        let refused =
            |driver, pairs: &[(&str, &str)]| Config::from_options(driver, &options(pairs)).unwrap_err().to_string();
        assert_eq!(refused("json-file", &[("a", "b")]), "unknown log opt 'a' for json-file log driver");
        assert_eq!(refused("syslog", &[]), "logger: no log driver named 'syslog' is registered");
        assert_eq!(refused("local", &[("max-size", "many")]), "invalid size: 'many'");
        assert_eq!(refused("local", &[("max-file", "0")]), "max-file cannot be less than 1");
        assert_eq!(refused("json-file", &[("max-file", "2")]), "max-file cannot be set without max-size");
    }

    #[test]
    fn the_driver_none_has_no_file() {
        assert_eq!(Config::of(Driver::None).path(Path::new("/c"), "id"), None);
        let path = Config::of(Driver::JsonFile).path(Path::new("/c"), "id").unwrap();
        assert_eq!(path, Path::new("/c/log/id-json.log"));
    }
}
