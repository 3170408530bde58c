//! What containers are: engine → wire.

use std::collections::BTreeMap;
use std::path::Path;

use dhow_api::container::{
    Config, Empty, GraphDriver, HealthConfig, HostConfig, Inspect, MountPoint, NetworkSettings, State, StrSlice,
    Summary, SummaryHostConfig, SummaryNetworks,
};
use dhow_api::network::EndpointSettings;
use dhow_engine::spec::{ContainerSpec, Healthcheck};
use dhow_engine::{Details, StateView, Status};
use jiff::Timestamp;

use super::{host_view, network, null_if_empty, status, time};

/// One line of `docker ps`.
pub(crate) fn summary(container: &dhow_engine::Summary, now: Timestamp) -> Summary {
    let spec = &container.spec;
    Summary {
        id: container.id.clone(),
        names: vec![format!("/{}", container.name)],
        image: container.image.clone(),
        image_id: container.image_id.clone(),
        command: container.command.clone(),
        created: container.created.as_second(),
        ports: Vec::new(),
        size_rw: container.size.map_or(0, |size| signed(size.rw)),
        size_root_fs: container.size.map_or(0, |size| signed(size.root_fs)),
        labels: spec.labels.clone(),
        state: container.state.status.as_str().to_owned(),
        status: status::sentence(&container.state, now),
        host_config: SummaryHostConfig {
            network_mode: spec.host.network_mode.clone(),
            annotations: spec.host.annotations.clone(),
        },
        network_settings: SummaryNetworks { networks: networks(&spec.host.network_mode) },
        mounts: container.mounts.iter().map(mount).collect(),
    }
}

/// Everything about one container.
pub(crate) fn inspect(container: &Details) -> Inspect {
    let spec = &container.spec;
    Inspect {
        id: container.id.clone(),
        created: time::text(Some(container.created)),
        path: container.path.clone(),
        args: container.args.clone(),
        state: state(&container.state),
        image: container.image_id.clone(),
        resolv_conf_path: text(&container.resolv_conf_path),
        hostname_path: text(&container.hostname_path),
        hosts_path: text(&container.hosts_path),
        log_path: container.log_path.as_deref().map(text).unwrap_or_default(),
        name: format!("/{}", container.name),
        restart_count: container.restart_count.into(),
        driver: container.storage_driver.to_owned(),
        platform: "linux".to_owned(),
        exec_ids: null_if_empty(container.exec_ids.clone()),
        host_config: host_config(container),
        graph_driver: GraphDriver { data: Some(container.storage.clone()), name: container.storage_driver.to_owned() },
        size_rw: container.size.map(|size| signed(size.rw)),
        size_root_fs: container.size.map(|size| signed(size.root_fs)),
        mounts: container.mounts.iter().map(mount).collect(),
        config: config(spec),
        network_settings: NetworkSettings { networks: networks(&spec.host.network_mode), ..NetworkSettings::default() },
        ..Inspect::default()
    }
}

/// The runtime is shown even if none was asked for.
fn host_config(container: &Details) -> HostConfig {
    let mut host = host_view::host(&container.spec.host);
    if host.runtime.is_empty() {
        host.runtime.clone_from(&container.runtime);
    }
    host
}

fn state(state: &StateView) -> State {
    State {
        status: state.status.as_str().to_owned(),
        running: state.is_running(),
        paused: state.status == Status::Paused,
        restarting: state.status == Status::Restarting,
        oom_killed: state.oom_killed,
        dead: state.status == Status::Dead,
        pid: state.pid.into(),
        exit_code: state.exit_code.into(),
        error: state.error.clone(),
        started_at: time::text(state.started_at),
        finished_at: time::text(state.finished_at),
        health: None,
    }
}

fn config(spec: &ContainerSpec) -> Config {
    let set = |names: &std::collections::BTreeSet<String>| -> BTreeMap<String, Empty> {
        names.iter().map(|name| (name.clone(), Empty {})).collect()
    };
    Config {
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        user: spec.user.clone(),
        attach_stdin: spec.attach_stdin,
        attach_stdout: spec.attach_stdout,
        attach_stderr: spec.attach_stderr,
        exposed_ports: set(&spec.exposed_ports),
        tty: spec.tty,
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        env: null_if_empty(spec.env.clone()),
        cmd: spec.cmd.clone().map(StrSlice),
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        args_escaped: false,
        image: spec.image.clone(),
        volumes: null_if_empty(set(&spec.volumes)),
        working_dir: spec.working_dir.clone(),
        entrypoint: spec.entrypoint.clone().map(StrSlice),
        network_disabled: spec.network_disabled,
        mac_address: spec.mac_address.clone(),
        on_build: spec.on_build.clone(),
        labels: Some(spec.labels.clone()),
        stop_signal: spec.stop_signal.clone().unwrap_or_default(),
        stop_timeout: spec.stop_timeout,
        shell: spec.shell.clone().map(StrSlice),
    }
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

fn mount(mount: &dhow_engine::MountPoint) -> MountPoint {
    MountPoint {
        kind: mount.kind.clone(),
        name: mount.name.clone().unwrap_or_default(),
        source: mount.source.clone(),
        destination: mount.destination.clone(),
        driver: mount.driver.clone().unwrap_or_default(),
        mode: mount.mode.clone(),
        rw: mount.rw,
        propagation: mount.propagation.clone(),
    }
}

/// The networks a container is in. Another container's network is not its own, and is not shown.
fn networks(mode: &str) -> BTreeMap<String, EndpointSettings> {
    if mode.starts_with("container:") {
        return BTreeMap::new();
    }
    let name = if matches!(mode, "" | "default") { network::DEFAULT } else { mode };
    let network_id = network::id(name).unwrap_or_default();
    BTreeMap::from([(name.to_owned(), EndpointSettings { network_id, ..EndpointSettings::default() })])
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn signed(bytes: u64) -> i64 {
    bytes.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_container_runs() {
        let wire = state(&StateView { status: Status::Paused, pid: 7, ..StateView::default() });
        assert!(wire.running && wire.paused && !wire.restarting && !wire.dead);
        assert_eq!((wire.status.as_str(), wire.finished_at.as_str()), ("paused", "0001-01-01T00:00:00Z"));
    }

    #[test]
    fn the_default_network_is_called_bridge() {
        assert!(networks("default").contains_key("bridge") && networks("none").contains_key("none"));
        assert!(networks("container:abc").is_empty());
    }

    #[test]
    fn the_portable_half_comes_back() {
        let text = br#"{"Hostname":"h","Domainname":"d","User":"u","AttachStdin":true,"AttachStdout":true,"AttachStderr":true,
            "ExposedPorts":{"80/tcp":{}},"Tty":true,"OpenStdin":true,"StdinOnce":true,"Env":["A=b"],"Cmd":["c"],
            "Healthcheck":{"Test":["CMD","x"],"Interval":1,"Timeout":2,"StartPeriod":3,"StartInterval":4,"Retries":5},
            "Image":"i","Volumes":{"/v":{}},"WorkingDir":"/w","Entrypoint":["e"],"NetworkDisabled":true,"MacAddress":"m",
            "OnBuild":["o"],"Labels":{"l":"m"},"StopSignal":"SIGINT","StopTimeout":9,"Shell":["sh"]}"#;
        let request = dhow_api::container::CreateRequest::from_slice(text).expect("good");
        let shown = config(&super::super::container_spec::spec(request));
        assert_eq!(
            serde_json::to_value(shown).expect("plain data"),
            serde_json::from_slice::<serde_json::Value>(text).expect("good")
        );
    }
}
