//! What a container is asked to be: wire → engine, the half that depends on the host.

use std::collections::BTreeMap;

use dhow_api::container as wire;
use dhow_engine::spec::{
    BindOptions, DeviceMapping, DeviceRate, DeviceRequest, HostSpec, ImageOptions, LogSpec, MountSpec, PortBinding,
    Resources, RestartPolicy, TmpfsOptions, Ulimit, VolumeOptions,
};

/// The half of a request that depends on the host.
pub(crate) fn host(host: wire::HostConfig) -> HostSpec {
    HostSpec {
        resources: resources(&host),
        binds: host.binds.unwrap_or_default(),
        mounts: host.mounts.into_iter().map(mount).collect(),
        tmpfs: host.tmpfs,
        volumes_from: host.volumes_from.unwrap_or_default(),
        volume_driver: host.volume_driver,
        readonly_rootfs: host.readonly_rootfs,
        shm_size: host.shm_size,
        storage_opt: host.storage_opt,
        network_mode: host.network_mode,
        pid_mode: host.pid_mode,
        ipc_mode: host.ipc_mode,
        uts_mode: host.uts_mode,
        cgroupns_mode: host.cgroupns_mode,
        userns_mode: host.userns_mode,
        cgroup: host.cgroup,
        privileged: host.privileged,
        cap_add: host.cap_add,
        cap_drop: host.cap_drop,
        security_opt: host.security_opt,
        group_add: host.group_add,
        masked_paths: host.masked_paths,
        readonly_paths: host.readonly_paths,
        sysctls: host.sysctls,
        oom_score_adj: host.oom_score_adj,
        init: host.init,
        runtime: host.runtime,
        restart_policy: restart_policy(host.restart_policy),
        auto_remove: host.auto_remove,
        log: LogSpec { driver: host.log_config.kind, options: host.log_config.config.unwrap_or_default() },
        annotations: host.annotations,
        console_size: host.console_size,
        container_id_file: host.container_id_file,
        isolation: host.isolation,
        dns: host.dns,
        dns_options: host.dns_options.unwrap_or_default(),
        dns_search: host.dns_search.unwrap_or_default(),
        extra_hosts: host.extra_hosts,
        links: host.links,
        port_bindings: ports(host.port_bindings.unwrap_or_default()),
        publish_all_ports: host.publish_all_ports,
    }
}

/// Limits and devices.
pub(crate) fn resources(host: &wire::HostConfig) -> Resources {
    Resources {
        memory: host.memory,
        memory_swap: host.memory_swap,
        memory_reservation: host.memory_reservation,
        // The stock client always sends these; -1, and for processes 0, too, stand for nothing.
        memory_swappiness: host.memory_swappiness.filter(|swappiness| *swappiness != -1),
        kernel_memory_tcp: host.kernel_memory_tcp,
        oom_kill_disable: host.oom_kill_disable,
        pids_limit: host.pids_limit.filter(|limit| *limit > 0),
        cpu_shares: host.cpu_shares,
        nano_cpus: host.nano_cpus,
        cpu_count: host.cpu_count,
        cpu_period: host.cpu_period,
        cpu_quota: host.cpu_quota,
        cpu_realtime_period: host.cpu_realtime_period,
        cpu_realtime_runtime: host.cpu_realtime_runtime,
        cpuset_cpus: host.cpuset_cpus.clone(),
        cpuset_mems: host.cpuset_mems.clone(),
        blkio_weight: host.blkio_weight,
        blkio_weight_device: weights(host.blkio_weight_device.as_deref()),
        blkio_device_read_bps: rates(host.blkio_device_read_bps.as_deref()),
        blkio_device_write_bps: rates(host.blkio_device_write_bps.as_deref()),
        blkio_device_read_iops: rates(host.blkio_device_read_iops.as_deref()),
        blkio_device_write_iops: rates(host.blkio_device_write_iops.as_deref()),
        cgroup_parent: host.cgroup_parent.clone(),
        devices: host.devices.iter().flatten().map(device).collect(),
        device_cgroup_rules: host.device_cgroup_rules.clone().unwrap_or_default(),
        device_requests: host.device_requests.iter().flatten().map(device_request).collect(),
        ulimits: host.ulimits.iter().flatten().map(ulimit).collect(),
    }
}

/// When to start again.
pub(crate) fn restart_policy(policy: wire::RestartPolicy) -> RestartPolicy {
    RestartPolicy { name: policy.name, maximum_retry_count: policy.maximum_retry_count }
}

fn weights(devices: Option<&[wire::WeightDevice]>) -> Vec<DeviceRate> {
    let weight = |device: &wire::WeightDevice| DeviceRate { path: device.path.clone(), rate: device.weight.into() };
    devices.unwrap_or_default().iter().map(weight).collect()
}

fn rates(devices: Option<&[wire::ThrottleDevice]>) -> Vec<DeviceRate> {
    let rate = |device: &wire::ThrottleDevice| DeviceRate { path: device.path.clone(), rate: device.rate };
    devices.unwrap_or_default().iter().map(rate).collect()
}

fn device(device: &wire::DeviceMapping) -> DeviceMapping {
    DeviceMapping {
        path_on_host: device.path_on_host.clone(),
        path_in_container: device.path_in_container.clone(),
        cgroup_permissions: device.cgroup_permissions.clone(),
    }
}

fn device_request(request: &wire::DeviceRequest) -> DeviceRequest {
    DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: request.device_ids.clone(),
        capabilities: request.capabilities.clone(),
        options: request.options.clone(),
    }
}

fn ulimit(limit: &wire::Ulimit) -> Ulimit {
    Ulimit { name: limit.name.clone(), soft: limit.soft, hard: limit.hard }
}

/// Ports and where they are published.
pub(crate) fn ports(map: wire::PortMap) -> BTreeMap<String, Vec<PortBinding>> {
    map.into_iter().map(port).collect()
}

fn port((port, bindings): (String, Option<Vec<wire::PortBinding>>)) -> (String, Vec<PortBinding>) {
    let binding = |binding: wire::PortBinding| PortBinding { host_ip: binding.host_ip, host_port: binding.host_port };
    (port, bindings.unwrap_or_default().into_iter().map(binding).collect())
}

fn mount(mount: wire::Mount) -> MountSpec {
    MountSpec {
        kind: mount.kind,
        source: mount.source,
        target: mount.target,
        read_only: mount.read_only,
        consistency: mount.consistency,
        bind: mount.bind_options.map(bind_options),
        volume: mount.volume_options.map(volume_options),
        tmpfs: mount.tmpfs_options.map(tmpfs_options),
        image: mount.image_options.map(image_options),
    }
}

fn bind_options(options: wire::BindOptions) -> BindOptions {
    BindOptions {
        propagation: options.propagation,
        non_recursive: options.non_recursive,
        create_mountpoint: options.create_mountpoint,
        read_only_non_recursive: options.read_only_non_recursive,
        read_only_force_recursive: options.read_only_force_recursive,
        id_map: options.id_map,
    }
}

fn volume_options(options: wire::VolumeOptions) -> VolumeOptions {
    let driver = options.driver_config.unwrap_or_default();
    VolumeOptions {
        no_copy: options.no_copy,
        labels: options.labels,
        driver: driver.name,
        driver_options: driver.options,
        subpath: options.subpath,
    }
}

fn image_options(options: serde_json::Value) -> ImageOptions {
    ImageOptions { subpath: options["Subpath"].as_str().unwrap_or_default().to_owned() }
}

fn tmpfs_options(options: wire::TmpfsOptions) -> TmpfsOptions {
    TmpfsOptions { size: options.size_bytes, mode: options.mode, options: options.options }
}
