//! What a container is on this host: engine → wire.
//!
//! Where a list is empty, `null` or `[]` is written as dockerd shows it for a container made by the stock client.

use dhow_api::container as wire;
use dhow_engine::spec::{DeviceRate, HostSpec, LogSpec, MountSpec, PortBinding, Resources, VolumeOptions};

use super::null_if_empty;

/// The host half of an inspection.
pub(crate) fn host(host: &HostSpec) -> wire::HostConfig {
    wire::HostConfig {
        binds: null_if_empty(host.binds.clone()),
        container_id_file: host.container_id_file.clone(),
        log_config: log_config(&host.log),
        network_mode: host.network_mode.clone(),
        port_bindings: Some(host.port_bindings.iter().map(port).collect()),
        restart_policy: wire::RestartPolicy {
            name: host.restart_policy.name.clone(),
            maximum_retry_count: host.restart_policy.maximum_retry_count,
        },
        auto_remove: host.auto_remove,
        volume_driver: host.volume_driver.clone(),
        volumes_from: null_if_empty(host.volumes_from.clone()),
        console_size: host.console_size,
        annotations: host.annotations.clone(),
        cap_add: host.cap_add.clone(),
        cap_drop: host.cap_drop.clone(),
        cgroupns_mode: host.cgroupns_mode.clone(),
        dns: host.dns.clone(),
        dns_options: Some(host.dns_options.clone()),
        dns_search: Some(host.dns_search.clone()),
        extra_hosts: host.extra_hosts.clone(),
        group_add: host.group_add.clone(),
        ipc_mode: host.ipc_mode.clone(),
        cgroup: host.cgroup.clone(),
        links: host.links.clone(),
        oom_score_adj: host.oom_score_adj,
        pid_mode: host.pid_mode.clone(),
        privileged: host.privileged,
        publish_all_ports: host.publish_all_ports,
        readonly_rootfs: host.readonly_rootfs,
        security_opt: host.security_opt.clone(),
        storage_opt: host.storage_opt.clone(),
        tmpfs: host.tmpfs.clone(),
        uts_mode: host.uts_mode.clone(),
        userns_mode: host.userns_mode.clone(),
        shm_size: host.shm_size,
        sysctls: host.sysctls.clone(),
        runtime: host.runtime.clone(),
        isolation: host.isolation.clone(),
        mounts: host.mounts.iter().map(mount).collect(),
        masked_paths: host.masked_paths.clone(),
        readonly_paths: host.readonly_paths.clone(),
        init: host.init,
        ..resources(&host.resources)
    }
}

/// The default driver goes by the name of Docker's: client libraries (docker-py's `run` for one) read logs only from
/// drivers whose names they know, and through the API the logs have the same shape.
fn log_config(log: &LogSpec) -> wire::LogConfig {
    let kind = if log.driver.is_empty() { "json-file" } else { &log.driver };
    wire::LogConfig { kind: kind.to_owned(), config: Some(log.options.clone()) }
}

fn resources(limits: &Resources) -> wire::HostConfig {
    wire::HostConfig {
        cpu_shares: limits.cpu_shares,
        memory: limits.memory,
        nano_cpus: limits.nano_cpus,
        cpu_count: limits.cpu_count,
        cgroup_parent: limits.cgroup_parent.clone(),
        blkio_weight: limits.blkio_weight,
        blkio_weight_device: Some(limits.blkio_weight_device.iter().map(weight).collect()),
        blkio_device_read_bps: Some(rates(&limits.blkio_device_read_bps)),
        blkio_device_write_bps: Some(rates(&limits.blkio_device_write_bps)),
        blkio_device_read_iops: Some(rates(&limits.blkio_device_read_iops)),
        blkio_device_write_iops: Some(rates(&limits.blkio_device_write_iops)),
        cpu_period: limits.cpu_period,
        cpu_quota: limits.cpu_quota,
        cpu_realtime_period: limits.cpu_realtime_period,
        cpu_realtime_runtime: limits.cpu_realtime_runtime,
        cpuset_cpus: limits.cpuset_cpus.clone(),
        cpuset_mems: limits.cpuset_mems.clone(),
        devices: Some(limits.devices.iter().map(device).collect()),
        device_cgroup_rules: null_if_empty(limits.device_cgroup_rules.clone()),
        device_requests: null_if_empty(limits.device_requests.iter().map(device_request).collect()),
        kernel_memory_tcp: limits.kernel_memory_tcp,
        memory_reservation: limits.memory_reservation,
        memory_swap: limits.memory_swap,
        memory_swappiness: limits.memory_swappiness,
        oom_kill_disable: limits.oom_kill_disable,
        pids_limit: limits.pids_limit,
        ulimits: Some(limits.ulimits.iter().map(ulimit).collect()),
        ..wire::HostConfig::default()
    }
}

fn weight(device: &DeviceRate) -> wire::WeightDevice {
    wire::WeightDevice { path: device.path.clone(), weight: device.rate.try_into().unwrap_or(u16::MAX) }
}

fn rates(devices: &[DeviceRate]) -> Vec<wire::ThrottleDevice> {
    devices.iter().map(|device| wire::ThrottleDevice { path: device.path.clone(), rate: device.rate }).collect()
}

fn device_request(request: &dhow_engine::spec::DeviceRequest) -> wire::DeviceRequest {
    wire::DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: request.device_ids.clone(),
        capabilities: request.capabilities.clone(),
        options: request.options.clone(),
    }
}

fn device(device: &dhow_engine::spec::DeviceMapping) -> wire::DeviceMapping {
    wire::DeviceMapping {
        path_on_host: device.path_on_host.clone(),
        path_in_container: device.path_in_container.clone(),
        cgroup_permissions: device.cgroup_permissions.clone(),
    }
}

fn ulimit(limit: &dhow_engine::spec::Ulimit) -> wire::Ulimit {
    wire::Ulimit { name: limit.name.clone(), hard: limit.hard, soft: limit.soft }
}

fn port((port, bindings): (&String, &Vec<PortBinding>)) -> (String, Option<Vec<wire::PortBinding>>) {
    let binding = |binding: &PortBinding| wire::PortBinding {
        host_ip: binding.host_ip.clone(),
        host_port: binding.host_port.clone(),
    };
    (port.clone(), Some(bindings.iter().map(binding).collect()))
}

fn mount(mount: &MountSpec) -> wire::Mount {
    wire::Mount {
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        consistency: mount.consistency.clone(),
        bind_options: mount.bind.as_ref().map(|options| wire::BindOptions {
            propagation: options.propagation.clone(),
            non_recursive: options.non_recursive,
            create_mountpoint: options.create_mountpoint,
            read_only_non_recursive: options.read_only_non_recursive,
            read_only_force_recursive: options.read_only_force_recursive,
            id_map: options.id_map,
        }),
        volume_options: mount.volume.as_ref().map(volume_options),
        tmpfs_options: mount.tmpfs.as_ref().map(|options| wire::TmpfsOptions {
            size_bytes: options.size,
            mode: options.mode,
            options: options.options.clone(),
        }),
        image_options: mount.image.as_ref().map(|options| serde_json::json!({"Subpath": options.subpath})),
        ..wire::Mount::default()
    }
}

fn volume_options(options: &VolumeOptions) -> wire::VolumeOptions {
    let driver = wire::DriverConfig { name: options.driver.clone(), options: options.driver_options.clone() };
    wire::VolumeOptions {
        no_copy: options.no_copy,
        labels: options.labels.clone(),
        subpath: options.subpath.clone(),
        driver_config: null_if_empty(driver),
    }
}

#[cfg(test)]
mod tests {
    use super::super::host_spec;
    use super::*;

    /// Every field has a value of its own, so that one that is forgotten or swapped is seen.
    const EVERYTHING: &str = r#"{"Binds":["/a:/b"],"ContainerIDFile":"f","LogConfig":{"Type":"local","Config":{"max-size":"1m"}},
        "NetworkMode":"none","PortBindings":{"80/tcp":[{"HostIp":"::","HostPort":"8080"}]},
        "RestartPolicy":{"Name":"on-failure","MaximumRetryCount":3},"AutoRemove":true,"VolumeDriver":"local",
        "VolumesFrom":["c"],"ConsoleSize":[24,80],"Annotations":{"a":"b"},"CapAdd":["A"],"CapDrop":["B"],
        "CgroupnsMode":"private","Dns":["1.1.1.1"],"DnsOptions":["o"],"DnsSearch":["s"],"ExtraHosts":["h:1"],
        "GroupAdd":["g"],"IpcMode":"host","Cgroup":"x","Links":["l"],"OomScoreAdj":7,"PidMode":"host","Privileged":true,
        "PublishAllPorts":true,"ReadonlyRootfs":true,"SecurityOpt":["no-new-privileges"],"StorageOpt":{"size":"1"},
        "Tmpfs":{"/t":"rw"},"UTSMode":"host","UsernsMode":"host","ShmSize":5,"Sysctls":{"net.a":"1"},"Runtime":"runc",
        "Isolation":"default","CpuShares":1,"Memory":2,"NanoCpus":3,"CgroupParent":"/p","BlkioWeight":10,
        "BlkioWeightDevice":[{"Path":"/d","Weight":11}],"BlkioDeviceReadBps":[{"Path":"/d","Rate":12}],
        "BlkioDeviceWriteBps":[{"Path":"/d","Rate":13}],"BlkioDeviceReadIOps":[{"Path":"/d","Rate":14}],
        "BlkioDeviceWriteIOps":[{"Path":"/d","Rate":15}],"CpuPeriod":16,"CpuQuota":17,"CpuRealtimePeriod":18,
        "CpuRealtimeRuntime":19,"CpusetCpus":"0","CpusetMems":"1",
        "Devices":[{"PathOnHost":"/h","PathInContainer":"/c","CgroupPermissions":"r"}],"DeviceCgroupRules":["c 1:3 r"],
        "DeviceRequests":[{"Driver":"d","Count":-1,"DeviceIDs":["i"],"Capabilities":[["gpu"]],"Options":{"o":"p"}}],"KernelMemoryTCP":20,"MemoryReservation":21,"MemorySwap":22,
        "MemorySwappiness":23,"OomKillDisable":true,"PidsLimit":24,"Ulimits":[{"Name":"core","Hard":2,"Soft":1}],
        "CpuCount":25,"CpuPercent":0,"IOMaximumIOps":0,"IOMaximumBandwidth":0,
        "Mounts":[{"Type":"bind","Source":"/s","Target":"/t","ReadOnly":true,"Consistency":"cached",
            "BindOptions":{"Propagation":"rslave","NonRecursive":true,"CreateMountpoint":true,"ReadOnlyNonRecursive":true,
            "ReadOnlyForceRecursive":true}},
          {"Type":"volume","Source":"v","Target":"/v","VolumeOptions":{"NoCopy":true,"Labels":{"l":"m"},"Subpath":"s",
            "DriverConfig":{"Name":"local","Options":{"o":"p"}}}},
          {"Type":"tmpfs","Target":"/m","TmpfsOptions":{"SizeBytes":1,"Mode":511,"Options":[["noexec"]]}}],
        "MaskedPaths":["/m"],"ReadonlyPaths":["/r"],"Init":true}"#;

    #[test]
    fn what_is_asked_for_is_shown_again() {
        let request: wire::HostConfig = dhow_api::json::from_slice(EVERYTHING.as_bytes()).expect("good");
        let shown = serde_json::to_value(host(&host_spec::host(request))).expect("plain data");
        let asked: serde_json::Value = serde_json::from_str(EVERYTHING).expect("good");
        let (shown, asked) = (shown.as_object().expect("object"), asked.as_object().expect("object"));
        for (name, value) in asked {
            assert_eq!(shown.get(name), Some(value), "{name}");
        }
        let extra: Vec<_> = shown.keys().filter(|name| !asked.contains_key(*name)).collect();
        assert!(extra.is_empty(), "not in the sample: {extra:?}");
    }

    #[test]
    fn nothing_is_shown_as_dockerd_shows_it() {
        let shown = serde_json::to_value(host(&HostSpec::default())).expect("plain data");
        for null in
            ["Binds", "VolumesFrom", "CapAdd", "Dns", "GroupAdd", "DeviceCgroupRules", "PidsLimit", "MemorySwappiness"]
        {
            assert!(shown[null].is_null(), "{null}");
        }
        for empty in ["DnsOptions", "DnsSearch", "Devices", "BlkioWeightDevice", "Ulimits"] {
            assert_eq!(shown[empty].to_string(), "[]", "{empty}");
        }
        assert_eq!(shown["PortBindings"].to_string(), "{}");
    }
}
