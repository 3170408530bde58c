//! Networks under faults, in crowds, and with odd wishes: nothing is left that nobody has, and nobody lacks what it has.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::process::Command;
use std::thread;

use dhow_testkit::{Answer, Door, World, eventually, eventually_none, finish};
use fastrand::Rng;

use super::containers::{create, door, post, remove};
use super::crash::{CLIENTS, kill_at_work};
use super::{chance, rounds};
use crate::busybox;
use crate::networks::{address, answers, ask, serve};

/// Addresses for containers in a /28: all but its first and its last one, and the gateway's.
const PLACES: usize = 13;

/// A container in a network that has a port of the host.
pub(super) fn body(network: &str, port: usize) -> String {
    let ports = format!(r#""PortBindings":{{"80/tcp":[{{"HostPort":"{port}"}}]}}"#);
    format!(
        r#"{{"Image":"busybox","Cmd":["sh","-c","exec sleep 1000"],"HostConfig":{{"NetworkMode":"{network}",{ports}}}}}"#
    )
}

/// What containers have of networks.
#[derive(Debug, Default, PartialEq, Eq)]
struct Belongings {
    addresses: BTreeSet<IpAddr>,
    /// Published ports of IPv4: in the other family a process has those of containers without IPv6.
    ports: BTreeSet<String>,
    links: usize,
}

/// As the engine tells it.
fn told(world: &World) -> Belongings {
    let mut all = Belongings::default();
    let running = world.dhow(&["ps", "--quiet"]).ok();
    for id in running.lines() {
        let networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.GlobalIPv6Address}} {{end}}";
        all.addresses.extend(world.inspect(id, networks).split(' ').filter_map(|word| word.parse::<IpAddr>().ok()));
        let places = world.inspect(id, "{{range .NetworkSettings.Networks}}{{.EndpointID}} {{end}}");
        all.links += places.split_whitespace().count();
        let ports =
            "{{range $port, $all := .NetworkSettings.Ports}}{{range $all}}{{.HostIp}} {{.HostPort}};{{end}}{{end}}";
        let ports = world.inspect(id, ports);
        // Without a network it has no place that they lead to.
        if !places.trim().is_empty() {
            all.ports.extend(ports.split(';').filter(|port| port.starts_with("0.0.0.0 ")).map(str::to_owned));
        }
    }
    all
}

/// As the kernel has it.
fn kept() -> Belongings {
    let rules = finish(Command::new("/usr/sbin/nft").args(["list", "ruleset"])).ok();
    let words: Vec<&str> = rules.split([' ', ',', '\n', '\t', '"']).filter(|word| !word.is_empty()).collect();
    let mut all = Belongings::default();
    for part in words.windows(5) {
        match part {
            // An element of the map of ports: `0.0.0.0 . tcp . 8080 : …`.
            [address, ".", "tcp", ".", port] if *address == "0.0.0.0" => {
                all.ports.extend([format!("0.0.0.0 {port}")]);
            }
            // One of the owners of addresses: `"veth…" . 10.0.0.2`.
            [link, ".", address, ..] if link.starts_with("veth") => all.addresses.extend(address.parse::<IpAddr>()),
            _ => {}
        }
    }
    let links = fs::read_to_string("/proc/thread-self/net/dev").expect("there are links");
    all.links = links.lines().filter(|line| line.trim_start().starts_with("veth")).count();
    all
}

/// Engine and kernel say the same, once dead namespaces have gone and what was under way has come to its end.
pub(super) fn agrees(world: &World) {
    eventually_none("the kernel and the engine agree", || {
        let (kept, told) = (kept(), told(world));
        if kept == told { Vec::new() } else { vec![format!("{kept:?}\n{told:?}")] }
    });
}

fn ports_are_free(ports: impl Iterator<Item = usize>) {
    for port in ports {
        for at in ["0.0.0.0", "[::]"] {
            let at = format!("{at}:{port}");
            eventually(&format!("{at} is free"), || TcpListener::bind(&at).is_ok());
        }
    }
}

/// All addresses of the network can be had, and no more.
fn every_address_is_free(world: &World, network: &str) {
    let mut door = door(&world.socket());
    let start = |door: &mut Door, number: usize| {
        let id = create(door, &format!("place{number}"), &body(network, 9100 + number)).expect("answered");
        door.ask("POST", &format!("/containers/{}/start", id.expect("created")), "").expect("answered")
    };
    for number in 0..PLACES {
        let answer = start(&mut door, number);
        assert_eq!(answer.status, 204, "{number}: {}", answer.body);
    }
    let answer = start(&mut door, PLACES);
    assert!(answer.status >= 400 && answer.body.contains("no available IPv4 addresses"), "{}", answer.body);
    for number in 0..=PLACES {
        assert_eq!(remove(&mut door, &format!("place{number}")).expect("answered"), 204);
    }
}

fn come_and_go(world: &World, count: usize) {
    thread::scope(|scope| {
        for worker in 0..CLIENTS {
            let socket = world.socket();
            scope.spawn(move || {
                let mut door = door(&socket);
                for _ in 0..count / CLIENTS {
                    let id = create(&mut door, "", &body("small", 9000 + worker)).expect("answered").expect("created");
                    let started = door.ask("POST", &format!("/containers/{id}/start"), "").expect("answered");
                    assert_eq!(started.status, 204, "{}", started.body);
                    assert_eq!(remove(&mut door, &id).expect("answered"), 204);
                }
            });
        }
    });
}

/// moby#18527, libnetwork#1207: "no available IPv4 addresses".
#[test]
fn a_thousand_rounds_on_a_small_network_leave_every_address_and_port_free() {
    let world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.28.0.0/28", "small"]).exits(0);
    come_and_go(&world, 1000);
    agrees(&world);
    every_address_is_free(&world, "small");
    agrees(&world);
    ports_are_free((9000..9000 + CLIENTS).chain(9100..=9100 + PLACES));
    world.dhow(&["network", "rm", "small"]).exits(0);
}

/// The same with an engine that is killed again and again, and clients that do not wait for it.
#[test]
fn crashes_on_a_small_network_leave_every_address_and_port_free() {
    fn step(door: &mut Door, client: usize, _: &mut Rng) -> io::Result<()> {
        let name = format!("c{client}");
        drop(create(door, &name, &body("small", 9000 + client))?);
        post(door, &name, "start")?;
        remove(door, &name).map(drop)
    }
    let mut world = busybox();
    let mut chance = chance();
    world.dhow(&["network", "create", "--subnet", "10.28.0.0/28", "small"]).exits(0);
    for _ in 0..rounds(12) {
        kill_at_work(&mut world, &mut chance, (step, 1));
    }
    (0..CLIENTS).for_each(|client| drop(world.dhow(&["rm", "-f", &format!("c{client}")])));
    every_address_is_free(&world, "small");
    agrees(&world);
    ports_are_free((9000..9000 + CLIENTS).chain(9100..=9100 + PLACES));
}

/// An engine may be killed between what it writes down and what it does, and the other way round.
#[test]
fn what_an_engine_had_no_time_for_the_next_one_does() {
    let mut world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.51.0.0/24", "stays"]).exits(0);
    world.dhow(&["network", "create", "--subnet", "10.52.0.0/24", "left"]).exits(0);
    serve(&world, "web", &["--network", "stays", "-p", "8080:80"]);
    world.dhow(&["network", "connect", "left", "web"]).exits(0);
    let run_dir = world.exec_root().join("containers").join(world.inspect("web", "{{.Id}}"));
    let (facts, before) = (run_dir.join("network.json"), run_dir.join("before"));
    fs::copy(&facts, &before).expect("it runs");
    // Written down, and not done: it is in `left` no more, and has other ports.
    world.dhow(&["network", "disconnect", "left", "web"]).exits(0);
    world.dhow(&["update", "--publish-rm", "8080:80", "--publish-add", "8081:80", "web"]).exits(0);
    // Done for somebody of whom nothing is written down, and something that is none of ours.
    let bridge = world.dhow(&["network", "inspect", "-f", "{{.ID}}", "stays"]).ok();
    let bridge = format!("br-{}", &bridge[..12]);
    let ip = |words: &str| drop(finish(Command::new("/usr/sbin/ip").args(words.split(' '))).ok());
    for (name, peer) in [("veth0123456789a", "far0"), ("veth-others", "far1")] {
        ip(&format!("link add {name} type veth peer name {peer}"));
        ip(&format!("link set {name} master {bridge}"));
    }
    world.crash_engine();
    fs::copy(&before, &facts).expect("it runs");
    fs::remove_file(&before).expect("it is ours");
    world.start_engine();
    let networks = world.inspect("web", "{{range $name, $it := .NetworkSettings.Networks}}{{$name}} {{end}}");
    assert_eq!(networks.trim(), "stays");
    assert_eq!(world.dhow(&["port", "web", "80"]).ok(), "0.0.0.0:8081\n[::]:8081");
    answers("127.0.0.1:8081", "web");
    answers("[::1]:8081", "web");
    assert_eq!((ask("127.0.0.1:8080"), ask("[::1]:8080")), (None, None));
    serve(&world, "next", &["--network", "left", "--ip", "10.52.0.2", "-p", "8080:80"]);
    assert_eq!(address(&world, "next", "left"), "10.52.0.2", "nobody has it any more");
    answers("127.0.0.1:8080", "next");
    let links = fs::read_to_string("/proc/thread-self/net/dev").expect("there are links");
    assert!(!links.contains("veth0123456789a") && links.contains("veth-others"), "{links}");
    ip("link del veth-others");
    world.dhow(&["rm", "-f", "web", "next"]).exits(0);
    world.dhow(&["network", "rm", "stays", "left"]).exits(0);
}

/// Asks so many times at once.
fn at_once(world: &World, count: usize, what: impl Fn(&mut Door, usize) -> Answer + Sync) -> Vec<Answer> {
    let what = &what;
    thread::scope(|scope| {
        let asked = |number| {
            let socket = world.socket();
            scope.spawn(move || what(&mut door(&socket), number))
        };
        let threads: Vec<_> = (0..count).map(asked).collect();
        threads.into_iter().map(|thread| thread.join().expect("answered")).collect()
    })
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[test]
fn one_of_many_that_want_the_same_has_it() {
    let world = busybox();
    let make = |door: &mut Door, name: &str, more: &str| {
        door.ask("POST", "/networks/create", &format!(r#"{{"Name":"{name}"{more}}}"#)).expect("answered")
    };
    let same_name = at_once(&world, 30, |door, _| make(door, "same", ""));
    assert_eq!((count(&same_name, 201), count(&same_name, 409)), (1, 29));
    let removed = at_once(&world, 30, |door, _| door.ask("DELETE", "/networks/same", "").expect("answered"));
    assert_eq!((count(&removed, 204), count(&removed, 404)), (1, 29));
    let block = r#","IPAM":{"Config":[{"Subnet":"10.33.0.0/24"}]}"#;
    let same_block = at_once(&world, 30, |door, number| make(door, &format!("n{number}"), block));
    assert_eq!((count(&same_block, 201), count(&same_block, 403)), (1, 29));
    let own_blocks = at_once(&world, 30, |door, number| make(door, &format!("own{number}"), ""));
    assert_eq!(count(&own_blocks, 201), 30);
    world.dhow(&["network", "prune", "-f"]).exits(0);
    let same_port = at_once(&world, 20, |door, number| {
        let name = format!("c{number}");
        create(door, &name, &body("bridge", 7070)).expect("answered").expect("created");
        door.ask("POST", &format!("/containers/{name}/start"), "").expect("answered")
    });
    assert_eq!(count(&same_port, 204), 1);
    let refused = same_port.iter().filter(|answer| answer.status == 500);
    assert_eq!(refused.filter(|answer| answer.body.contains("0.0.0.0:7070")).count(), 19);
    agrees(&world);
}

#[test]
fn two_hundred_containers_start_at_once_on_one_network() {
    let world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.55.0.0/24", "big"]).exits(0);
    let started = at_once(&world, 200, |door, number| {
        let name = format!("c{number}");
        create(door, &name, &body("big", 20000 + number)).expect("answered").expect("created");
        door.ask("POST", &format!("/containers/{name}/start"), "").expect("answered")
    });
    let failed = started.iter().find(|answer| answer.status != 204);
    assert!(failed.is_none(), "{failed:?}");
    let told = told(&world);
    assert_eq!((told.addresses.len(), told.ports.len(), told.links), (200, 200, 200));
    agrees(&world);
}

/// What nobody should ask for is refused before anything is done, or works.
#[test]
fn odd_wishes_for_networks_are_refused_in_words_or_fulfilled() {
    let world = busybox();
    let mut door = door(&world.socket());
    let mut make = |more: &str| {
        let answer = door.ask("POST", "/networks/create", &format!(r#"{{"Name":"odd",{more}}}"#)).expect("answered");
        if answer.status == 201 {
            assert_eq!(door.ask("DELETE", "/networks/odd", "").expect("answered").status, 204);
        }
        answer
    };
    let pool = |pools: &str| format!(r#""IPAM":{{"Config":[{pools}]}}"#);
    for (more, status, words) in [
        (pool(r#"{"Subnet":"10.9.0.0/24"},{"Subnet":"10.9.0.0/25"}"#), 403, "Pool overlaps with other one"),
        (pool(r#"{"Subnet":"0.0.0.0/24"}"#), 400, "its addresses stand for this host"),
        (pool(r#"{"Subnet":"10.9.0.0/24","Gateway":"10.9.0.255"}"#), 400, "which nobody can have"),
        (r#""Options":{"com.docker.network.bridge.name":"all"}"#.to_owned(), 400, "invalid interface name"),
        (
            r#""EnableIPv6":true,"Options":{"com.docker.network.driver.mtu":"500"}"#.to_owned(),
            400,
            "invalid MTU number: 500",
        ),
        (
            r#""Options":{"com.docker.network.container_iface_prefix":"fifteen-letters"}"#.to_owned(),
            400,
            "invalid interface name",
        ),
        (pool(r#"{"Subnet":"10.9.0.0/31"}"#), 201, ""),
        (pool(r#"{"Subnet":"255.255.255.0/24"}"#), 201, ""),
        (r#""EnableIPv4":false,"EnableIPv6":true"#.to_owned(), 201, ""),
        (r#""IPAM":{"Driver":null,"Config":null}"#.to_owned(), 201, ""),
    ] {
        let answer = make(&more);
        assert!(answer.status == status && answer.body.contains(words), "{more}: {} {}", answer.status, answer.body);
    }
    world.dhow(&["network", "create", "--subnet", "10.9.0.0/24", &"long".repeat(250)]).exits(0);
    let long = "long".repeat(250);
    let mut run = |endpoint: &str| {
        let body = format!(
            r#"{{"Image":"busybox","Cmd":["true"],"HostConfig":{{"NetworkMode":"{long}"}},
                "NetworkingConfig":{{"EndpointsConfig":{{"{long}":{endpoint}}}}}}}"#
        );
        create(&mut door, "", &body).expect("answered")
    };
    for (endpoint, words) in [
        (r#"{"MacAddress":"ff:ff:ff:ff:ff:ff"}"#, "invalid MAC address ff:ff:ff:ff:ff:ff"),
        (r#"{"DriverOpts":{"com.docker.network.endpoint.ifname":"a/b"}}"#, "invalid interface name"),
        (r#"{"IPAMConfig":{"IPv4Address":"10.9.0.9/24"}}"#, "invalid IPv4 address: 10.9.0.9/24"),
        ("5", "invalid JSON"),
    ] {
        let refused = run(endpoint).expect_err(endpoint);
        assert!(refused.status == 400 && refused.body.contains(words), "{endpoint}: {}", refused.body);
    }
    let odd = r#"{"Aliases":["a b","*","UPPER","","-","a\nb"],"GwPriority":-9223372036854775808}"#;
    let id = run(odd).expect("created");
    world.dhow(&["start", "--attach", &id]).exits(0);
    world.dhow(&["network", "ls"]).exits(0);
    agrees(&world);
}
