//! What containers are: engine → wire.

use std::collections::BTreeMap;
use std::path::Path;

use dhow_api::container::{
    Config, Empty, GraphDriver, Health, HealthConfig, HealthcheckResult, HostConfig, Inspect, LogLosses, MountPoint,
    State, StrSlice, Summary,
};
use dhow_api::version::Version;
use dhow_engine::spec::{ContainerSpec, Healthcheck};
use dhow_engine::{Details, StateView, Status};
use jiff::Timestamp;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::{endpoint, host_view, null_if_empty, status, time};

/// The lines of `docker ps`. There is one line in memory, filled anew for each container while they are written.
pub(crate) struct Summaries<'a> {
    pub(crate) containers: &'a [dhow_engine::Summary],
    /// Only what a plain table shows.
    pub(crate) lean: bool,
    pub(crate) version: Version,
}

/// The version that lists annotations.
const WITH_ANNOTATIONS: u16 = 46;

impl Serialize for Summaries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (now, mut line) = (Timestamp::now(), Summary::default());
        let mut list = serializer.serialize_seq(Some(self.containers.len()))?;
        for container in self.containers {
            fill_table(&mut line, container, now);
            if !self.lean {
                fill_rest(&mut line, container);
            }
            if !self.version.at_least(WITH_ANNOTATIONS) {
                line.host_config.annotations.clear();
            }
            list.serialize_element(&line)?;
        }
        list.end()
    }
}

/// One line of `docker ps`.
pub(crate) fn summary(container: &dhow_engine::Summary, now: Timestamp) -> Summary {
    let mut line = Summary::default();
    fill_table(&mut line, container, now);
    fill_rest(&mut line, container);
    line
}

/// What a plain table shows.
fn fill_table(line: &mut Summary, container: &dhow_engine::Summary, now: Timestamp) {
    (*container.id).clone_into(&mut line.id);
    line.names.resize_with(1, String::new);
    line.names[0].clear();
    line.names[0].extend(["/", container.name.as_str()]);
    line.names.extend(container.link_names.iter().map(|name| format!("/{name}")));
    (*container.image).clone_into(&mut line.image);
    (*container.image_id).clone_into(&mut line.image_id);
    line.command.clone_from(&container.command);
    line.created = container.created.as_second();
    line.size_rw = container.size.map_or(0, |size| signed(size.rw));
    line.size_root_fs = container.size.map_or(0, |size| signed(size.root_fs));
    container.state.status.as_str().clone_into(&mut line.state);
    line.status = status::sentence(&container.state, now);
    line.ports = endpoint::summary_ports(&container.spec, container.attached.as_deref());
}

fn fill_rest(line: &mut Summary, container: &dhow_engine::Summary) {
    let host = &container.spec.host;
    line.labels.clone_from(&container.spec.labels);
    line.network_settings.networks = endpoint::of_summary(container);
    line.host_config.network_mode.clone_from(&host.network_mode);
    line.host_config.annotations.clone_from(&host.annotations);
    line.mounts.clear();
    line.mounts.extend(container.mounts.iter().map(mount));
}

/// Everything about one container.
pub(crate) fn inspect(container: &Details, version: Version) -> Inspect {
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
        log_losses: LogLosses { disk: container.log_losses.disk, remote: container.log_losses.remote },
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
        config: Config { mac_address: old_address(container, version), ..config(spec) },
        network_settings: endpoint::of_details(container, version),
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
        health: state.health.as_deref().map(health),
    }
}

fn health(health: &dhow_engine::Health) -> Health {
    let moment = |nanos: i64| time::text(Timestamp::from_nanosecond(i128::from(nanos)).ok());
    let result = |result: &dhow_engine::HealthResult| HealthcheckResult {
        start: moment(result.start.0),
        end: moment(result.end.0),
        exit_code: result.exit_code.into(),
        output: result.output.clone(),
    };
    Health {
        status: health.status.as_str().to_owned(),
        failing_streak: health.failing_streak.into(),
        log: health.log.iter().map(result).collect(),
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

/// Before 1.44 a container had one hardware address, that of its main network.
fn old_address(container: &Details, version: Version) -> String {
    let asked = container.networks.get(&container.spec.host.network_mode).and_then(|joined| joined.spec.mac);
    asked.filter(|_| !version.at_least(44)).map(|mac| mac.to_string()).unwrap_or_default()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn signed(bytes: u64) -> i64 {
    bytes.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dhow_engine::spec::HostSpec;

    use super::*;

    #[test]
    fn a_paused_container_runs() {
        let wire = state(&StateView { status: Status::Paused, pid: 7, ..StateView::default() });
        assert!(wire.running && wire.paused && !wire.restarting && !wire.dead);
        assert_eq!((wire.status.as_str(), wire.finished_at.as_str()), ("paused", "0001-01-01T00:00:00Z"));
    }

    /// A line that was another container's before has nothing of it left.
    #[test]
    fn every_line_of_a_list_is_its_containers_own() {
        let container = |name: &str, mode: &str, mounts: usize| dhow_engine::Summary {
            id: name.repeat(64).into(),
            name: name.to_owned(),
            link_names: (name == "a").then(|| "b/db".to_owned()).into_iter().collect(),
            image: "busybox".into(),
            image_id: "sha256:1".into(),
            command: name.repeat(3),
            created: Timestamp::UNIX_EPOCH,
            state: StateView::default(),
            spec: Arc::new(ContainerSpec {
                labels: (0..mounts).map(|n| (format!("{name}{n}"), name.to_owned())).collect(),
                host: HostSpec { network_mode: mode.to_owned(), ..HostSpec::default() },
                networking: (!mode.contains(':')).then(|| (mode.to_owned(), Default::default())).into_iter().collect(),
                ..ContainerSpec::default()
            }),
            mounts: Arc::new(vec![dhow_engine::MountPoint::default(); mounts]),
            size: (mounts > 0).then_some(dhow_engine::Size { rw: 1, root_fs: 2 }),
            attached: None,
            networks: Arc::default(),
        };
        let containers = [
            container("a", "none", 2),
            container("b", "container:a", 0),
            container("c", "container:a", 1),
            container("d", "bridge", 0),
            container("e", "bridge", 3),
        ];
        let written = |lean| {
            serde_json::to_value(Summaries { containers: &containers, lean, version: Version::MAX })
                .expect("plain data")
        };
        let list = written(false);
        let alone = containers.each_ref().map(|container| summary(container, Timestamp::now()));
        assert_eq!(list, serde_json::to_value(alone).expect("plain data"));
        assert_eq!(list[0]["NetworkSettings"]["Networks"]["none"]["IPAddress"], "");
        assert_eq!(list[1]["NetworkSettings"]["Networks"], serde_json::json!({}));
        assert_eq!((&list[0]["Names"], &list[4]["Names"]), (&["/a", "/b/db"].into(), &["/e"].into()));
        let lean = written(true);
        assert_eq!((&lean[4]["Names"], &lean[4]["Labels"]), (&["/e"].into(), &serde_json::json!({})));
    }

    #[test]
    fn the_portable_half_comes_back() {
        let text = br#"{"Hostname":"h","Domainname":"d","User":"u","AttachStdin":true,"AttachStdout":true,"AttachStderr":true,
            "ExposedPorts":{"80/tcp":{}},"Tty":true,"OpenStdin":true,"StdinOnce":true,"Env":["A=b"],"Cmd":["c"],
            "Healthcheck":{"Test":["CMD","x"],"Interval":1,"Timeout":2,"StartPeriod":3,"StartInterval":4,"Retries":5},
            "Image":"i","Volumes":{"/v":{}},"WorkingDir":"/w","Entrypoint":["e"],"NetworkDisabled":true,"MacAddress":"m",
            "OnBuild":["o"],"Labels":{"l":"m"},"StopSignal":"SIGINT","StopTimeout":9,"Shell":["sh"]}"#;
        let request = dhow_api::container::CreateRequest::from_slice(text).expect("good");
        let shown = config(&super::super::container_spec::spec(request).expect("good"));
        assert_eq!(
            serde_json::to_value(shown).expect("plain data"),
            serde_json::from_slice::<serde_json::Value>(text).expect("good")
        );
    }
}
