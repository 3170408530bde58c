//! Refusing bad requests before anything is made, in Docker's words.

use dhow_errdefs::{Error, Result};
use dhow_network::model::{DEFAULT, ExtraHost};
use dhow_runtime::SecurityModules;

use crate::Limits;
use crate::health::{Check, unknown_kind};
use crate::launch::SecurityOptions;
use crate::spec::{ContainerSpec, HostSpec, RestartPolicy};

mod limits;

pub(crate) use limits::{check as check_limits, highest};

/// What validation has to know about the host and the engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// CPUs this host has online.
    pub cpus: usize,
    /// Its last node of memory.
    pub last_node: usize,
    /// What its cgroups offer.
    pub limits: Limits,
    /// Its security modules.
    pub modules: SecurityModules,
    /// Runtimes that may be named.
    pub runtimes: Vec<String>,
    /// Why containers can be in no networks of bridges.
    pub no_bridges: Option<String>,
    /// There is a network for containers that name none.
    pub default_network: bool,
}

/// Checks a spec that is merged with its image. Returns warnings; takes limits out that the host lacks.
pub(crate) fn validate(spec: &mut ContainerSpec, facts: &Facts) -> Result<Vec<String>> {
    process(spec)?;
    modes(spec)?;
    policies(&spec.host)?;
    lines(spec)?;
    lengths(spec)?;
    check_health(spec)?;
    crate::launch::capabilities(&spec.host, &[])?;
    let security = SecurityOptions::parse(spec.host.security_opt.as_deref().unwrap_or_default())?;
    let unconfined = security.missing(facts.modules)?;
    if !spec.host.runtime.is_empty() && !facts.runtimes.contains(&spec.host.runtime) {
        return Err(Error::invalid(format!("unknown or invalid runtime name: {}", spec.host.runtime)));
    }
    let mut warnings = limits::check(&mut spec.host, facts)?;
    warnings.extend(unconfined);
    if let Some(kind) = spec.healthcheck.as_ref().and_then(unknown_kind) {
        warnings.push(format!("Unknown probe type '{kind}' (expected 'CMD' or 'NONE') in healthcheck: there is none"));
    }
    warnings.extend(discarded_ports(spec, facts));
    Ok(warnings)
}

/// Says of ports that they are published nowhere.
fn discarded_ports(spec: &ContainerSpec, facts: &Facts) -> Option<String> {
    let host = &spec.host;
    let bound = !host.port_bindings.is_empty();
    if host.network_mode == "host" {
        return bound.then(|| "Published ports are discarded when using host network mode".to_owned());
    }
    let without = match &facts.no_bridges {
        Some(why) => format!("an engine without root has no bridges here: {why}"),
        None if !facts.default_network && spec.networking.keys().eq([DEFAULT]) => {
            "the engine runs without a default network".to_owned()
        }
        None => return None,
    };
    (bound || host.publish_all_ports).then(|| format!("Published ports are discarded: {without}"))
}

/// A name somebody chose, without its slash.
pub(crate) fn container_name(name: &str) -> Result<&str> {
    let bare = name.strip_prefix('/').unwrap_or(name);
    if is_restricted_name(bare) {
        return Ok(bare);
    }
    Err(Error::invalid(format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")))
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`: what containers and volumes may be called.
pub(crate) fn is_restricted_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    name.len() >= 2 && name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(inner)
}

fn process(spec: &ContainerSpec) -> Result<()> {
    if command(spec).next().is_none() {
        return Err(Error::invalid(NO_COMMAND));
    }
    // A string of the kernel's ends there.
    let zero = |text: &&String| text.contains('\0');
    let texts = command(spec).chain(&spec.env).chain([&spec.working_dir, &spec.user, &spec.hostname]);
    if let Some(text) = texts.into_iter().find(zero) {
        return Err(Error::invalid(format!("{text:?} has a zero byte")));
    }
    if spec.host.annotations.contains_key("") {
        return Err(Error::invalid("invalid Annotations: the empty string is not permitted as an annotation key"));
    }
    if !spec.working_dir.is_empty() && !spec.working_dir.starts_with('/') {
        let text = format!("the working directory '{}' is invalid, it needs to be an absolute path", spec.working_dir);
        return Err(Error::invalid(text));
    }
    for variable in &spec.env {
        if variable.is_empty() || variable.starts_with('=') {
            return Err(Error::invalid(format!("invalid environment variable: {variable}")));
        }
    }
    if let Some(signal) = spec.stop_signal.as_deref().filter(|signal| !signal.is_empty()) {
        crate::signal::parse(signal)?;
    }
    Ok(())
}

/// Docker's words for a container that has nothing to do.
pub(crate) const NO_COMMAND: &str = "no command specified";

/// Program and arguments, in order.
pub(crate) fn command(spec: &ContainerSpec) -> impl Iterator<Item = &String> {
    let entrypoint = spec.entrypoint.iter().flatten();
    // `--entrypoint ""` takes the image's away.
    let emptied = spec.entrypoint.as_ref().is_some_and(|words| words.len() == 1 && words[0].is_empty());
    entrypoint.filter(move |_| !emptied).chain(spec.cmd.iter().flatten())
}

fn modes(spec: &ContainerSpec) -> Result<()> {
    let host = &spec.host;
    let container = |mode: &str| mode.strip_prefix("container:").is_some_and(|id| !id.is_empty());
    let refuse = |what: &str, mode: &str| Err(Error::invalid(format!("invalid {what} mode: {mode}")));
    if !matches!(host.pid_mode.as_str(), "" | "host" | "private") && !container(&host.pid_mode) {
        return refuse("PID", &host.pid_mode);
    }
    if !matches!(host.ipc_mode.as_str(), "" | "host" | "private" | "shareable" | "none") && !container(&host.ipc_mode) {
        return refuse("IPC", &host.ipc_mode);
    }
    if !matches!(host.uts_mode.as_str(), "" | "host") {
        return refuse("UTS", &host.uts_mode);
    }
    if !matches!(host.cgroupns_mode.as_str(), "" | "host" | "private") {
        return refuse("cgroup namespace", &host.cgroupns_mode);
    }
    if !matches!(host.userns_mode.as_str(), "" | "host") {
        return refuse("user namespace", &host.userns_mode);
    }
    if !matches!(host.isolation.as_str(), "" | "default") {
        let text = format!("invalid isolation '{}' on linux", host.isolation);
        return Err(Error::invalid(text));
    }
    network(spec)
}

/// Refuses what cannot go with the network that was asked for, before anybody else is looked up. What an image exposes, and
/// what is usual in this engine, is no wish of the person's.
///
/// # Errors
/// `InvalidArgument` in Docker's words, in Docker's order.
pub(crate) fn check_network(spec: &ContainerSpec) -> Result<()> {
    container_network(spec)?;
    if spec.host.uts_mode == "host" && !spec.hostname.is_empty() {
        return Err(conflicting("hostname and the UTS mode"));
    }
    if spec.host.network_mode == "host" && has_links(&spec.host) {
        let text = "host type networking can't be used with links. This would result in undefined behavior";
        return Err(conflicting(text));
    }
    Ok(())
}

fn conflicting(text: &str) -> Error {
    Error::invalid(format!("conflicting options: {text}"))
}

fn has_links(host: &HostSpec) -> bool {
    host.links.as_ref().is_some_and(|links| !links.is_empty())
}

/// Refuses what cannot go with the network of another container.
fn container_network(spec: &ContainerSpec) -> Result<()> {
    let host = &spec.host;
    let refuse = |text: &str| Err(conflicting(text));
    if matches!(host.network_mode.as_str(), "container" | "container:") {
        return Err(Error::invalid("invalid network mode: invalid container format container:<name|id>"));
    }
    if !host.network_mode.starts_with("container:") {
        return Ok(());
    }
    if !spec.hostname.is_empty() {
        return refuse("hostname and the network mode");
    }
    if has_links(host) {
        return refuse("container type network can't be used with links. This would result in undefined behavior");
    }
    if !host.name_servers().is_empty() {
        return refuse("dns and the network mode");
    }
    if host.extra_hosts.as_ref().is_some_and(|hosts| !hosts.is_empty()) {
        return refuse("custom host-to-IP mapping and the network mode");
    }
    if !host.port_bindings.is_empty() || host.publish_all_ports {
        return refuse("port publishing and the container type network mode");
    }
    if !spec.exposed_ports.is_empty() {
        return refuse("port exposing and the container type network mode");
    }
    Ok(())
}

fn network(spec: &ContainerSpec) -> Result<()> {
    crate::networks::ports(spec)?;
    spec.host.extra_hosts.iter().flatten().try_for_each(|line| line.parse::<ExtraHost>().map(drop))
}

/// What becomes a part of a line in the container's `/etc` must not become a line of its own.
fn lines(spec: &ContainerSpec) -> Result<()> {
    let host = &spec.host;
    let extra = host.extra_hosts.as_deref().unwrap_or_default();
    let parts: [(&str, &[String]); 6] = [
        ("host name", std::slice::from_ref(&spec.hostname)),
        ("domain name", std::slice::from_ref(&spec.domainname)),
        ("extra host", extra),
        ("DNS server", host.name_servers()),
        ("DNS search domain", &host.dns_search),
        ("DNS option", &host.dns_options),
    ];
    for (what, texts) in parts {
        if let Some(text) = texts.iter().find(|text| text.contains(char::is_control)) {
            return Err(Error::invalid(format!("invalid {what}: {text:?}")));
        }
    }
    Ok(())
}

/// What the kernel would refuse when the container is started.
fn lengths(spec: &ContainerSpec) -> Result<()> {
    for (what, name) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        if name.len() > LONGEST_NAME {
            let hint = format!("the kernel takes at most {LONGEST_NAME} bytes");
            return Err(Error::invalid(format!("invalid {what} format: {name}")).with_hint(hint));
        }
    }
    let parent = &spec.host.resources.cgroup_parent;
    if parent.contains(char::is_control) || parent.split('/').any(|part| part.len() > LONGEST_PART) {
        return Err(Error::invalid(format!("invalid cgroup parent: {parent:?}")));
    }
    Ok(())
}

/// `__NEW_UTS_LEN` (sethostname(2)).
const LONGEST_NAME: usize = 64;

/// `NAME_MAX` (limits.h).
const LONGEST_PART: usize = 255;

fn policies(host: &HostSpec) -> Result<()> {
    restart_policy(&host.restart_policy)?;
    if host.auto_remove && !matches!(host.restart_policy.name.as_str(), "" | "no") {
        return Err(Error::invalid("can't create 'AutoRemove' container with restart policy"));
    }
    if !(-1000..=1000).contains(&host.oom_score_adj) {
        let value = host.oom_score_adj;
        return Err(Error::invalid(format!("Invalid value {value}, range for oom score adj is [-1000, 1000]")));
    }
    if host.shm_size < 0 {
        return Err(Error::invalid("SHM size can not be less than 0"));
    }
    if !host.storage_opt.is_empty() {
        let text = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option";
        return Err(Error::invalid(text));
    }
    Ok(())
}

/// Checks the health check, and that who relies on it has one.
pub(crate) fn check_health(spec: &ContainerSpec) -> Result<()> {
    if Check::of(spec)?.is_none() && spec.host.restart_policy.name == "on-unhealthy" {
        let text = "invalid restart policy: 'on-unhealthy' needs a health check, and the container has none";
        return Err(Error::invalid(text).with_hint("give it one with --health-cmd, --health-http or --health-tcp"));
    }
    Ok(())
}

/// Checks a restart policy by itself.
pub(crate) fn restart_policy(policy: &RestartPolicy) -> Result<()> {
    let text = match (policy.name.as_str(), policy.maximum_retry_count) {
        ("on-failure" | "on-unhealthy", count) if count < 0 => "maximum retry count cannot be negative".to_owned(),
        ("on-failure" | "on-unhealthy", _) | ("" | "no" | "always" | "unless-stopped", 0) => return Ok(()),
        ("" | "no" | "always" | "unless-stopped", _) => {
            "maximum retry count can only be used with 'on-failure'".to_owned()
        }
        (name, _) => {
            let text = format!("unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'");
            // Docker's words; what Docker has not stands beside.
            return Err(Error::invalid(format!("invalid restart policy: {text}"))
                .with_hint("dhow has 'on-unhealthy', too: as 'on-failure', and after a failed health check"));
        }
    };
    Err(Error::invalid(format!("invalid restart policy: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Ulimit;

    fn spec() -> ContainerSpec {
        ContainerSpec { cmd: Some(vec!["true".into()]), ..ContainerSpec::default() }
    }

    fn refusal(change: impl FnOnce(&mut ContainerSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        validate(&mut spec, &Facts { cpus: 2, ..Facts::default() }).unwrap_err().to_string()
    }

    #[test]
    fn names_follow_dockers_rule() {
        assert_eq!(container_name("/web-1.x_y").unwrap(), "web-1.x_y");
        for bad in ["", "a", "-ab", "a b", "a/b", "ä1"] {
            assert!(container_name(bad).is_err(), "{bad}");
        }
        assert_eq!(
            container_name("a b").unwrap_err().to_string(),
            "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        );
    }

    #[test]
    fn refusals_are_worded_as_dockers() {
        assert_eq!(refusal(|spec| spec.cmd = None), "no command specified");
        assert_eq!(
            refusal(|spec| spec.entrypoint = Some(vec![String::new()]).filter(|_| {
                spec.cmd = None;
                true
            })),
            "no command specified"
        );
        assert_eq!(
            refusal(|spec| spec.working_dir = "x".into()),
            "the working directory 'x' is invalid, it needs to be an absolute path"
        );
        assert_eq!(refusal(|spec| spec.host.ipc_mode = "x".into()), "invalid IPC mode: x");
        let long = "h".repeat(65);
        assert_eq!(refusal(|spec| spec.hostname.clone_from(&long)), format!("invalid hostname format: {long}"));
        assert_eq!(refusal(|spec| spec.domainname.clone_from(&long)), format!("invalid domainname format: {long}"));
        assert_eq!(
            refusal(|spec| spec.host.resources.cgroup_parent = "/a\nb".into()),
            "invalid cgroup parent: \"/a\\nb\""
        );
        let ulimit = Ulimit { name: "nosuch".into(), soft: 1, hard: 2 };
        assert_eq!(refusal(|spec| spec.host.resources.ulimits = vec![ulimit]), "invalid ulimit type: nosuch");
        assert_eq!(refusal(|spec| spec.host.runtime = "x".into()), "unknown or invalid runtime name: x");
        assert_eq!(
            refusal(|spec| {
                spec.host.auto_remove = true;
                spec.host.restart_policy.name = "always".into();
            }),
            "can't create 'AutoRemove' container with restart policy"
        );
    }

    /// moby's `validateNetMode`.
    #[test]
    fn the_network_of_another_is_looked_at_before_the_host_name() {
        let refused = |network: &str, links: Option<Vec<String>>| {
            let mut spec = ContainerSpec { hostname: "h".into(), ..spec() };
            spec.host.uts_mode = "host".into();
            spec.host.network_mode = network.into();
            spec.host.links = links;
            check_network(&spec).unwrap_err().to_string()
        };
        assert_eq!(refused("container:x", None), "conflicting options: hostname and the network mode");
        assert!(refused("container:", None).starts_with("invalid network mode: "));
        let links = Some(vec!["x".to_owned()]);
        assert_eq!(refused("host", links), "conflicting options: hostname and the UTS mode");
    }

    #[test]
    fn the_plainest_container_is_fine_everywhere() {
        let limits = Limits { memory: true, ..Limits::default() };
        for facts in [Facts { cpus: 1, ..Facts::default() }, Facts { cpus: 8, limits, ..Facts::default() }] {
            assert_eq!(validate(&mut spec(), &facts).unwrap(), Vec::<String>::new());
        }
    }
}
