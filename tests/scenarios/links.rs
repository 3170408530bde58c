//! Links: names that one container has for others.

use std::fs;
use std::process::Command;

use dhow_testkit::{World, finish};

use crate::networks::address;
use crate::{DHOW, busybox};

fn sleeper(world: &World, name: &str, flags: &[&str]) {
    let run = [&["run", "-d", "--name", name], flags, &["busybox", "sleep", "100000"]].concat();
    world.docker(&run).exits(0);
}

fn inside(world: &World, container: &str, script: &str) -> String {
    world.dhow(&["exec", container, "sh", "-c", script]).ok()
}

/// The addresses that a container has for a name, by its file.
fn known(world: &World, container: &str, name: &str) -> Vec<String> {
    let hosts = inside(world, container, "cat /etc/hosts");
    let lines = hosts.lines().filter_map(|line| line.split_once('\t'));
    lines.filter(|(_, names)| names.split(' ').any(|it| it == name)).map(|(address, _)| address.to_owned()).collect()
}

fn reaches(world: &World, container: &str, name: &str) -> bool {
    world.dhow(&["exec", container, "busybox", "ping", "-c", "1", "-W", "5", name]).code() == 0
}

/// Has the other one come back with another address, which is returned. The first time after a start of the engine it may
/// get the one that it had.
fn moved(world: &World, name: &str, network: &str, commands: &[&[&str]]) -> String {
    let before = address(world, name, network);
    for _ in 0..3 {
        for command in commands {
            world.docker(command).exits(0);
        }
        let after = address(world, name, network);
        if after != before {
            return after;
        }
    }
    panic!("{name} is at {before} whatever one does");
}

const AGAIN: &[&[&str]] = &[&["restart", "-t", "0", "db"]];

#[test]
fn a_link_leads_to_where_the_other_is_now() {
    let mut world = busybox();
    sleeper(&world, "db", &["-h", "store"]);
    sleeper(&world, "app", &["--link", "db:data", "--add-host", "data:192.0.2.1"]);
    sleeper(&world, "side", &["--network", "container:app"]);
    let node = "stat -c %i /etc/hosts";
    let before = inside(&world, "app", &format!("echo '192.0.2.7 mine' >> /etc/hosts; {node}"));
    let is_there = |world: &World, now: String| {
        for container in ["app", "side"] {
            assert_eq!(known(world, container, "data"), ["192.0.2.1", &now]);
            assert_eq!(known(world, container, "store"), [now.as_str()]);
        }
        assert!(reaches(world, "app", "store"));
    };
    is_there(&world, moved(&world, "db", "bridge", AGAIN));
    is_there(&world, moved(&world, "db", "bridge", &[&["kill", "db"], &["start", "db"]]));
    let leave_and_come = [&["network", "disconnect", "bridge", "db"], &["network", "connect", "bridge", "db"]];
    is_there(&world, moved(&world, "db", "bridge", &leave_and_come.each_ref().map(|words| &words[..])));
    world.stop_engine();
    world.start_engine();
    is_there(&world, moved(&world, "db", "bridge", AGAIN));
    world.crash_engine();
    world.start_engine();
    is_there(&world, moved(&world, "db", "bridge", AGAIN));
    assert_eq!(inside(&world, "app", node), before, "the file that the container has mounted");
    assert_eq!(inside(&world, "app", "grep mine /etc/hosts"), "192.0.2.7 mine", "what it has written itself stays");
}

#[test]
fn a_link_has_the_addresses_of_both_families() {
    let world = World::with_flags(DHOW, &["--ipv6", "--fixed-cidr-v6", "fd00:78::/64"]);
    world.import_busybox("busybox");
    sleeper(&world, "db", &[]);
    sleeper(&world, "app", &["--link", "db:data"]);
    let both = || {
        let addresses = "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.GlobalIPv6Address}}";
        let shown = world.inspect("db", addresses);
        assert!(shown.contains(" fd00:78::"), "{shown}");
        assert_eq!(known(&world, "app", "data").join(" "), shown);
    };
    both();
    moved(&world, "db", "bridge", AGAIN);
    both();
}

#[test]
fn links_are_renewed_whatever_the_container_has_made_of_the_file() {
    let world = busybox();
    sleeper(&world, "db", &[]);
    sleeper(&world, "app", &["--link", "db", "--link", "db:data"]);
    inside(&world, "app", "echo -n '192.0.2.7 mine' > /etc/hosts");
    let now = moved(&world, "db", "bridge", AGAIN);
    let hosts = inside(&world, "app", "sort /etc/hosts");
    assert_eq!(hosts.lines().filter(|line| line.starts_with(&format!("{now}\tdata "))).count(), 1, "{hosts}");
    assert_eq!(hosts.lines().filter(|line| line.starts_with(&format!("{now}\tdb "))).count(), 1, "{hosts}");
    assert!(hosts.lines().any(|line| line == "192.0.2.7 mine"), "{hosts}");
    for bad in ["printf '\\377\\n' > /etc/hosts", "head -c 2000000 /dev/zero > /etc/hosts"] {
        inside(&world, "app", bad);
        let size = inside(&world, "app", "stat -c %s /etc/hosts");
        moved(&world, "db", "bridge", AGAIN);
        assert_eq!(inside(&world, "app", "stat -c %s /etc/hosts"), size, "what cannot be read is left alone");
    }
    assert!(world.engine_log().contains("a link is not renewed"), "{}", world.engine_log());
}

#[test]
fn a_link_in_a_network_of_ones_own_leads_to_where_the_other_is_now() {
    let mut world = busybox();
    world.docker(&["network", "create", "mine"]).exits(0);
    sleeper(&world, "db", &["--network", "mine"]);
    sleeper(&world, "app", &["--network", "mine", "--link", "db:data"]);
    sleeper(&world, "other", &["--network", "mine"]);
    let is_there = |world: &World, now: &str| {
        let answer = inside(world, "app", "nslookup -type=a data");
        assert!(answer.contains(now) && reaches(world, "app", "data"), "{now}: {answer}");
        assert!(!reaches(world, "other", "data"), "a name that only one has");
    };
    is_there(&world, &moved(&world, "db", "mine", AGAIN));
    world.stop_engine();
    world.start_engine();
    is_there(&world, &address(&world, "db", "mine"));
    is_there(&world, &moved(&world, "db", "mine", AGAIN));
}

#[test]
fn a_link_to_who_lives_in_the_network_of_another_leads_there() {
    let world = busybox();
    sleeper(&world, "base", &[]);
    sleeper(&world, "child", &["--network", "container:base"]);
    sleeper(&world, "grandchild", &["--network", "container:child"]);
    sleeper(&world, "app", &["--link", "child:near", "--link", "grandchild"]);
    let place = address(&world, "base", "bridge");
    for name in ["near", "grandchild"] {
        assert_eq!(known(&world, "app", name), [place.as_str()]);
        assert!(reaches(&world, "app", name));
    }
    let links = world.inspect("app", "{{json .HostConfig.Links}}");
    assert_eq!(links, r#"["/base:/app/near","/base:/app/grandchild"]"#, "as Docker shows them");
    let now = moved(&world, "base", "bridge", &[&["restart", "-t", "0", "base"]]);
    assert_eq!(known(&world, "app", "near"), [now.as_str()]);
    sleeper(&world, "host", &["--network", "host"]);
    sleeper(&world, "guest", &["--network", "container:host"]);
    let refused = world.docker(&["create", "--link", "guest", "busybox"]);
    refused.exits(1).says("conflicting options: host type networking can't be used with links");
}

/// Docker says so before it looks for anybody.
#[test]
fn what_cannot_go_together_is_said_before_who_is_missing() {
    let world = busybox();
    for (network, flags, words) in [
        ("container:nobody", ["--link", "none:x"], "container type network can't be used with links"),
        ("host", ["--link", "none:x"], "host type networking can't be used with links"),
        ("container:nobody", ["--dns", "192.0.2.1"], "dns and the network mode"),
        ("container:nobody", ["--add-host", "x:192.0.2.1"], "custom host-to-IP mapping and the network mode"),
        ("container:nobody", ["-p", "80"], "port publishing and the container type network mode"),
        ("container:nobody", ["--expose", "80"], "port exposing and the container type network mode"),
        ("container:nobody", ["-h", "name"], "hostname and the network mode"),
    ] {
        let create = ["create", "--network", network, flags[0], flags[1], "busybox"];
        for outcome in [world.dhow(&create), world.docker(&create)] {
            outcome.exits(1).says(&format!("conflicting options: {words}"));
        }
    }
    let nobody = world.docker(&["create", "--network", "container", "busybox"]);
    nobody.exits(1).says("invalid network mode: invalid container format container:<name|id>");
}
