//! What a container is asked to be: wire → engine, the portable half.

use dhow_api::container::{Config, CreateRequest, HealthConfig};
use dhow_engine::spec::{ContainerSpec, Healthcheck};
use dhow_errdefs::Result;

use super::{endpoint, host_spec, null_if_empty};

/// A create request as the engine sees it.
///
/// # Errors
/// Addresses that are none.
pub(crate) fn spec(request: CreateRequest) -> Result<ContainerSpec> {
    let CreateRequest { config, host_config, networking_config } = request;
    let networks = networking_config.endpoints_config.unwrap_or_default().into_iter();
    let networks = networks.map(|(name, settings)| Ok((name, endpoint::spec(settings)?)));
    Ok(ContainerSpec {
        networking: networks.collect::<Result<_>>()?,
        host: host_spec::host(host_config),
        ..portable(config)
    })
}

fn portable(config: Config) -> ContainerSpec {
    ContainerSpec {
        image: config.image,
        entrypoint: config.entrypoint.map(|words| words.0),
        // An empty list means what no list means: the image's.
        cmd: config.cmd.map(|words| words.0).filter(|words| !words.is_empty()),
        env: config.env.unwrap_or_default(),
        working_dir: config.working_dir,
        user: config.user,
        hostname: config.hostname,
        domainname: config.domainname,
        labels: config.labels.unwrap_or_default(),
        tty: config.tty,
        open_stdin: config.open_stdin,
        stdin_once: config.stdin_once,
        attach_stdin: config.attach_stdin,
        attach_stdout: config.attach_stdout,
        attach_stderr: config.attach_stderr,
        stop_signal: null_if_empty(config.stop_signal),
        stop_timeout: config.stop_timeout,
        exposed_ports: config.exposed_ports.into_keys().collect(),
        volumes: config.volumes.unwrap_or_default().into_keys().collect(),
        healthcheck: config.healthcheck.map(healthcheck),
        shell: config.shell.map(|words| words.0),
        on_build: config.on_build,
        mac_address: config.mac_address,
        network_disabled: config.network_disabled,
        ..ContainerSpec::default()
    }
}

fn healthcheck(check: HealthConfig) -> Healthcheck {
    Healthcheck {
        test: check.test,
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ContainerSpec {
        spec(CreateRequest::from_slice(text.as_bytes()).expect("good")).expect("good")
    }

    #[test]
    fn absent_and_empty_programs_differ_only_where_docker_tells_them_apart() {
        let given = read(r#"{"Image":"i","Cmd":[],"Entrypoint":[]}"#);
        assert_eq!((given.cmd, given.entrypoint), (None, Some(Vec::new())));
        let absent = read(r#"{"Image":"i","Cmd":null}"#);
        assert_eq!((absent.cmd, absent.entrypoint), (None, None));
    }

    #[test]
    fn sets_and_stop_settings_are_taken_over() {
        let spec = read(r#"{"ExposedPorts":{"80/tcp":{}},"Volumes":{"/v":{}},"StopSignal":"","StopTimeout":0}"#);
        assert!(spec.exposed_ports.contains("80/tcp") && spec.volumes.contains("/v"));
        assert_eq!((spec.stop_signal, spec.stop_timeout), (None, Some(0)));
    }

    #[test]
    fn endpoints_are_kept() {
        let spec = read(r#"{"NetworkingConfig":{"EndpointsConfig":{"n":{"Aliases":["a"]}}}}"#);
        assert_eq!(spec.networking["n"].aliases, Some(vec!["a".to_owned()]));
    }
}
