//! The engine and its host: engine → wire.

use std::collections::BTreeMap;

use dhow_api::system::{
    Commit, Component, DiscoveredDevice, Info, PlatformName, Plugins, RegistryConfig, Runtime, Version,
};
use dhow_api::version::Version as ApiVersion;
use dhow_engine::{Config, Kernel};
use dhow_image::RegistrySettings;
use serde_json::json;

use super::{null_if_empty, time};

/// `docker version`.
pub(crate) fn version(config: &Config, kernel: Kernel) -> Version {
    let arch = architecture(&kernel.architecture);
    let details = [
        ("ApiVersion", ApiVersion::MAX.to_string()),
        ("Arch", arch.to_owned()),
        ("BuildTime", String::new()),
        ("Experimental", "false".to_owned()),
        ("GitCommit", String::new()),
        ("GoVersion", String::new()),
        ("KernelVersion", kernel.release.clone()),
        ("MinAPIVersion", ApiVersion::MIN.to_string()),
        ("Os", "linux".to_owned()),
    ];
    let engine = Component {
        name: "Engine".to_owned(),
        version: config.version.clone(),
        details: details.map(|(name, value)| (name.to_owned(), value)).into(),
    };
    Version {
        platform: PlatformName { name: "dhow".to_owned() },
        components: vec![engine],
        version: config.version.clone(),
        api_version: ApiVersion::MAX.to_string(),
        min_api_version: ApiVersion::MIN.to_string(),
        os: "linux".to_owned(),
        arch: arch.to_owned(),
        kernel_version: kernel.release,
        ..Version::default()
    }
}

/// The version that tells of devices, and no longer whether bridges' packets pass iptables; ours never need that.
const TELLS_OF_DEVICES: u16 = 50;

/// `docker info`.
pub(crate) fn info(config: &Config, info: dhow_engine::Info, version: ApiVersion) -> Info {
    let limits = info.limits;
    let bridge_filters = (!version.at_least(TELLS_OF_DEVICES)).then_some(false);
    Info {
        id: info.id,
        containers: count(info.containers),
        containers_running: count(info.containers_running),
        containers_paused: count(info.containers_paused),
        containers_stopped: count(info.containers_stopped),
        images: count(info.images),
        driver: info.storage_driver.to_owned(),
        driver_status: info.storage_status.into_iter().map(|(name, value)| [name, value]).collect(),
        plugins: Plugins {
            volume: info.volume_drivers,
            network: info.network_drivers,
            authorization: None,
            log: info.log_drivers,
        },
        memory_limit: limits.memory,
        swap_limit: limits.swap,
        kernel_memory_tcp: limits.kernel_memory_tcp,
        cpu_cfs_period: limits.cpu_cfs,
        cpu_cfs_quota: limits.cpu_cfs,
        cpu_shares: limits.cpu_shares,
        cpu_set: limits.cpuset,
        pids_limit: limits.pids,
        ipv4_forwarding: info.ipv4_forwarding,
        bridge_nf_iptables: bridge_filters,
        bridge_nf_ip6tables: bridge_filters,
        debug: tracing::enabled!(tracing::Level::DEBUG),
        fds: count(info.fds),
        oom_kill_disable: limits.oom_kill_disable,
        goroutines: count(info.tasks),
        system_time: time::text(Some(info.system_time)),
        logging_driver: info.log_driver,
        cgroup_driver: info.cgroup_driver,
        cgroup_version: info.cgroup_version,
        event_listeners: count(info.event_listeners),
        kernel_version: info.kernel_version,
        operating_system: info.operating_system,
        os_version: info.os_version,
        os_type: "linux".to_owned(),
        architecture: info.architecture,
        index_server_address: dhow_oci::DEFAULT_SERVER.to_owned(),
        registry_config: Some(registries(&config.registries)),
        cpus: count(info.cpus),
        mem_total: info.memory.try_into().unwrap_or(i64::MAX),
        docker_root_dir: info.data_root.to_string_lossy().into_owned(),
        name: info.name,
        labels: config.labels.clone(),
        server_version: config.version.clone(),
        runtimes: runtimes(info.runtimes),
        default_runtime: info.default_runtime,
        // What runs, runs on under its shim, whatever becomes of the engine.
        live_restore_enabled: true,
        init_binary: "dhow init".to_owned(),
        containerd_commit: Commit::default(),
        security_options: info.security_options,
        cdi_spec_dirs: Some(info.device_folders.iter().map(|it| it.to_string_lossy().into_owned()).collect()),
        discovered_devices: devices(info.described_devices, version),
        warnings: null_if_empty(info.warnings),
        ..Info::default()
    }
}

fn devices(names: Vec<String>, version: ApiVersion) -> Vec<DiscoveredDevice> {
    let names = names.into_iter().filter(|_| version.at_least(TELLS_OF_DEVICES));
    names.map(|id| DiscoveredDevice { source: "cdi".to_owned(), id }).collect()
}

/// As Docker has it, addresses of mirrors end with a slash, and this host's registries are among the insecure ones.
fn registries(settings: &RegistrySettings) -> RegistryConfig {
    let mirrors: Vec<String> = settings.mirrors.iter().map(|it| format!("{}/", it.trim_end_matches('/'))).collect();
    let is_block = |entry: &&String| entry.contains('/');
    let index = |name: &str, mirrors: &[String], secure: bool| {
        let official = name == dhow_oci::DEFAULT_REGISTRY;
        (name.to_owned(), json!({"Name": name, "Mirrors": mirrors, "Secure": secure, "Official": official}))
    };
    let hosts = settings.insecure.iter().filter(|entry| !is_block(entry));
    let indexes = hosts.map(|host| index(host, &[], false));
    RegistryConfig {
        index_configs: indexes.chain([index(dhow_oci::DEFAULT_REGISTRY, &mirrors, true)]).collect(),
        insecure_registry_cidrs: ["::1/128", "127.0.0.0/8"]
            .map(str::to_owned)
            .into_iter()
            .chain(settings.insecure.iter().filter(is_block).cloned())
            .collect(),
        mirrors: Some(mirrors),
    }
}

fn runtimes(runtimes: BTreeMap<String, Option<std::path::PathBuf>>) -> BTreeMap<String, Runtime> {
    let path = |name: &str, path: Option<std::path::PathBuf>| match path {
        Some(path) => path.to_string_lossy().into_owned(),
        None => name.to_owned(),
    };
    runtimes.into_iter().map(|(name, at)| (name.clone(), Runtime { path: path(&name, at), args: Vec::new() })).collect()
}

/// Go's name for an architecture the kernel calls otherwise.
pub(crate) fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" => "386",
        "armv6l" | "armv7l" | "armv8l" => "arm",
        "loongarch64" => "loong64",
        other => other,
    }
}

fn count(number: usize) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_told_as_docker_has_it() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        let settings = RegistrySettings {
            mirrors: words(&["https://one.example", "https://two.example/"]),
            insecure: words(&["registry.example:5000", "10.0.0.0/8"]),
            ..RegistrySettings::default()
        };
        let told = registries(&settings);
        let mirrors: Vec<String> = words(&["https://one.example/", "https://two.example/"]);
        assert_eq!(told.mirrors.as_ref(), Some(&mirrors));
        assert_eq!(told.insecure_registry_cidrs, ["::1/128", "127.0.0.0/8", "10.0.0.0/8"]);
        let index = |name: &str, mirrors: &[String], secure: bool, official: bool| json!({"Name": name, "Mirrors": mirrors, "Secure": secure, "Official": official});
        let configs = [
            ("docker.io".to_owned(), index("docker.io", &mirrors, true, true)),
            ("registry.example:5000".to_owned(), index("registry.example:5000", &[], false, false)),
        ];
        assert_eq!(told.index_configs, configs.into());
        let told = registries(&RegistrySettings::default());
        assert_eq!((told.mirrors, told.index_configs.len()), (Some(Vec::new()), 1));
    }

    #[test]
    fn devices_are_told_since_they_are_known() {
        let told = |minor| devices(vec!["v.com/c=a".to_owned()], ApiVersion::new(1, minor));
        assert!(told(49).is_empty());
        assert_eq!(told(50), [DiscoveredDevice { source: "cdi".to_owned(), id: "v.com/c=a".to_owned() }]);
    }
}
