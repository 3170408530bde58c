//! dockerd's flags and its file: what counts, what is left out, what is refused.

use dhow_testkit::World;

use crate::DHOW;

#[test]
fn what_is_usual_for_containers_and_networks_can_be_said() {
    let flags = [
        "--dns",
        "192.0.2.9",
        "--dns-search",
        "example",
        "--no-new-privileges",
        "--bip",
        "172.29.7.1/24",
        "--mtu",
        "1400",
        "--default-ipc-mode",
        "shareable",
        "--default-address-pool",
        "base=172.29.64.0/18,size=26",
        "--iptables=false",
        "--exec-opt",
        "native.cgroupdriver=cgroupfs",
        "-s",
        "overlay2",
    ];
    let world = World::with_flags(DHOW, &flags);
    world.import_busybox("busybox");
    let resolv = world.dhow(&["run", "--rm", "busybox", "cat", "/etc/resolv.conf"]).ok();
    assert!(resolv.contains("nameserver 192.0.2.9") && resolv.contains("search example"), "{resolv}");
    let own = world.dhow(&["run", "--rm", "--dns", "192.0.2.8", "busybox", "cat", "/etc/resolv.conf"]).ok();
    assert!(own.contains("nameserver 192.0.2.8") && !own.contains("192.0.2.9"), "{own}");
    let link = world.dhow(&["run", "--rm", "busybox", "ip", "addr", "show", "eth0"]).ok();
    assert!(link.contains("mtu 1400") && link.contains("inet 172.29.7."), "{link}");
    let status = world.dhow(&["run", "--rm", "busybox", "grep", "NoNewPrivs", "/proc/self/status"]).ok();
    assert!(status.ends_with('1'), "{status}");
    world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
    assert_eq!(world.inspect("box", "{{.HostConfig.IpcMode}}"), "shareable");
    world.dhow(&["network", "create", "mine"]).exits(0);
    let subnet = world.dhow(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "mine"]).ok();
    assert!(subnet.starts_with("172.29.") && subnet.ends_with("/26"), "{subnet}");
    let log = world.engine_log();
    for flag in ["iptables", "exec-opt", "storage-driver"] {
        assert!(log.contains(&format!("--{flag} means nothing to dhow")), "{log}");
    }
}

#[test]
fn the_default_network_changes_with_the_configuration() {
    let mut world = World::with_flags(DHOW, &["--config-file", "/dev/null"]);
    world.import_busybox("busybox");
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    world.stop_engine();
    world.start_engine();
    let before = world.dhow(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge"]).ok();
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    let after = world.dhow(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge"]).ok();
    assert_eq!(before, after, "a restart alone changes nothing");
}

#[test]
fn a_configuration_can_be_looked_at_without_an_engine() {
    let world = World::new(DHOW);
    let daemon = |args: &[&str]| world.dhow(&[&["daemon"], args].concat());
    assert!(daemon(&["--version"]).ok().starts_with("dhow version "));
    assert_eq!(daemon(&["--validate", "--live-restore", "--userland-proxy=false"]).ok(), "configuration OK");
    for flags in [
        &["--userns-remap", "default"][..],
        &["--seccomp-profile", "/etc/profile.json"],
        &["--authorization-plugin", "x"],
        &["--selinux-enabled"],
        &["-b", "none"],
    ] {
        daemon(&[&["--validate"], flags].concat()).exits(1).says("is not supported by dhow").says("hint: ");
    }
    daemon(&["--validate", "--bip", "nonsense"]).exits(1).says("bip: invalid CIDR address: nonsense");
    let file = world.path().join("daemon.json");
    std::fs::write(&file, r#"{"dns": ["1.1.1.1"], "exec-opts": ["a=b"], "userns-remap": "default"}"#).expect("written");
    let named = file.display().to_string();
    daemon(&["--validate", "--config-file", &named]).exits(1).says("userns-remap is not supported by dhow");
}
