//! Flags, environment, file and defaults put together: what the engine is started with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dhow_engine::spec::{LogSpec, Ulimit};
use dhow_engine::{
    BUILT_IN_RUNTIMES, Config, FirewallPolicy, NoOutlet, PluginSettings, Policy, RegistrySettings, Usual,
};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_server::TlsFiles;
use dhow_sys::exe::ProtectedExe;
use tracing::level_filters::LevelFilter;

use super::address::Address;
use super::file::File;
use super::firewall;
use super::flags::Flags;
use super::invalid;
use super::registry_file::RegistryFile;
use crate::paths::Paths;

/// The cgroup of all containers when nobody says.
const CGROUP_PARENT: &str = "/dhow";

/// Everything decided.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) addresses: Vec<Address>,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) insecure_on_loopback: bool,
    pub(crate) pidfile: PathBuf,
    pub(crate) group: Option<String>,
    pub(crate) log_level: LevelFilter,
    pub(crate) warnings: Vec<String>,
    /// Flags and file together, before defaults.
    pub(crate) written: File,
    data_root: PathBuf,
    exec_root: PathBuf,
    cgroup_parent: String,
    default_runtime: String,
    runtimes: BTreeMap<String, PathBuf>,
    log: LogSpec,
    default_shm_size: i64,
    firewall: FirewallPolicy,
    forwarding: bool,
    default_ulimits: Vec<Ulimit>,
    init: bool,
    pub(super) registries: RegistrySettings,
    pub(super) policy: Arc<Policy>,
    labels: Vec<String>,
    plugins: PluginSettings,
    usual: Usual,
    device_folders: Option<Vec<PathBuf>>,
}

impl Settings {
    /// A key is in the file or a flag, and wins over the environment's and the built-in places.
    pub(crate) fn gather(flags: Flags, paths: &Paths) -> Result<Self> {
        let named = flags.config_file.is_some();
        let path = flags.config_file.unwrap_or_else(|| paths.config_file.clone());
        let (file, meaningless) = File::read(&path, named)?;
        let twice = flags.settings.keys_in_both(&file);
        // Who starts an engine on demand says where it is to be, whatever the file says.
        if !flags.announce && !twice.is_empty() {
            let text = "the following directives are specified both as a flag and in the configuration file";
            return Err(invalid(format!("{text}: {}", twice.join(", ")))
                .with_hint(format!("leave out the flag, or the key in {}", path.display())));
        }
        let mut settings = Self::decide(flags.settings.or(file), paths, path.parent().unwrap_or(Path::new("/")))?;
        let warn =
            |key| format!("configuration file {}: {key:?} means nothing to dhow and is left out", path.display());
        settings.warnings.extend(meaningless.iter().map(warn));
        let warn = |flag| format!("--{flag} means nothing to dhow and is left out");
        settings.warnings.extend(flags.left_out.into_iter().map(warn));
        let others = settings.written.features.iter().flatten().map(|(name, _)| name).filter(|name| *name != "cdi");
        let warn = |name| format!("feature {name:?} means nothing to dhow and is left out");
        settings.warnings.extend(others.map(warn).collect::<Vec<_>>());
        if settings.written.live_restore == Some(false) {
            settings.warnings.push("live-restore cannot be turned off: containers outlive their engine".to_owned());
        }
        Ok(settings)
    }

    fn decide(file: File, paths: &Paths, folder: &Path) -> Result<Self> {
        let written = file.clone();
        let (registry_file, policy) = registry_file(&file, folder)?;
        let tls = tls(&file, folder)?;
        let usual = super::usual::usual(&file)?;
        let firewall = firewall::policy(&file)?;
        let warnings = firewall::warnings(firewall, &file);
        let device_folders = device_folders(&file);
        let registries = registries(&file, paths.certificates(folder), registry_file)?;
        let exec_root = absolute(file.exec_root.unwrap_or_else(|| paths.exec_root.clone()))?;
        let hosts = file.hosts.unwrap_or_else(|| vec![format!("unix://{}", exec_root.join("dhow.sock").display())]);
        let addresses = hosts.iter().map(|host| Address::parse(host, tls.is_some()));
        let level = if file.debug == Some(true) { "debug" } else { "info" };
        Ok(Self {
            addresses: addresses.collect::<Result<_>>()?,
            tls,
            insecure_on_loopback: file.insecure_tcp_on_loopback.unwrap_or_default(),
            pidfile: file.pidfile.unwrap_or_else(|| exec_root.join("dhow.pid")),
            group: file.group,
            log_level: log_level(file.log_level.as_deref().unwrap_or(level))?,
            warnings,
            written,
            data_root: absolute(file.data_root.unwrap_or_else(|| paths.data_root.clone()))?,
            exec_root,
            cgroup_parent: file.cgroup_parent.unwrap_or_else(|| CGROUP_PARENT.to_owned()),
            default_runtime: file.default_runtime.unwrap_or_else(|| "dhow".to_owned()),
            runtimes: runtimes(file.runtimes.unwrap_or_default()),
            log: LogSpec { driver: file.log_driver.unwrap_or_default(), options: file.log_opts.unwrap_or_default() },
            firewall,
            forwarding: file.ip_forward.unwrap_or(true),
            default_shm_size: file.default_shm_size.map_or(Ok(0), |text| bytes(&text))?,
            default_ulimits: ulimits(file.default_ulimits.unwrap_or_default(), &file.ulimits.unwrap_or_default())?,
            init: file.init.unwrap_or_default(),
            registries,
            policy: Arc::new(policy),
            labels: labels(file.labels.unwrap_or_default())?,
            plugins: plugins(file.plugin_folders, file.plugin_deadline),
            usual,
            device_folders,
        })
    }

    /// Sees to what the engine would refuse when it opens.
    pub(crate) fn check(&self) -> Result<()> {
        self.log.check()?;
        let name = self.default_runtime.as_str();
        if !BUILT_IN_RUNTIMES.contains(&name) && !self.runtimes.contains_key(name) {
            return Err(invalid(format!("specified default runtime {:?} does not exist", self.default_runtime))
                .with_hint("name it with --add-runtime NAME=PATH or under runtimes in the configuration file"));
        }
        Ok(())
    }

    /// Where the engine keeps live facts.
    pub(crate) fn exec_root(&self) -> &Path {
        &self.exec_root
    }

    /// Where the engine keeps what lasts.
    pub(crate) fn data_root(&self) -> &Path {
        &self.data_root
    }

    /// What the engine needs to know. Opens the protected binary, so it is called once.
    pub(crate) fn engine_config(self, rootless: bool) -> Result<Config> {
        let executable = ProtectedExe::open().context(|| "protect the engine's own binary from containers")?;
        Ok(Config {
            data_root: self.data_root,
            exec_root: self.exec_root,
            executable: Arc::new(executable.into()),
            runtimes: self.runtimes,
            default_runtime: self.default_runtime,
            log: self.log,
            cgroup_parent: self.cgroup_parent,
            rootless,
            firewall: self.firewall,
            forwarding: self.forwarding,
            outlet: if rootless { super::outlet::find() } else { Err(NoOutlet::default()) },
            init: self.init,
            default_ulimits: self.default_ulimits,
            default_shm_size: self.default_shm_size,
            labels: self.labels,
            plugins: self.plugins,
            registries: self.registries,
            policy: self.policy,
            usual: self.usual,
            device_folders: self.device_folders,
            embedded: BTreeMap::from([(crate::hello::NAME.to_owned(), crate::hello::image as fn() -> _)]),
            version: crate::VERSION.to_owned(),
        })
    }
}

/// The file about registries, beside the configuration file where nobody says; its rules apart.
fn registry_file(file: &File, folder: &Path) -> Result<(RegistryFile, Policy)> {
    let named = file.registry_config.is_some();
    let path = file.registry_config.clone().unwrap_or_else(|| folder.join("registries.toml"));
    let mut read = RegistryFile::read(&absolute(path)?, named)?;
    let policy = std::mem::take(&mut read.policy);
    Ok((read, policy))
}

/// What both files say about registries.
fn registries(file: &File, certificates: Vec<PathBuf>, registry_file: RegistryFile) -> Result<RegistrySettings> {
    let mirrors = file.registry_mirrors.clone().unwrap_or_default();
    let insecure = file.insecure_registries.clone().unwrap_or_default();
    let proxies = file.proxies.clone().unwrap_or_default();
    super::registries::settings(mirrors, insecure, proxies, certificates, registry_file)
}

fn runtimes(named: BTreeMap<String, super::file::Runtime>) -> BTreeMap<String, PathBuf> {
    named.into_iter().map(|(name, runtime)| (name, runtime.path)).collect()
}

/// Labels of the engine have a value, if an empty one.
fn labels(labels: Vec<String>) -> Result<Vec<String>> {
    match labels.iter().find(|label| !label.contains('=')) {
        Some(label) => Err(invalid(format!("bad attribute format: {label}")).with_hint("write it as KEY=VALUE")),
        None => Ok(labels),
    }
}

/// The folders of the Container Device Interface where nobody says; an empty name is no folder.
fn device_folders(file: &File) -> Option<Vec<PathBuf>> {
    let on = file.features.as_ref().and_then(|features| features.get("cdi")) != Some(&false);
    let usual = || ["/etc/cdi", "/var/run/cdi"].map(PathBuf::from).to_vec();
    let mut folders = file.cdi_spec_dirs.clone().unwrap_or_else(usual);
    folders.retain(|folder| !folder.as_os_str().is_empty());
    on.then_some(folders)
}

/// Docker's folders and a minute where nobody says.
fn plugins(folders: Option<Vec<PathBuf>>, seconds: Option<u64>) -> PluginSettings {
    let usual = PluginSettings::default();
    PluginSettings {
        folders: folders.unwrap_or(usual.folders),
        deadline: seconds.map_or(usual.deadline, Duration::from_secs),
    }
}

/// The files of mutual TLS; beside the configuration file where nobody says. Any word about TLS turns it on, as in dockerd.
fn tls(file: &File, folder: &Path) -> Result<Option<TlsFiles>> {
    let verify = file.tlsverify.unwrap_or_default();
    if !verify && !file.tls.unwrap_or_default() {
        return Ok(None);
    }
    if !verify {
        return Err(Error::invalid("TLS without --tlsverify lets every client in, whoever it is")
            .with_hint("give --tlsverify and the authority of your clients with --tlscacert"));
    }
    let place = |named: &Option<PathBuf>, usual: &str| named.clone().unwrap_or_else(|| folder.join(usual));
    Ok(Some(TlsFiles {
        authority: place(&file.tlscacert, "ca.pem"),
        certificate: place(&file.tlscert, "cert.pem"),
        key: place(&file.tlskey, "key.pem"),
    }))
}

/// A root by its full path: the engine and its shims have other working folders.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).context(|| format!("find {}", path.display()))
}

/// The level as the log knows it; dockerd's `fatal` is our `error`.
fn log_level(level: &str) -> Result<LevelFilter> {
    Ok(match level {
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        "error" | "fatal" => LevelFilter::ERROR,
        other => return Err(invalid(format!("invalid logging level: {other}"))),
    })
}

/// A number of bytes with an optional unit, as in `64m` (powers of 1024).
fn bytes(text: &str) -> Result<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(invalid(format!("invalid size: '{text}'"))),
    };
    let number: i64 = digits.trim().parse().map_err(|_| invalid(format!("invalid size: '{text}'")))?;
    number.checked_mul(factor).ok_or_else(|| invalid(format!("invalid size: '{text}'")))
}

fn ulimits(keys: BTreeMap<String, super::file::Ulimit>, words: &[String]) -> Result<Vec<Ulimit>> {
    let of_key = |(name, limit): (String, super::file::Ulimit)| Ulimit { name, soft: limit.soft, hard: limit.hard };
    let mut limits: Vec<Ulimit> = keys.into_iter().map(of_key).collect();
    for word in words {
        limits.push(ulimit(word).ok_or_else(|| invalid(format!("invalid ulimit argument: {word}")))?);
    }
    Ok(limits)
}

/// `name=soft[:hard]`.
fn ulimit(word: &str) -> Option<Ulimit> {
    let (name, values) = word.split_once('=')?;
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    Some(Ulimit { name: name.to_owned(), soft: soft.parse().ok()?, hard: hard.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(file: File) -> Result<Settings> {
        Settings::decide(file, &Paths::of_this_user(), Path::new("/etc/x"))
    }

    #[test]
    fn the_socket_lies_in_the_exec_root() {
        let settings = decide(File { exec_root: Some("/e".into()), ..File::default() }).expect("good");
        assert_eq!(settings.addresses, [Address::Unix("/e/dhow.sock".into())]);
        assert_eq!(settings.pidfile, PathBuf::from("/e/dhow.pid"));
    }

    #[test]
    fn tls_is_mutual_or_refused() {
        assert!(decide(File { tls: Some(true), ..File::default() }).expect_err("one-sided").hint().is_some());
        let file = File { tlsverify: Some(true), tlskey: Some("/k".into()), ..File::default() };
        let files = decide(file).expect("good").tls.expect("on");
        assert_eq!((files.authority, files.key), ("/etc/x/ca.pem".into(), "/k".into()));
        assert_eq!(decide(File::default()).expect("good").tls, None);
    }

    #[test]
    fn sizes_levels_and_ulimits_are_checked() {
        assert_eq!(bytes("64m").expect("good"), 64 << 20);
        assert!(bytes("64x").is_err() && bytes("").is_err());
        assert!(decide(File { log_level: Some("loud".to_owned()), ..File::default() }).is_err());
        let limit = ulimit("nofile=1:2").expect("good");
        assert_eq!((limit.name.as_str(), limit.soft, limit.hard), ("nofile", 1, 2));
        assert_eq!(ulimit("nofile"), None);
    }
}
