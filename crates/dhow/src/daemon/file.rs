//! The configuration file: `/etc/dhow/daemon.toml`, or a stock `daemon.json` with the same keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use serde::Deserialize;

/// Settings as a file or the flags give them; what is absent is left to the next source.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct File {
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) data_root: Option<PathBuf>,
    pub(crate) exec_root: Option<PathBuf>,
    pub(crate) pidfile: Option<PathBuf>,
    pub(crate) debug: Option<bool>,
    pub(crate) log_level: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) tls: Option<bool>,
    pub(crate) tlsverify: Option<bool>,
    pub(crate) tlscacert: Option<PathBuf>,
    pub(crate) tlscert: Option<PathBuf>,
    pub(crate) tlskey: Option<PathBuf>,
    pub(crate) insecure_tcp_on_loopback: Option<bool>,
    pub(crate) cgroup_parent: Option<String>,
    pub(crate) default_runtime: Option<String>,
    pub(crate) runtimes: Option<BTreeMap<String, Runtime>>,
    pub(crate) log_driver: Option<String>,
    pub(crate) log_opts: Option<BTreeMap<String, String>>,
    pub(crate) default_shm_size: Option<String>,
    pub(crate) default_ulimits: Option<BTreeMap<String, Ulimit>>,
    pub(crate) init: Option<bool>,
    pub(crate) labels: Option<Vec<String>>,
    pub(crate) plugin_folders: Option<Vec<PathBuf>>,
    /// Seconds.
    pub(crate) plugin_deadline: Option<u64>,
    pub(crate) registry_mirrors: Option<Vec<String>>,
    pub(crate) insecure_registries: Option<Vec<String>>,
    pub(crate) proxies: Option<Proxies>,
    /// The file about registries and which images may be used.
    pub(crate) registry_config: Option<PathBuf>,
    /// Accepted because stock files have it: dhow always keeps containers running.
    pub(crate) live_restore: Option<bool>,
    /// Ulimits as the command line writes them; not a key of the file.
    #[serde(skip)]
    pub(crate) ulimits: Option<Vec<String>>,
}

/// An OCI runtime by its path.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Runtime {
    pub(crate) path: PathBuf,
}

/// The way to the outside, for pulls and pushes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub(crate) struct Proxies {
    pub(crate) http_proxy: Option<String>,
    pub(crate) https_proxy: Option<String>,
    pub(crate) no_proxy: Option<String>,
}

impl Proxies {
    /// These where they say something, the others elsewhere.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            http_proxy: self.http_proxy.or(other.http_proxy),
            https_proxy: self.https_proxy.or(other.https_proxy),
            no_proxy: self.no_proxy.or(other.no_proxy),
        }
    }
}

/// A default ulimit as `daemon.json` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Ulimit {
    pub(crate) soft: i64,
    pub(crate) hard: i64,
}

/// Every key of [`File`], to name those that are not understood.
const KEYS: [&str; 27] = [
    "hosts",
    "data-root",
    "exec-root",
    "pidfile",
    "debug",
    "log-level",
    "group",
    "tls",
    "tlsverify",
    "tlscacert",
    "tlscert",
    "tlskey",
    "insecure-tcp-on-loopback",
    "cgroup-parent",
    "default-runtime",
    "runtimes",
    "log-driver",
    "log-opts",
    "default-shm-size",
    "default-ulimits",
    "init",
    "labels",
    "live-restore",
    "registry-mirrors",
    "insecure-registries",
    "proxies",
    "registry-config",
];

impl File {
    /// Reads a file. A missing file is empty settings unless the person named it; unknown keys of a TOML file are an
    /// error, those of a stock JSON file come back beside the settings, to be warned about.
    pub(crate) fn read(path: &Path, named: bool) -> Result<(Self, Vec<String>)> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(Default::default()),
            text => text.context(|| format!("read configuration file {}", path.display()))?,
        };
        let step = || format!("configuration file {}", path.display());
        if text.trim_start().starts_with('{') {
            Self::from_json(&text).context(step)
        } else {
            Self::from_toml(&text).context(step)
        }
    }

    fn from_toml(text: &str) -> Result<(Self, Vec<String>)> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| Error::invalid(error.to_string()))?;
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(
                Error::invalid(format!("unknown key {key:?}")).with_hint(format!("known keys: {}", KEYS.join(", ")))
            );
        }
        let file = table.try_into().map_err(|error: toml::de::Error| Error::invalid(error.to_string()))?;
        Ok((file, Vec::new()))
    }

    fn from_json(text: &str) -> Result<(Self, Vec<String>)> {
        let value: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|error| Error::invalid(error.to_string()))?;
        let unknown = value.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned().collect();
        let file = serde_json::from_value(value.into()).map_err(|error| Error::invalid(error.to_string()))?;
        Ok((file, unknown))
    }

    /// These settings where they say something, the others elsewhere.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            hosts: self.hosts.or(other.hosts),
            data_root: self.data_root.or(other.data_root),
            exec_root: self.exec_root.or(other.exec_root),
            pidfile: self.pidfile.or(other.pidfile),
            debug: self.debug.or(other.debug),
            log_level: self.log_level.or(other.log_level),
            group: self.group.or(other.group),
            tls: self.tls.or(other.tls),
            tlsverify: self.tlsverify.or(other.tlsverify),
            tlscacert: self.tlscacert.or(other.tlscacert),
            tlscert: self.tlscert.or(other.tlscert),
            tlskey: self.tlskey.or(other.tlskey),
            insecure_tcp_on_loopback: self.insecure_tcp_on_loopback.or(other.insecure_tcp_on_loopback),
            cgroup_parent: self.cgroup_parent.or(other.cgroup_parent),
            default_runtime: self.default_runtime.or(other.default_runtime),
            runtimes: self.runtimes.or(other.runtimes),
            log_driver: self.log_driver.or(other.log_driver),
            log_opts: self.log_opts.or(other.log_opts),
            default_shm_size: self.default_shm_size.or(other.default_shm_size),
            default_ulimits: self.default_ulimits.or(other.default_ulimits),
            init: self.init.or(other.init),
            labels: self.labels.or(other.labels),
            live_restore: self.live_restore.or(other.live_restore),
            plugin_folders: self.plugin_folders.or(other.plugin_folders),
            plugin_deadline: self.plugin_deadline.or(other.plugin_deadline),
            registry_mirrors: self.registry_mirrors.or(other.registry_mirrors),
            registry_config: self.registry_config.or(other.registry_config),
            insecure_registries: self.insecure_registries.or(other.insecure_registries),
            proxies: match (self.proxies, other.proxies) {
                (Some(own), Some(other)) => Some(own.or(other)),
                (own, other) => own.or(other),
            },
            ulimits: self.ulimits.or(other.ulimits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_daemon_json_is_understood_and_strange_keys_are_named() {
        let text = r#"{"data-root": "/d", "log-opts": {"max-size": "1m"}, "runtimes": {"x": {"path": "/x"}}, "dns": ["1.1.1.1"]}"#;
        let (file, unknown) = File::from_json(text).expect("good");
        assert_eq!(file.data_root, Some("/d".into()));
        assert_eq!(unknown, ["dns"]);
    }

    #[test]
    fn a_mistyped_key_of_our_own_file_is_an_error() {
        let error = File::from_toml("data-rot = \"/d\"").expect_err("mistyped");
        assert!(error.to_string().contains("data-rot"), "{error}");
        assert!(File::from_toml("data-root = \"/d\"\ndebug = true").is_ok());
    }

    #[test]
    fn a_missing_file_matters_only_when_it_was_named() {
        let missing = Path::new("/no/such/daemon.toml");
        assert_eq!(File::read(missing, false).expect("nothing").0, File::default());
        assert!(File::read(missing, true).expect_err("named").to_string().contains("/no/such/daemon.toml"));
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = File { debug: Some(true), ..File::default() };
        let file = File { debug: Some(false), group: Some("g".to_owned()), ..File::default() };
        let both = flags.or(file);
        assert_eq!((both.debug, both.group.as_deref()), (Some(true), Some("g")));
    }
}
