//! The configuration file: `/etc/dhow/daemon.toml`, or a stock `daemon.json` with the same keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use serde::Deserialize;

/// Makes [`File`] of its keys: one list for what is read, what is known, what wins and what has changed.
macro_rules! file {
    ($($(#[$note:meta])* $key:literal $field:ident: $kind:ty,)*) => {
        /// Settings as a file or the flags give them; what is absent is left to the next source.
        #[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
        #[serde(default)]
        pub(crate) struct File {
            $($(#[$note])* #[serde(rename = $key)] pub(crate) $field: Option<$kind>,)*
            /// Ulimits as the command line writes them; not a key of the file.
            #[serde(skip)]
            pub(crate) ulimits: Option<Vec<String>>,
            /// Pools of addresses as the command line writes them.
            #[serde(skip)]
            pub(crate) address_pools: Option<Vec<String>>,
        }

        /// Every key of [`File`], to name those that are not understood.
        const KEYS: &[&str] = &[$($key),*];

        impl File {
            /// These settings where they say something, the others elsewhere.
            pub(crate) fn or(self, other: Self) -> Self {
                let proxies = Proxies::of_both(self.proxies.clone(), other.proxies.clone());
                let first = Self {
                    $($field: self.$field.or(other.$field),)*
                    ulimits: self.ulimits.or(other.ulimits),
                    address_pools: self.address_pools.or(other.address_pools),
                };
                Self { proxies, ..first }
            }

            /// The keys of which both say something. Runtimes and ways to the outside add up.
            pub(crate) fn keys_in_both(&self, other: &Self) -> Vec<&'static str> {
                let keys = [$(($key, self.$field.is_some() && other.$field.is_some())),*];
                let other_forms = [
                    ("default-ulimits", self.ulimits.is_some() && other.default_ulimits.is_some()),
                    ("default-address-pools", self.address_pools.is_some() && other.default_address_pools.is_some()),
                ];
                let twice = keys.into_iter().chain(other_forms);
                twice.filter(|(key, both)| *both && !ADD_UP.contains(key)).map(|(key, _)| key).collect()
            }

            /// The keys with which the two say different things.
            pub(crate) fn differences(&self, other: &Self) -> Vec<&'static str> {
                let keys = [$(($key, self.$field != other.$field)),*];
                keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
            }
        }
    };
}

file! {
    "hosts" hosts: Vec<String>,
    "data-root" data_root: PathBuf,
    "exec-root" exec_root: PathBuf,
    "pidfile" pidfile: PathBuf,
    "debug" debug: bool,
    "log-level" log_level: String,
    "group" group: String,
    "tls" tls: bool,
    "tlsverify" tlsverify: bool,
    "tlscacert" tlscacert: PathBuf,
    "tlscert" tlscert: PathBuf,
    "tlskey" tlskey: PathBuf,
    "insecure-tcp-on-loopback" insecure_tcp_on_loopback: bool,
    "firewall" firewall: String,
    "cgroup-parent" cgroup_parent: String,
    "default-runtime" default_runtime: String,
    "runtimes" runtimes: BTreeMap<String, Runtime>,
    "log-driver" log_driver: String,
    "log-opts" log_opts: BTreeMap<String, String>,
    "default-shm-size" default_shm_size: String,
    "default-ulimits" default_ulimits: BTreeMap<String, Ulimit>,
    "init" init: bool,
    "labels" labels: Vec<String>,
    "plugin-folders" plugin_folders: Vec<PathBuf>,
    /// Seconds.
    "plugin-deadline" plugin_deadline: u64,
    "registry-mirrors" registry_mirrors: Vec<String>,
    "insecure-registries" insecure_registries: Vec<String>,
    "proxies" proxies: Proxies,
    /// The file about registries and which images may be used.
    "registry-config" registry_config: PathBuf,
    /// Accepted because stock files have it: dhow always keeps containers running.
    "live-restore" live_restore: bool,
    "dns" dns: Vec<String>,
    "dns-opts" dns_opts: Vec<String>,
    "dns-search" dns_search: Vec<String>,
    "default-ipc-mode" default_ipc_mode: String,
    "no-new-privileges" no_new_privileges: bool,
    "default-cgroupns-mode" default_cgroupns_mode: String,
    "default-address-pools" default_address_pools: Vec<AddressPool>,
    /// Bytes; 0: what is usual.
    "mtu" mtu: u32,
    "icc" icc: bool,
    "ip" ip: String,
    "ip-masq" ip_masq: bool,
    /// Of the host, by its name; `none`: no default network.
    "bridge" bridge: String,
    "bip" bip: String,
    "fixed-cidr" fixed_cidr: String,
    "fixed-cidr-v6" fixed_cidr_v6: String,
    "ipv6" ipv6: bool,
    "iptables" iptables: bool,
    "ip6tables" ip6tables: bool,
    "ip-forward" ip_forward: bool,
    /// Nobody is kept from being passed on in any case.
    "ip-forward-no-drop" ip_forward_no_drop: bool,
    "userland-proxy" userland_proxy: bool,
    "firewall-backend" firewall_backend: String,
    "host-gateway-ip" host_gateway_ip: String,
    "host-gateway-ips" host_gateway_ips: Vec<String>,
    "default-network-opts" default_network_opts: BTreeMap<String, BTreeMap<String, String>>,
    "cdi-spec-dirs" cdi_spec_dirs: Vec<PathBuf>,
    "features" features: BTreeMap<String, bool>,
    /// These are known in order to be refused.
    "userns-remap" userns_remap: String,
    "seccomp-profile" seccomp_profile: String,
    "authorization-plugins" authorization_plugins: Vec<String>,
    "selinux-enabled" selinux_enabled: bool,
    "default-gateway" default_gateway: String,
    "default-gateway-v6" default_gateway_v6: String,
    "allow-direct-routing" allow_direct_routing: bool,
}

/// Keys of dockerd that are no flags of its own, and mean nothing here.
const KEYS_OF_DOCKERD: [&str; 9] = [
    "allow-nondistributable-artifacts",
    "bridge-accept-fwmark",
    "builder",
    "containerd-plugin-namespace",
    "deprecated-key-path",
    "min-api-version",
    "network-diagnostic-port",
    "swarm-raft-election-tick",
    "swarm-raft-heartbeat-tick",
];

/// Keys that a flag and the file may both have.
const ADD_UP: [&str; 2] = ["runtimes", "proxies"];

/// Where blocks for networks are cut from, as `daemon.json` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct AddressPool {
    pub(crate) base: String,
    pub(crate) size: u8,
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
    fn of_both(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        match (first, second) {
            (Some(first), Some(second)) => Some(first.or(second)),
            (first, second) => first.or(second),
        }
    }

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

impl File {
    /// Keys of a stock `daemon.json` that mean nothing here: to be named, and no mistake.
    pub(crate) fn is_of_dockerd(key: &str) -> bool {
        let is_flag = |(name, _): &(&str, bool)| key == *name || key.strip_suffix('s') == Some(name);
        KEYS_OF_DOCKERD.contains(&key) || super::flags::OF_DOCKERD.iter().any(is_flag)
    }

    /// Reads a file. A missing file is empty settings unless the person named it; unknown keys are an error, those of a stock
    /// JSON file that mean nothing here come back beside the settings, to be warned about.
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
        let others = value.keys().filter(|key| !KEYS.contains(&key.as_str())).cloned();
        let (meaningless, unknown): (Vec<_>, Vec<_>) = others.partition(|key| Self::is_of_dockerd(key));
        if !unknown.is_empty() {
            let text = "the following directives don't match any configuration option";
            return Err(Error::invalid(format!("{text}: {}", unknown.join(", "))));
        }
        let file = serde_json::from_value(value.into()).map_err(|error| Error::invalid(error.to_string()))?;
        Ok((file, meaningless))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_daemon_json_is_understood_and_strange_keys_are_named() {
        let text = r#"{"data-root": "/d", "log-opts": {"max-size": "1m"}, "runtimes": {"x": {"path": "/x"}}, "raw-logs": true}"#;
        let (file, meaningless) = File::from_json(text).expect("good");
        assert_eq!(file.data_root, Some("/d".into()));
        assert_eq!(meaningless, ["raw-logs"]);
        let error = File::from_json(r#"{"strange": 1, "debug": true, "odd": []}"#).expect_err("no keys of anybody");
        assert_eq!(error.to_string(), "the following directives don't match any configuration option: odd, strange");
        assert!(File::is_of_dockerd("exec-opts") && File::is_of_dockerd("raw-logs") && !File::is_of_dockerd("strange"));
    }

    #[test]
    fn a_mistyped_key_of_our_own_file_is_an_error() {
        let error = File::from_toml("data-rot = \"/d\"").expect_err("mistyped");
        assert!(error.to_string().contains("data-rot"), "{error}");
        assert!(File::from_toml("data-root = \"/d\"\ndebug = true").is_ok());
    }

    #[test]
    fn every_key_is_read_from_both_kinds_of_file() {
        let json = r#"{"plugin-folders": ["/p"], "plugin-deadline": 5}"#;
        let (file, unknown) = File::from_json(json).expect("good");
        assert_eq!((file.plugin_deadline, unknown.len()), (Some(5), 0));
        assert_eq!(File::from_toml("plugin-folders = [\"/p\"]\nplugin-deadline = 5").expect("good").0, file);
        assert_eq!(file.differences(&File::default()), ["plugin-folders", "plugin-deadline"]);
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
        assert_eq!(flags.keys_in_both(&file), ["debug"]);
        let both = flags.or(file);
        assert_eq!((both.debug, both.group.as_deref()), (Some(true), Some("g")));
    }
}
