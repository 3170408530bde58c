//! What the request leaves open is the image's, then the engine's.

use dhow_logs::Driver;
use dhow_network::model::DEFAULT;
use dhow_oci::RunConfig;

use crate::Usual;
use crate::launch::{default_masked_paths, default_readonly_paths};
use crate::spec::{ContainerSpec, Healthcheck, HostSpec, LogSpec, Ulimit};

/// The engine's own choices for what neither request nor image says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Defaults {
    pub runtime: String,
    pub log: LogSpec,
    pub shm_size: i64,
    pub ulimits: Vec<Ulimit>,
    pub init: bool,
    /// Containers get a cgroup namespace of their own (cgroup v2).
    pub private_cgroup_namespace: bool,
    pub usual: Usual,
}

/// Fills in from the image, as Docker does.
pub(crate) fn with_image(spec: &mut ContainerSpec, image: &RunConfig) {
    command(spec, image);
    let text = |own: &mut String, image: &String| {
        if own.is_empty() {
            own.clone_from(image);
        }
    };
    text(&mut spec.user, &image.user);
    text(&mut spec.working_dir, &image.working_dir);
    if spec.working_dir.starts_with('/') {
        spec.working_dir = super::mounts::clean(&spec.working_dir);
    }
    environment(&mut spec.env, image.env.as_deref().unwrap_or_default());
    for (name, value) in image.labels.iter().flatten() {
        spec.labels.entry(name.clone()).or_insert_with(|| value.clone());
    }
    spec.exposed_ports.extend(image.exposed_ports.iter().flatten().map(|(port, _)| port.clone()));
    spec.volumes.extend(image.volumes.iter().flatten().map(|(path, _)| path.clone()));
    if spec.stop_signal.as_deref().unwrap_or_default().is_empty() {
        spec.stop_signal.clone_from(&image.stop_signal);
    }
    if let Some(check) = &image.healthcheck {
        health(spec.healthcheck.get_or_insert_default(), check);
    }
}

/// A new entrypoint drops the image's arguments, new arguments keep its entrypoint.
fn command(spec: &mut ContainerSpec, image: &RunConfig) {
    let none = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if none(&spec.entrypoint) {
        if none(&spec.cmd) {
            spec.cmd.clone_from(&image.cmd);
        }
        if spec.entrypoint.is_none() {
            spec.entrypoint.clone_from(&image.entrypoint);
        }
    }
}

/// The request's variables first, then the image's that it does not mention; a name without a value stays, as in Docker,
/// and is no variable of the process.
fn environment(own: &mut Vec<String>, image: &[String]) {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mentioned: Vec<String> = own.iter().map(|variable| name(variable)).collect();
    own.extend(image.iter().filter(|variable| !mentioned.contains(&name(variable))).cloned());
}

fn health(own: &mut Healthcheck, image: &dhow_oci::Healthcheck) {
    let inherit = |own: &mut i64, image: i64| {
        if *own == 0 {
            *own = image;
        }
    };
    if own.test.is_empty() {
        own.test.clone_from(&image.test);
    }
    inherit(&mut own.interval, image.interval);
    inherit(&mut own.timeout, image.timeout);
    inherit(&mut own.start_period, image.start_period);
    inherit(&mut own.start_interval, image.start_interval);
    inherit(&mut own.retries, image.retries);
}

/// Options of the engine's log driver are for containers with that driver; those of the local copy for all.
fn log(own: &mut LogSpec, default: &LogSpec) {
    if own.driver.is_empty() {
        own.driver.clone_from(&default.driver);
    }
    let same = Driver::from_name(&own.driver) == Driver::from_name(&default.driver);
    for (name, value) in &default.options {
        if same || name.starts_with("cache-") {
            own.options.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// Fills in what Docker shows in `inspect` although nobody said it.
pub(crate) fn with_defaults(spec: &mut ContainerSpec, id: &str, defaults: &Defaults) {
    let host = &mut spec.host;
    defaults.usual.complete(host);
    modes(host, defaults);
    log(&mut host.log, &defaults.log);
    if host.shm_size == 0 {
        host.shm_size = if defaults.shm_size > 0 { defaults.shm_size } else { 64 << 20 };
    }
    let resources = &mut host.resources;
    if resources.memory > 0 && resources.memory_swap == 0 {
        resources.memory_swap = resources.memory.saturating_mul(2);
    }
    for limit in &defaults.ulimits {
        if !resources.ulimits.iter().any(|own| own.name == limit.name) {
            resources.ulimits.push(limit.clone());
        }
    }
    if host.init.is_none() && defaults.init {
        host.init = Some(true);
    }
    if host.restart_policy.name.is_empty() {
        host.restart_policy.name = "no".to_owned();
    }
    if !host.privileged {
        host.masked_paths.get_or_insert_with(default_masked_paths);
        host.readonly_paths.get_or_insert_with(default_readonly_paths);
    }
    let borrowed = spec.host.network_mode.starts_with("container:") || spec.host.uts_mode == "host";
    if spec.hostname.is_empty() && !borrowed {
        spec.hostname = id.chars().take(12).collect();
    }
}

fn modes(host: &mut HostSpec, defaults: &Defaults) {
    let fill = |mode: &mut String, default: &str| {
        if mode.is_empty() {
            default.clone_into(mode);
        }
    };
    if host.network_mode == "default" {
        host.network_mode.clear();
    }
    fill(&mut host.network_mode, DEFAULT);
    fill(&mut host.ipc_mode, "private");
    fill(&mut host.cgroupns_mode, if defaults.private_cgroup_namespace { "private" } else { "host" });
    fill(&mut host.runtime, &defaults.runtime);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(ToString::to_string).collect())
    }

    fn image() -> RunConfig {
        RunConfig {
            entrypoint: words(&["/entry"]),
            cmd: words(&["serve"]),
            env: words(&["PATH=/bin", "A=image"]),
            working_dir: "/srv".into(),
            ..RunConfig::default()
        }
    }

    fn merged(spec: ContainerSpec) -> ContainerSpec {
        let mut spec = spec;
        with_image(&mut spec, &image());
        spec
    }

    #[test]
    fn entrypoint_and_arguments_follow_dockers_table() {
        let line = |entrypoint: Option<Vec<String>>, cmd: Option<Vec<String>>| {
            let spec = merged(ContainerSpec { entrypoint, cmd, ..ContainerSpec::default() });
            crate::create::command(&spec).cloned().collect::<Vec<_>>()
        };
        assert_eq!(line(None, None), ["/entry", "serve"]);
        assert_eq!(line(None, words(&["x"])), ["/entry", "x"]);
        assert_eq!(line(words(&["/e"]), None), ["/e"]);
        assert_eq!(line(words(&["/e"]), words(&["x"])), ["/e", "x"]);
        assert_eq!(line(words(&[""]), words(&["sh"])), ["sh"]);
        assert_eq!(line(words(&[]), None), ["serve"]);
    }

    #[test]
    fn variables_of_the_request_win_and_can_take_away() {
        let spec = ContainerSpec { env: vec!["A=own".into(), "B=b".into()], ..ContainerSpec::default() };
        assert_eq!(merged(spec).env, ["A=own", "B=b", "PATH=/bin"]);
        let spec = ContainerSpec { env: vec!["A".into()], ..ContainerSpec::default() };
        assert_eq!(merged(spec).env, ["A", "PATH=/bin"]);
    }

    #[test]
    fn defaults_are_filled_in_as_docker_shows_them() {
        let mut spec = ContainerSpec::default();
        spec.host.resources.memory = 1 << 30;
        with_defaults(&mut spec, "0123456789abcdef", &Defaults { runtime: "dhow".into(), ..Defaults::default() });
        assert_eq!(spec.hostname, "0123456789ab");
        let mut of_the_host = ContainerSpec::default();
        of_the_host.host.uts_mode = "host".into();
        with_defaults(&mut of_the_host, "0123456789abcdef", &Defaults::default());
        assert_eq!(of_the_host.hostname, "");
        assert_eq!(spec.host.resources.memory_swap, 2 << 30);
        assert_eq!((spec.host.shm_size, spec.host.cgroupns_mode.as_str()), (64 << 20, "host"));
        assert!(spec.host.masked_paths.is_some());
    }
}
