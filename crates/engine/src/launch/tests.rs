//! Whole configurations, compared with files. `DHOW_GOLDEN=write` writes them anew.

use std::path::PathBuf;

use super::*;
use crate::create::Source;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn platform() -> Platform {
    Platform {
        capabilities: vec!["CAP_CHOWN", "CAP_SYS_ADMIN"],
        unified_cgroups: true,
        tty_group: true,
        network_sysctls: true,
        mqueue: true,
        chooses_groups: true,
        rootless: false,
        modules: SecurityModules::default(),
    }
}

fn spec() -> ContainerSpec {
    let words = |words: &[&str]| Some(words.iter().map(ToString::to_string).collect());
    ContainerSpec { cmd: words(&["sh"]), ..ContainerSpec::default() }
}

/// The configuration as it would be sent, in lines.
fn text(spec: &ContainerSpec, mounts: &[Mount], platform: &Platform) -> String {
    let files =
        EtcFiles { hostname: "/c/hostname".into(), hosts: "/c/hosts".into(), resolv_conf: "/c/resolv.conf".into() };
    let around = Surroundings {
        id: ID,
        host: platform,
        user: &Identity { groups: vec![0], home: "/root".into(), ..Identity::default() },
        sandbox: None,
        peers: &Peers { network: Some("/proc/42/ns/net".into()), ..Peers::default() },
        devices: &HostDevices::default(),
        files: &files,
        shm: None,
        volumes: &BTreeMap::from([("v".to_owned(), PathBuf::from("/volumes/v/_data"))]),
        id_maps: &BTreeMap::new(),
        images: &BTreeMap::new(),
        cgroup: "/dhow/0123",
    };
    serde_json::to_string_pretty(&configuration(spec, mounts, &around).unwrap()).unwrap() + "\n"
}

fn is_golden(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/launch/golden").join(name);
    if std::env::var_os("DHOW_GOLDEN").is_some_and(|wish| wish == "write") {
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (line, (found, expected)) in text.lines().zip(golden.lines()).enumerate() {
        assert_eq!(found, expected, "{name}:{}", line + 1);
    }
    assert_eq!(text.lines().count(), golden.lines().count(), "{name}");
}

#[test]
fn the_plainest_container() {
    is_golden("plain.json", &text(&spec(), &[], &platform()));
}

#[test]
fn a_privileged_container() {
    let mut spec = spec();
    spec.host.privileged = true;
    is_golden("privileged.json", &text(&spec, &[], &platform()));
}

#[test]
fn a_container_with_everything_else() {
    let mut spec = spec();
    (spec.tty, spec.hostname, spec.working_dir) = (true, "box".into(), "/srv".into());
    let host = &mut spec.host;
    (host.network_mode, host.pid_mode, host.ipc_mode) = ("container:x".into(), "host".into(), "host".into());
    host.uts_mode = "host".into();
    host.readonly_rootfs = true;
    host.tmpfs = [("/run".to_owned(), "size=1m,exec".to_owned())].into();
    host.security_opt = Some(vec!["no-new-privileges".into()]);
    host.resources.memory = 1 << 30;
    host.resources.memory_swap = -1;
    host.resources.nano_cpus = 500_000_000;
    host.resources.pids_limit = Some(-1);
    host.resources.device_cgroup_rules = vec!["c 7:* rmw".into()];
    let mounts = [
        Mount {
            source: Source::Bind {
                path: "/srv".into(),
                create: true,
                propagation: "rshared".into(),
                recursive: true,
                only_itself: false,
                id_map: false,
            },
            destination: "/etc/hosts".into(),
            read_only: true,
            mode: "ro".into(),
        },
        Mount {
            source: Source::Volume {
                name: "v".into(),
                anonymous: false,
                copy: true,
                subpath: "sub".into(),
                wanted: Default::default(),
            },
            destination: "/dev/shm".into(),
            read_only: false,
            mode: "z".into(),
        },
    ];
    is_golden("everything.json", &text(&spec, &mounts, &platform()));
}

#[test]
fn without_root_foreign_namespaces_are_bound_and_not_mounted() {
    let mut spec = spec();
    (spec.host.network_mode, spec.host.pid_mode) = ("host".into(), "host".into());
    let platform =
        Platform { rootless: true, tty_group: false, chooses_groups: false, unified_cgroups: false, ..platform() };
    is_golden("rootless.json", &text(&spec, &[], &platform));
}
