//! The request to create a container.

use std::collections::BTreeMap;

use dhow_api::container::{
    Config, CreateRequest, DeviceMapping, DeviceRequest, Empty, HostConfig, LogConfig, StrSlice,
};
use dhow_errdefs::Result;

use super::port::Ports;
use super::volume::{self, Volume};
use super::{device, endpoint, environment, health, label, limits, mount, namespace, restart, security, wrong};
use crate::flags::Parsed;

/// A container that was asked for.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) platform: String,
    pub(crate) request: CreateRequest,
}

/// Builds the request from the flags, the image and the command. Nothing is sent and nothing but files is read.
pub(crate) fn wanted(flags: &Parsed) -> Result<Wanted> {
    namespace::check(flags)?;
    let mut ports = Ports::default();
    flags.list("publish").try_for_each(|text| ports.publish(text))?;
    flags.list("expose").try_for_each(|text| ports.expose(text))?;
    let volumes = volumes(flags)?;
    let (network_mode, networking_config) = endpoint::networks(flags)?;
    let config = config(flags, &ports, volumes.anonymous)?;
    let host = HostConfig { network_mode, port_bindings: Some(ports.bindings), binds: volumes.binds, ..host(flags)? };
    let host_config = resources(flags, host)?;
    if host_config.auto_remove && !matches!(host_config.restart_policy.name.as_str(), "" | "no") {
        return Err(wrong("conflicting options: cannot specify both --restart and --rm"));
    }
    Ok(Wanted {
        name: flags.text("name").to_owned(),
        platform: flags.text("platform").to_owned(),
        request: CreateRequest { config, host_config, networking_config },
    })
}

#[derive(Default)]
struct Volumes {
    anonymous: BTreeMap<String, Empty>,
    binds: Option<Vec<String>>,
}

fn volumes(flags: &Parsed) -> Result<Volumes> {
    let mut volumes = Volumes::default();
    for text in flags.list("volume") {
        match volume::parse(text)? {
            Volume::Anonymous(target) => drop(volumes.anonymous.insert(target, Empty {})),
            Volume::Bind(bind) => {
                let binds = volumes.binds.get_or_insert_default();
                if !binds.contains(&bind) {
                    binds.push(bind);
                }
            }
        }
    }
    Ok(volumes)
}

fn given(words: Vec<String>) -> Option<Vec<String>> {
    (!words.is_empty()).then_some(words)
}

fn config(flags: &Parsed, ports: &Ports, volumes: BTreeMap<String, Empty>) -> Result<Config> {
    let attach: Vec<String> = flags.list("attach").map(str::to_lowercase).collect();
    let streams = |name: &str| attach.is_empty() || attach.iter().any(|stream| stream == name);
    let open_stdin = flags.on("interactive");
    let attach_stdin = open_stdin || attach.iter().any(|stream| stream == "stdin");
    let entrypoint = flags.has("entrypoint").then(|| StrSlice(vec![flags.text("entrypoint").to_owned()]));
    let command = flags.args[1..].to_vec();
    Ok(Config {
        hostname: flags.text("hostname").to_owned(),
        domainname: flags.text("domainname").to_owned(),
        user: flags.text("user").to_owned(),
        attach_stdin,
        attach_stdout: streams("stdout"),
        attach_stderr: streams("stderr"),
        exposed_ports: ports.exposed.clone(),
        tty: flags.on("tty"),
        open_stdin,
        stdin_once: open_stdin && attach_stdin,
        env: Some(environment::variables(flags)?),
        cmd: given(command).map(StrSlice),
        healthcheck: health::health(flags)?,
        image: flags.args[0].clone(),
        volumes: Some(volumes),
        working_dir: flags.text("workdir").to_owned(),
        entrypoint,
        labels: Some(label::labels(flags)?),
        stop_signal: flags.text("stop-signal").to_owned(),
        stop_timeout: flags.has("stop-timeout").then(|| flags.number("stop-timeout")),
        ..Config::default()
    })
}

fn host(flags: &Parsed) -> Result<HostConfig> {
    let security = security::parse(flags.list("security-opt"))?;
    let log_options: BTreeMap<String, String> = flags.list("log-opt").map(label::pair).collect();
    if flags.text("log-driver") == "none" && !log_options.is_empty() {
        return Err(wrong("invalid logging opts for driver none"));
    }
    let tmpfs = |text: &str| {
        let (path, options) = text.split_once(':').unwrap_or((text, ""));
        (path.to_owned(), options.to_owned())
    };
    if flags.list("storage-opt").any(|text| !text.contains('=')) {
        return Err(wrong("invalid storage option"));
    }
    let mounts: Result<Vec<_>, String> = flags.list("mount").map(mount::parse).collect();
    let extra_hosts = flags.list("add-host").map(|text| text.replacen('=', ":", 1)).collect();
    Ok(HostConfig {
        container_id_file: flags.text("cidfile").to_owned(),
        log_config: LogConfig { kind: flags.text("log-driver").to_owned(), config: Some(log_options) },
        restart_policy: restart::parse(flags.text("restart"))?,
        auto_remove: flags.on("rm"),
        volume_driver: flags.text("volume-driver").to_owned(),
        volumes_from: given(flags.strings("volumes-from")),
        annotations: flags.list("annotation").map(label::pair).collect(),
        cap_add: given(security::capabilities(flags.list("cap-add"))),
        cap_drop: given(security::capabilities(flags.list("cap-drop"))),
        cgroupns_mode: flags.text("cgroupns").to_owned(),
        dns: Some(flags.strings("dns")),
        dns_options: Some(flags.mixed(&["dns-option", "dns-opt"]).map(|(_, text)| text.to_owned()).collect()),
        dns_search: Some(flags.strings("dns-search")),
        extra_hosts: given(extra_hosts),
        group_add: given(flags.strings("group-add")),
        ipc_mode: flags.text("ipc").to_owned(),
        links: given(flags.strings("link")),
        oom_score_adj: flags.number("oom-score-adj"),
        pid_mode: flags.text("pid").to_owned(),
        privileged: flags.on("privileged"),
        publish_all_ports: flags.on("publish-all"),
        readonly_rootfs: flags.on("read-only"),
        security_opt: given(security.options),
        masked_paths: security.bare_system_paths.then(Vec::new),
        readonly_paths: security.bare_system_paths.then(Vec::new),
        storage_opt: flags.list("storage-opt").map(label::pair).collect(),
        tmpfs: flags.list("tmpfs").map(tmpfs).collect(),
        uts_mode: flags.text("uts").to_owned(),
        userns_mode: flags.text("userns").to_owned(),
        shm_size: limits::bytes(flags.text("shm-size")),
        sysctls: flags.list("sysctl").map(label::pair).collect(),
        runtime: flags.text("runtime").to_owned(),
        isolation: flags.text("isolation").to_owned(),
        mounts: mounts.map_err(wrong)?,
        init: flags.has("init").then(|| flags.on("init")),
        ..HostConfig::default()
    })
}

/// The limits, which Go embeds into the host configuration.
fn resources(flags: &Parsed, host: HostConfig) -> Result<HostConfig> {
    let swappiness = flags.number("memory-swappiness");
    if !(-1..=100).contains(&swappiness) {
        return Err(wrong(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100")));
    }
    let (devices, mut requests) = devices(flags)?;
    if let Some(gpus) = flags.some("gpus") {
        requests.push(device::gpus(gpus).map_err(wrong)?);
    }
    let rates = |name: &str| flags.list(name).map(limits::rate).collect::<Result<Vec<_>, _>>().map_err(wrong);
    let iops = |name: &str| flags.list(name).map(limits::iops).collect::<Result<Vec<_>, _>>().map_err(wrong);
    let weights = flags.list("blkio-weight-device").map(limits::weight).collect::<Result<Vec<_>, _>>();
    let ulimits = flags.list("ulimit").map(limits::ulimit).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    Ok(HostConfig {
        cpu_shares: flags.number("cpu-shares"),
        memory: limits::bytes(flags.text("memory")),
        nano_cpus: flags.some("cpus").map_or(Ok(0), limits::cpus).map_err(wrong)?,
        cgroup_parent: flags.text("cgroup-parent").to_owned(),
        blkio_weight: u16::try_from(flags.number("blkio-weight")).unwrap_or(0),
        blkio_weight_device: Some(weights.map_err(wrong)?),
        blkio_device_read_bps: Some(rates("device-read-bps")?),
        blkio_device_write_bps: Some(rates("device-write-bps")?),
        blkio_device_read_iops: Some(iops("device-read-iops")?),
        blkio_device_write_iops: Some(iops("device-write-iops")?),
        cpu_period: flags.number("cpu-period"),
        cpu_quota: flags.number("cpu-quota"),
        cpu_realtime_period: flags.number("cpu-rt-period"),
        cpu_realtime_runtime: flags.number("cpu-rt-runtime"),
        cpuset_cpus: flags.text("cpuset-cpus").to_owned(),
        cpuset_mems: flags.text("cpuset-mems").to_owned(),
        devices: Some(devices),
        device_cgroup_rules: given(flags.strings("device-cgroup-rule")),
        device_requests: (!requests.is_empty()).then_some(requests),
        kernel_memory: limits::bytes(flags.text("kernel-memory")),
        memory_reservation: limits::bytes(flags.text("memory-reservation")),
        memory_swap: limits::bytes(flags.text("memory-swap")),
        memory_swappiness: Some(swappiness),
        oom_kill_disable: Some(flags.on("oom-kill-disable")),
        pids_limit: Some(flags.number("pids-limit")),
        ulimits: Some(ulimits),
        ..host
    })
}

type Devices = (Vec<DeviceMapping>, Vec<DeviceRequest>);

fn devices(flags: &Parsed) -> Result<Devices> {
    let (mut mappings, mut described) = (Vec::new(), Vec::new());
    for text in flags.list("device") {
        match device::parse(text)? {
            device::Device::Host(mapping) => mappings.push(mapping),
            device::Device::Described(name) => described.push(name),
        }
    }
    let request =
        |names| DeviceRequest { driver: "cdi".to_owned(), device_ids: Some(names), ..DeviceRequest::default() };
    let requests = (!described.is_empty()).then(|| request(described));
    Ok((mappings, requests.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Tables, parse};
    use crate::options::CONTAINER;

    const FLAGS: Tables = &[CONTAINER];

    fn request(line: &str) -> Result<CreateRequest> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let flags = parse(FLAGS, false, &words).unwrap_or_else(|_| panic!("{line} parses"));
        wanted(&flags).map(|wanted| wanted.request)
    }

    #[test]
    fn a_plain_request_is_what_docker_sends() {
        let text =
            serde_json::to_value(request("--rm -e A=1 -v /tmp:/x -p 127.0.0.1:8080:80 busybox true").unwrap()).unwrap();
        for (pointer, expected) in [
            ("/AttachStdin", "false"),
            ("/AttachStdout", "true"),
            ("/Env", "[\"A=1\"]"),
            ("/Cmd", "[\"true\"]"),
            ("/Image", "\"busybox\""),
            ("/Volumes", "{}"),
            ("/Entrypoint", "null"),
            ("/Labels", "{}"),
            ("/ExposedPorts", "{\"80/tcp\":{}}"),
            ("/HostConfig/Binds", "[\"/tmp:/x\"]"),
            ("/HostConfig/NetworkMode", "\"default\""),
            ("/HostConfig/AutoRemove", "true"),
            ("/HostConfig/MemorySwappiness", "-1"),
            ("/HostConfig/OomKillDisable", "false"),
            ("/HostConfig/PidsLimit", "0"),
            ("/HostConfig/RestartPolicy/Name", "\"no\""),
            ("/HostConfig/PortBindings", "{\"80/tcp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"8080\"}]}"),
            ("/HostConfig/CapAdd", "null"),
            ("/HostConfig/Dns", "[]"),
        ] {
            assert_eq!(text.pointer(pointer).map(ToString::to_string).as_deref(), Some(expected), "{pointer}");
        }
    }

    #[test]
    fn streams_follow_attach_and_interactive() {
        let config = request("-i -a stdout x").unwrap().config;
        assert!(config.attach_stdin && config.attach_stdout && !config.attach_stderr && config.stdin_once);
        let config = request("x").unwrap().config;
        assert!(!config.attach_stdin && config.attach_stderr && !config.open_stdin);
    }

    #[test]
    fn limits_arrive_in_the_engines_units() {
        let host = request("-m 64m --memory-swap -1 --cpus 1.5 --ulimit nofile=1:2 --shm-size 1m --pids-limit 9 x")
            .unwrap()
            .host_config;
        assert_eq!((host.memory, host.memory_swap, host.nano_cpus), (64 << 20, -1, 1_500_000_000));
        assert_eq!((host.shm_size, host.pids_limit), (1 << 20, Some(9)));
        assert_eq!(host.ulimits.unwrap()[0].hard, 2);
    }

    #[test]
    fn an_empty_entry_point_resets_the_images() {
        assert_eq!(request("--entrypoint= x").unwrap().config.entrypoint, Some(StrSlice(vec![String::new()])));
    }

    #[test]
    fn contradictions_are_refused() {
        for (line, error) in [
            ("--rm --restart always x", "conflicting options: cannot specify both --restart and --rm"),
            ("--pid x x", "--pid: invalid PID mode"),
            ("--memory-swappiness 200 x", "invalid value: 200. Valid memory swappiness range is 0-100"),
            ("--no-healthcheck --health-cmd y x", "--no-healthcheck conflicts with --health-* options"),
            ("--log-driver none --log-opt a=b x", "invalid logging opts for driver none"),
        ] {
            assert_eq!(request(line).unwrap_err().to_string(), error);
        }
    }
}
