//! The flags that `run` and `create` share.

use super::environment::check_variable;
use super::{device, endpoint, health, label, limits, mount};
use crate::flags::{Elsewhere, Flag};

/// Checks a value of `--attach`.
fn check_stream(text: &str) -> Result<(), String> {
    match text.to_lowercase().as_str() {
        "stdin" | "stdout" | "stderr" => Ok(()),
        _ => Err("valid streams are STDIN, STDOUT and STDERR".into()),
    }
}

/// Checks a weight of `--blkio-weight`.
pub(crate) fn check_weight(text: &str) -> Result<(), String> {
    match text.parse::<u16>() {
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(format!("strconv.ParseUint: parsing {text:?}: value out of range"))
        }
        _ => Ok(()),
    }
}

/// Checks a host of `--add-host`.
fn check_host(text: &str) -> Result<(), String> {
    let bad = || format!("bad format for add-host: {text:?}");
    let (name, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
    if name.is_empty() {
        return Err(bad());
    }
    let plain = address.trim_start_matches('[').trim_end_matches(']');
    match plain == "host-gateway" || plain.parse::<std::net::IpAddr>().is_ok() {
        true => Ok(()),
        false => Err(format!("invalid IP address in add-host: {plain:?}")),
    }
}

/// Checks a name server of `--dns`.
fn check_server(text: &str) -> Result<(), String> {
    let address = text.trim().parse::<std::net::IpAddr>();
    address.map(drop).map_err(|_| format!("IP address is not correctly formatted: {text}"))
}

/// Checks a domain of `--dns-search`; a dot alone stands for none.
fn check_domain(text: &str) -> Result<(), String> {
    let domain = text.trim_matches(' ');
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let named = domain.bytes().any(|byte| byte.is_ascii_alphabetic()) && domain.len() < 255;
    let good = named && domain.strip_suffix('.').unwrap_or(domain).split('.').all(label);
    if domain == "." || good { Ok(()) } else { Err(format!("{domain} is not a valid domain")) }
}

/// Every flag about the container itself.
pub(crate) const CONTAINER: &[Flag] = &[
    Flag::list("add-host", "Put a line into the container's hosts file (host:ip)").check(check_host),
    Flag::list("annotation", "Hand an annotation to the OCI runtime").since(43).placeholder("map").shown("map[]"),
    Flag::list("attach", "Streams to attach to: STDIN, STDOUT, STDERR").short(b'a').check(check_stream),
    Flag::uint("blkio-weight", "uint16", "Share of block I/O, 10 to 1000; 0 for the default")
        .default("0")
        .check(check_weight),
    Flag::list("blkio-weight-device", "Share of block I/O on one device (device:weight)")
        .shown("[]")
        .check(limits::check_weight),
    Flag::list("cap-add", "Give a Linux capability"),
    Flag::list("cap-drop", "Take a Linux capability away"),
    Flag::text("cgroup-parent", "Cgroup above the container's"),
    Flag::text(
        "cgroupns",
        "Cgroup namespace (host|private)\n'host':    that of the host\n'private': one of its own\n'':        what the engine is set to (default)",
    ).since(41),
    Flag::text("cidfile", "Write the container's ID into this file"),
    Flag::int("cpu-count", "Number of processors").elsewhere(Elsewhere::Windows),
    Flag::int("cpu-percent", "Share of the processors").elsewhere(Elsewhere::Windows),
    Flag::int("cpu-period", "Period of the CFS quota in microseconds"),
    Flag::int("cpu-quota", "Processor time per period in microseconds"),
    Flag::int("cpu-rt-period", "Real-time period in microseconds").since(25),
    Flag::int("cpu-rt-runtime", "Real-time processor time per period in microseconds").since(25),
    Flag::int("cpu-shares", "Share of the processors, relative to others").short(b'c'),
    Flag::checked("cpus", "decimal", limits::check_cpus, "How many processors it may use").since(25),
    Flag::text("cpuset-cpus", "Which processors it may use (0-3, 0,1)"),
    Flag::text("cpuset-mems", "Which memory nodes it may use (0-3, 0,1)"),
    Flag::list("device", "Show a device of the host in the container"),
    Flag::list("device-cgroup-rule", "Add a rule to the devices it may use").check(device::check_rule),
    Flag::list("device-read-bps", "Limit reads from a device, bytes per second").shown("[]").check(limits::check_rate),
    Flag::list("device-read-iops", "Limit reads from a device, operations per second")
        .shown("[]")
        .check(limits::check_iops),
    Flag::list("device-write-bps", "Limit writes to a device, bytes per second").shown("[]").check(limits::check_rate),
    Flag::list("device-write-iops", "Limit writes to a device, operations per second")
        .shown("[]")
        .check(limits::check_iops),
    Flag::bool("disable-content-trust", "Do not verify the image").default("true").hidden(),
    Flag::list("dns", "Name servers to ask").check(check_server),
    Flag::list("dns-opt", "Options of the resolver").hidden(),
    Flag::list("dns-option", "Options of the resolver"),
    Flag::list("dns-search", "Domains to search").check(check_domain),
    Flag::text("domainname", "NIS domain name of the container"),
    Flag::text("entrypoint", "Run this in place of the image's entry point"),
    Flag::list("env", "Set an environment variable").short(b'e').check(check_variable),
    Flag::list("env-file", "Set the environment variables of a file"),
    Flag::list("expose", "Expose a port or a range of ports"),
    Flag::checked("gpus", "gpu-request", device::check_gpus, "GPUs to add ('all' for all of them)").since(40),
    Flag::list("group-add", "Put the user into another group"),
    Flag::text("health-cmd", "Command that checks its health"),
    Flag::text("health-http", "Page that shows its health, asked for by the engine (URL or :PORT/PATH)"),
    Flag::checked("health-interval", "duration", health::check_duration, "Time between two checks (ms|s|m|h)")
        .shown("0s"),
    Flag::int("health-retries", "Failures in a row that make it unhealthy"),
    Flag::checked(
        "health-start-interval",
        "duration",
        health::check_duration,
        "Time between two checks while it starts (ms|s|m|h)",
    ).since(44)
    .shown("0s"),
    Flag::checked(
        "health-start-period",
        "duration",
        health::check_duration,
        "Time it may take to start before failures count (ms|s|m|h)",
    ).since(29)
    .shown("0s"),
    Flag::text("health-tcp", "Port that shows its health by taking a connection ([HOST:]PORT)"),
    Flag::checked("health-timeout", "duration", health::check_duration, "Time one check may take (ms|s|m|h)")
        .shown("0s"),
    Flag::bool("help", "Print usage"),
    Flag::text("hostname", "Host name of the container").short(b'h'),
    Flag::bool("init", "Run an init inside that forwards signals and reaps processes").since(25),
    Flag::bool("interactive", "Keep standard input open even if nobody is attached").short(b'i'),
    Flag::checked("io-maxbandwidth", "bytes", limits::check_bytes, "Limit of I/O on the system drive")
        .elsewhere(Elsewhere::Windows),
    Flag::uint("io-maxiops", "uint", "Limit of I/O operations on the system drive").elsewhere(Elsewhere::Windows),
    Flag::text("ip", "IPv4 address (172.30.100.104)"),
    Flag::text("ip6", "IPv6 address (2001:db8::33)"),
    Flag::text("ipc", "IPC mode"),
    Flag::text("isolation", "Kind of isolation (Windows only)").hidden(),
    Flag::checked("kernel-memory", "bytes", limits::check_bytes, "Limit of kernel memory"),
    Flag::list("label", "Put a label on it").short(b'l').check(label::check),
    Flag::list("label-file", "Put the labels of a file on it"),
    Flag::list("link", "Link to another container").check(endpoint::check_link),
    Flag::list("link-local-ip", "Link-local addresses"),
    Flag::text("log-driver", "Log driver (local, json-file, journald, syslog, none)"),
    Flag::list("log-opt", "Option of the log driver"),
    Flag::text("mac-address", "MAC address (92:d0:c6:0a:29:33)"),
    Flag::checked("memory", "bytes", limits::check_bytes, "Limit of memory").short(b'm'),
    Flag::checked("memory-reservation", "bytes", limits::check_bytes, "Memory it keeps when the host runs short"),
    Flag::checked(
        "memory-swap",
        "bytes",
        limits::check_swap,
        "Limit of memory and swap together; '-1' for no limit of swap",
    ),
    Flag::int("memory-swappiness", "How readily it is swapped out (0 to 100)").default("-1"),
    Flag::list("mount", "Mount a file system").placeholder("mount").check(mount::check),
    Flag::text("name", "Name of the container"),
    Flag::list("net", "Connect it to a network").placeholder("network").check(endpoint::check).hidden(),
    Flag::list("net-alias", "Another name of it in the network").hidden(),
    Flag::list("network", "Connect it to a network").placeholder("network").check(endpoint::check),
    Flag::list("network-alias", "Another name of it in the network"),
    Flag::bool("no-healthcheck", "Turn the image's health check off"),
    Flag::bool("oom-kill-disable", "Never kill it for its memory"),
    Flag::int("oom-score-adj", "How readily it is killed when memory runs out (-1000 to 1000)"),
    Flag::text("pid", "PID namespace to use"),
    Flag::int("pids-limit", "Limit of processes; -1 for none"),
    Flag::text("platform", "Platform of the image, where there are several").since(32),
    Flag::bool("privileged", "Give it every right"),
    Flag::list("publish", "Publish a port to the host").short(b'p'),
    Flag::bool("publish-all", "Publish all exposed ports to random ports").short(b'P'),
    Flag::text("pull", "When to pull the image (\"always\", \"missing\", \"never\")").default("missing"),
    Flag::bool("quiet", "Print nothing about the pull").short(b'q'),
    Flag::bool("read-only", "Make the root file system read-only"),
    Flag::text("restart", "When to start it again: no, on-failure[:n], on-unhealthy[:n], always, unless-stopped")
        .default("no"),
    Flag::bool("rm", "Remove it and its anonymous volumes when it ends"),
    Flag::text("runtime", "OCI runtime to use"),
    Flag::list("security-opt", "Security option"),
    Flag::checked("shm-size", "bytes", limits::check_bytes, "Size of /dev/shm"),
    Flag::text("stop-signal", "Signal that stops it"),
    Flag::int("stop-timeout", "Seconds it has to stop").since(25),
    Flag::list("storage-opt", "Option of the storage driver"),
    Flag::list("sysctl", "Kernel parameter").placeholder("map").shown("map[]").check(label::check_sysctl),
    Flag::list("tmpfs", "Mount a tmpfs"),
    Flag::bool("tty", "Give it a terminal").short(b't'),
    Flag::list("ulimit", "Limit of a resource").placeholder("ulimit").shown("[]").check(limits::check_ulimit),
    Flag::bool("use-api-socket", "Show it the engine's socket").elsewhere(Elsewhere::Docker),
    Flag::text("user", "User name or ID (<name|uid>[:<group|gid>])").short(b'u'),
    Flag::text("userns", "User namespace to use"),
    Flag::text("uts", "UTS namespace to use"),
    Flag::list("volume", "Mount a volume or a folder of the host").short(b'v'),
    Flag::text("volume-driver", "Volume driver"),
    Flag::list("volumes-from", "Mount the volumes of another container"),
    Flag::text("workdir", "Working directory inside the container").short(b'w'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_and_domains_are_checked_before_anything_is_sent() {
        assert_eq!(check_server("1.2.3").unwrap_err(), "IP address is not correctly formatted: 1.2.3");
        assert!(check_server("::1").is_ok() && check_server(" 1.1.1.1").is_ok());
        for good in [".", "a.example", "example.org.", "x1-y"] {
            assert_eq!(check_domain(good), Ok(()), "{good}");
        }
        for bad in ["a b", "", "1.2", "-a.b", "a..b"] {
            assert_eq!(check_domain(bad).unwrap_err(), format!("{bad} is not a valid domain"));
        }
    }
}
