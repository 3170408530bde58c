//! Which driver, and what its options came to.

mod options;
mod size;
mod subject;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use subject::Subject;
pub(crate) use subject::{DEFAULT_TAG, hostname, short};

use crate::remote::Target;

/// How a container's output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// Framed, checksummed records; dhow's default.
    #[default]
    Local,
    /// Docker's `json-file`, byte for byte.
    JsonFile,
    /// systemd's journal, and a local copy to read from.
    Journald,
    /// A syslog server, and a local copy to read from.
    Syslog,
    /// Not at all.
    None,
}

impl Driver {
    /// Every driver that keeps or sends something, by name.
    pub const ALL: [Self; 4] = [Self::Journald, Self::JsonFile, Self::Local, Self::Syslog];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::JsonFile => "json-file",
            Self::Journald => "journald",
            Self::Syslog => "syslog",
            Self::None => "none",
        }
    }

    /// The driver of that name; the empty one is the default.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "" => Some(Self::Local),
            "none" => Some(Self::None),
            name => Self::ALL.into_iter().find(|driver| driver.as_str() == name),
        }
    }

    /// What it writes goes somewhere else, and what is here is a copy.
    #[must_use]
    pub const fn is_remote(self) -> bool {
        matches!(self, Self::Journald | Self::Syslog)
    }

    /// Bytes of one file where the user does not say; `None`: no limit, as Docker's json-file has none.
    const fn default_size(self) -> Option<u64> {
        match self {
            Self::Local | Self::Journald | Self::Syslog => Some(20 * MEGABYTE),
            Self::JsonFile | Self::None => None,
        }
    }

    const fn default_files(self) -> u32 {
        match self {
            Self::Local | Self::Journald | Self::Syslog => 5,
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
    /// Files that were rotated are compressed.
    pub compress: bool,
    /// Nothing is kept here of what goes to a remote target.
    pub cache_disabled: bool,
    /// Bytes that may wait for the disk and for a remote target; `None`: the container waits for them (`mode=blocking`).
    pub buffer: Option<u64>,
    /// What the options `labels`, `env` and `tag` came to for the container.
    pub attributes: BTreeMap<String, String>,
    /// Where a remote driver sends.
    pub target: Option<Target>,
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
        Self {
            driver,
            max_size: driver.default_size(),
            max_file: driver.default_files(),
            compress: false,
            cache_disabled: false,
            buffer: None,
            attributes: BTreeMap::new(),
            target: None,
        }
    }

    /// Where the log of a container is: `<container_dir>/log/…`; Docker's file name for `json-file`. `None` where
    /// nothing is kept.
    #[must_use]
    pub fn path(&self, container_dir: &Path, id: &str) -> Option<PathBuf> {
        let name = match self.driver {
            Driver::Journald | Driver::Syslog if self.cache_disabled => return None,
            Driver::Local | Driver::Journald | Driver::Syslog => "container.log".to_owned(),
            Driver::JsonFile => format!("{id}-json.log"),
            Driver::None => return None,
        };
        Some(container_dir.join("log").join(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_is_capped_by_default_and_json_file_is_not() {
        let limits = |config: Config| (config.max_size, config.max_file);
        assert_eq!(limits(Config::default()), (Some(20_000_000), 5));
        assert_eq!(limits(Config::of(Driver::JsonFile)), (None, 1));
    }

    #[test]
    fn what_keeps_nothing_has_no_file() {
        assert_eq!(Config::of(Driver::None).path(Path::new("/c"), "id"), None);
        let path = Config::of(Driver::JsonFile).path(Path::new("/c"), "id").unwrap();
        assert_eq!(path, Path::new("/c/log/id-json.log"));
        let cached = Config::of(Driver::Syslog);
        assert_eq!(cached.path(Path::new("/c"), "id").unwrap(), Path::new("/c/log/container.log"));
        assert_eq!(Config { cache_disabled: true, ..cached }.path(Path::new("/c"), "id"), None);
    }
}
