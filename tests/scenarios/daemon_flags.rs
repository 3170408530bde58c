//! dockerd's flags and its file: what counts, what is left out, what is refused.

use std::fs;
use std::process::Command;

use dhow_testkit::{World, finish};

use crate::DHOW;
use crate::networks::{answers, fetch, serve};

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
        "--raw-logs",
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
    world.dhow(&["run", "-d", "--name", "owner", "busybox", "sleep", "100000"]).exits(0);
    let shared =
        world.dhow(&["run", "--rm", "--network", "container:owner", "busybox", "cat", "/etc/resolv.conf"]).ok();
    assert!(shared.contains("nameserver 192.0.2.9"), "what is usual is no wish that the network refuses: {shared}");
    world.dhow(&["network", "create", "mine"]).exits(0);
    let subnet = world.dhow(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "mine"]).ok();
    assert!(subnet.starts_with("172.29.") && subnet.ends_with("/26"), "{subnet}");
    let log = world.engine_log();
    for flag in ["raw-logs", "exec-opt", "storage-driver"] {
        assert!(log.contains(&format!("--{flag} means nothing to dhow")), "{log}");
    }
}

/// Whether packets are passed on in the network of this test.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

#[test]
fn an_engine_that_is_to_leave_the_firewall_alone_does() {
    let world = World::with_flags(DHOW, &["--iptables=false", "--ip-forward=false"]);
    fs::write(FORWARDING, "0").expect("a network of the test's own");
    world.import_busybox("busybox");
    serve(&world, "web", &["-p", "8080:80"]);
    answers("127.0.0.1:8080", "web");
    let gateway = world.inspect("web", "{{(index .NetworkSettings.Networks \"bridge\").Gateway}}");
    answers(&format!("{gateway}:8080"), "web");
    assert_eq!(fetch(&world, "bridge", &format!("http://{gateway}:8080/name")).as_deref(), Some("web"));
    assert_eq!(finish(Command::new("nft").args(["list", "ruleset"])).ok(), "");
    assert_eq!(fs::read_to_string(FORWARDING).expect("read").trim(), "0");
    assert!(world.engine_log().contains("no firewall rules are made"), "{}", world.engine_log());
    let exposure = world.dhow(&["network", "exposure"]).ok();
    assert!(exposure.contains("firewall = none"), "{exposure}");
}

#[test]
fn rules_of_before_are_taken_away_by_an_engine_that_makes_none() {
    let mut world = World::new(DHOW);
    world.import_busybox("busybox");
    serve(&world, "web", &["-p", "8080:80"]);
    let ruleset = || finish(Command::new("nft").args(["list", "ruleset"])).ok();
    assert!(ruleset().contains("table inet dhow-"), "{}", ruleset());
    for (text, rules) in [("firewall = \"none\"\n", false), ("", true)] {
        world.stop_engine();
        fs::write(world.path().join("daemon.toml"), text).expect("written");
        world.start_engine();
        answers("127.0.0.1:8080", "web");
        assert_eq!(ruleset().contains("table"), rules, "{}", ruleset());
    }
}

#[test]
fn the_default_network_has_ipv6_if_that_is_said() {
    let mut world = World::new(DHOW);
    world.import_busybox("busybox");
    let pools = |world: &World| {
        world
            .docker(&[
                "network",
                "inspect",
                "-f",
                "{{.EnableIPv6}} {{range .IPAM.Config}}{{.Subnet}} {{end}}",
                "bridge",
            ])
            .ok()
    };
    serve(&world, "old", &[]);
    let before = pools(&world);
    let block = before.strip_prefix("false ").expect("no IPv6 yet").to_owned();
    world.stop_engine();
    let text = "ipv6 = true\nfixed-cidr-v6 = \"fd00:77::/64\"\nhost-gateway-ip = \"192.0.2.7\"\n\
        [default-network-opts.bridge]\n\"com.docker.network.driver.mtu\" = \"1400\"\n";
    fs::write(world.path().join("daemon.toml"), text).expect("written");
    world.start_engine();
    serve(&world, "web", &["--add-host", "up:host-gateway"]);
    assert_eq!(pools(&world).trim(), format!("true {}fd00:77::/64", block), "the block of before stays");
    let address = world.inspect("web", "{{.NetworkSettings.GlobalIPv6Address}}");
    assert!(address.starts_with("fd00:77::"), "{address}");
    assert_eq!(fetch(&world, "bridge", &format!("http://[{address}]/name")).as_deref(), Some("web"));
    let old = format!("http://{}/name", crate::networks::address(&world, "old", "bridge"));
    assert_eq!(fetch(&world, "bridge", &old).as_deref(), Some("old"), "it goes on with what it has");
    let hosts = world.dhow(&["exec", "web", "cat", "/etc/hosts"]).ok();
    assert!(hosts.contains("192.0.2.7\tup"), "{hosts}");
    world.dhow(&["network", "create", "mine"]).exits(0);
    let link = world.dhow(&["run", "--rm", "--network", "mine", "busybox", "ip", "addr", "show", "eth0"]).ok();
    assert!(link.contains("mtu 1400"), "{link}");
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
        &["--ip6tables=false"],
        &["--iptables=false", "--userland-proxy=false"],
        &["--firewall-backend", "iptables"],
        &["--default-gateway", "172.17.0.9"],
        &["--allow-direct-routing"],
    ] {
        daemon(&[&["--validate"], flags].concat()).exits(1).says("is not supported by dhow").says("hint: ");
    }
    for (flags, words) in [
        (
            &["--log-driver", "nonsense"][..],
            "failed to set log opts: logger: no log driver named 'nonsense' is registered",
        ),
        (&["--log-opt", "a=b"], "failed to set log opts: unknown log opt 'a' for log driver local"),
        (&["-H", "tcp://127.0.0.1:2375"], "refusing to listen on tcp://127.0.0.1:2375 without TLS"),
        (&["--group", "no-such-group"], "no-such-group"),
        (&["-b", "br0", "--bip", "10.0.0.1/24"], "bridge and bip exclude each other"),
        (&["--tlsverify", "--tlscacert", "/no/such/file", "-H", "tcp://127.0.0.1:2376"], "/no/such/file"),
        (&["--label", "nonsense"], "bad attribute format: nonsense"),
        (&["--default-runtime", "crun"], "specified default runtime \"crun\" does not exist"),
    ] {
        daemon(&[&["--validate"], flags].concat()).exits(1).says(words);
    }
    for runtime in ["dhow", "runc", "io.containerd.runc.v2"] {
        daemon(&["--validate", "--default-runtime", runtime]).exits(0);
    }
    daemon(&["--validate", "--raw-logs"]).exits(0).says("warning: --raw-logs means nothing to dhow and is left out");
    daemon(&["--validate", "--bip", "nonsense"]).exits(1).says("bip: invalid CIDR address: nonsense");
    let file = world.path().join("daemon.json");
    fs::write(&file, r#"{"exec-opts": ["a=b"], "shutdown-timeout": 3}"#).expect("written");
    let named = file.display().to_string();
    let outcome = daemon(&["--validate", "--config-file", &named]);
    outcome.exits(0).says("\"exec-opts\" means nothing").says("\"shutdown-timeout\" means nothing");
    fs::write(&file, r#"{"dns": ["1.1.1.1"], "exec-opts": ["a=b"], "userns-remap": "default"}"#).expect("written");
    daemon(&["--validate", "--config-file", &named]).exits(1).says("userns-remap is not supported by dhow");
    fs::write(&file, r#"{"insecure-registires": ["x"], "label": ["a=b"]}"#).expect("written");
    let words = "the following directives don't match any configuration option: insecure-registires, label";
    daemon(&["--validate", "--config-file", &named]).exits(1).says(words);
    fs::write(&file, r#"{"log-driver": "json-file", "labels": ["a=b"], "runtimes": {"x": {"path": "/bin/x"}}}"#)
        .expect("written");
    let both =
        ["--validate", "--config-file", &named, "--label", "c=d", "--log-driver=local", "--add-runtime", "y=/bin/y"];
    let words = "are specified both as a flag and in the configuration file: log-driver, labels";
    daemon(&both).exits(1).says(words);
}
