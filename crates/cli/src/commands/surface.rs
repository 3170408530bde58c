//! That no flag of Docker's container and system commands is missing.

use super::ALL;

/// Commands and the flags that people type with them. `run` and `create` share most of theirs.
const FLAGS: &[(&str, &str)] = &[
    ("attach", "detach-keys no-stdin sig-proxy"),
    ("exec", "detach detach-keys env env-file interactive privileged tty user workdir"),
    ("inspect", "format size type"),
    ("container inspect", "format size"),
    ("kill", "signal"),
    ("logs", "details follow since tail timestamps until"),
    ("ps", "all filter format last latest no-trunc quiet size"),
    ("container prune", "filter force"),
    ("restart", "signal time timeout"),
    ("rm", "force link volumes"),
    ("start", "attach checkpoint checkpoint-dir detach-keys interactive"),
    ("stats", "all format no-stream no-trunc"),
    ("stop", "signal time timeout"),
    (
        "update",
        "blkio-weight cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems memory \
         memory-reservation memory-swap pids-limit restart",
    ),
    ("pause", ""),
    ("unpause", ""),
    ("port", ""),
    ("rename", ""),
    ("top", ""),
    ("wait", ""),
    ("image prune", "all filter force"),
    ("system df", "format verbose"),
    ("system events", "filter format since until"),
    ("system info", "format"),
    ("system prune", "all filter force volumes"),
    ("version", "format"),
    (
        "volume create",
        "availability driver group label limit-bytes opt required-bytes scope secret sharing topology-preferred \
         topology-required type",
    ),
    ("network connect", "alias driver-opt gw-priority ip ip6 link link-local-ip"),
    (
        "network create",
        "attachable aux-address config-from config-only driver gateway ingress internal ip-range ipam-driver ipam-opt ipv4 \
         ipv6 label opt scope subnet",
    ),
    ("network disconnect", "force"),
    ("network inspect", "format verbose"),
    ("network ls", "filter format no-trunc quiet"),
    ("network prune", "filter force"),
    ("network rm", "force"),
    ("volume inspect", "format"),
    ("volume ls", "cluster filter format quiet"),
    ("volume prune", "all filter force"),
    ("volume rm", "force"),
    ("volume update", "availability"),
    ("run", "detach detach-keys sig-proxy"),
    ("run", NEW),
    ("create", NEW),
];

const NEW: &str = "add-host annotation attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cgroupns \
    cidfile cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus cpuset-cpus cpuset-mems device \
    device-cgroup-rule device-read-bps device-read-iops device-write-bps device-write-iops disable-content-trust dns \
    dns-option dns-search domainname entrypoint env env-file expose gpus group-add health-cmd health-interval \
    health-retries health-start-interval health-start-period health-timeout help hostname init interactive ip ip6 ipc \
    isolation kernel-memory label label-file link link-local-ip log-driver log-opt mac-address memory \
    memory-reservation memory-swap memory-swappiness mount name network network-alias no-healthcheck oom-kill-disable \
    oom-score-adj pid pids-limit platform privileged publish publish-all pull quiet read-only restart rm runtime \
    security-opt shm-size stop-signal stop-timeout storage-opt sysctl tmpfs tty ulimit use-api-socket user userns uts \
    volume volume-driver volumes-from workdir";

#[test]
fn no_flag_of_dockers_is_missing() {
    let mut missing = Vec::new();
    for (name, flags) in FLAGS {
        let command = ALL.iter().find(|command| command.names.contains(name));
        let command = command.unwrap_or_else(|| panic!("there is no command {name}"));
        let has = |flag: &str| command.flags.iter().any(|table| table.iter().any(|own| own.long == flag));
        missing.extend(flags.split_ascii_whitespace().filter(|flag| !has(flag)).map(|flag| format!("{name} --{flag}")));
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// What is in a group in Docker is in that group here, too.
#[test]
fn every_command_of_a_container_is_in_its_group() {
    for verb in [
        "attach", "create", "exec", "inspect", "kill", "logs", "ls", "pause", "port", "prune", "rename", "restart",
        "rm", "run", "start", "stats", "stop", "top", "unpause", "update", "wait",
    ] {
        let name = format!("container {verb}");
        assert!(ALL.iter().any(|command| command.names.contains(&name.as_str())), "{name}");
    }
}
