//! Networks with IPv6, alone and beside IPv4.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use dhow_testkit::{World, eventually, finish_with_input};

use crate::networks::{answers, ask, fetch, inside, serve};
use crate::{DHOW, busybox};

fn shown(world: &World, network: &str, template: &str) -> String {
    world.docker(&["network", "inspect", "-f", template, network]).ok()
}

fn address6(world: &World, container: &str, network: &str) -> String {
    world.inspect(container, &format!("{{{{(index .NetworkSettings.Networks {network:?}).GlobalIPv6Address}}}}"))
}

#[test]
fn a_network_has_both_families_with_and_without_a_block_that_is_named() {
    let mut world = busybox();
    world.docker(&["network", "create", "--ipv6", "any"]).exits(0);
    world
        .dhow(&["network", "create", "--ipv6", "--subnet", "fd00:77::/64", "--subnet", "10.77.0.0/24", "mine"])
        .exits(0);
    let template = "{{.EnableIPv4}} {{.EnableIPv6}} {{len .IPAM.Config}}";
    assert_eq!(shown(&world, "any", template), "true true 2");
    assert_eq!(shown(&world, "mine", "{{(index .IPAM.Config 0).Subnet}}"), "10.77.0.0/24", "IPv4 first, as in Docker");
    assert_eq!(shown(&world, "mine", template), "true true 2");
    assert!(shown(&world, "any", "{{range .IPAM.Config}}{{.Subnet}} {{end}}").contains("/64 "));
    serve(&world, "web", &["--network", "mine", "--ip", "10.77.0.9", "--ip6", "fd00:77::9"]);
    assert_eq!(address6(&world, "web", "mine"), "fd00:77::9");
    let template = "{{(index .NetworkSettings.Networks \"mine\").IPv6Gateway}} \
                    {{(index .NetworkSettings.Networks \"mine\").GlobalIPv6PrefixLen}}";
    assert_eq!(world.inspect("web", template), "fd00:77::1 64");
    let id = world.inspect("web", "{{.Id}}");
    let member = shown(&world, "mine", &format!("{{{{(index .Containers {id:?}).IPv6Address}}}}"));
    assert_eq!(member, "fd00:77::9/64");
    let by_name = |kind: &str| {
        let outcome = world.dhow(&[
            "run",
            "--rm",
            "--network",
            "mine",
            "busybox",
            "busybox",
            "nslookup",
            &format!("-type={kind}"),
            "web",
        ]);
        outcome.stdout()
    };
    assert!(by_name("aaaa").contains("fd00:77::9") && by_name("a").contains("10.77.0.9"));
    eventually("web answers", || fetch(&world, "mine", "http://[fd00:77::9]/name").as_deref() == Some("web"));
    assert_eq!(fetch(&world, "any", "http://[fd00:77::9]/name"), None, "another network");
    let hosts = world.dhow(&["exec", "web", "cat", "/etc/hosts"]).ok();
    assert!(hosts.lines().any(|line| line.starts_with("fd00:77::9\t")), "{hosts}");
    world.crash_engine();
    world.start_engine();
    eventually("web answers", || fetch(&world, "mine", "http://[fd00:77::9]/name").as_deref() == Some("web"));
    let taken = world.dhow(&["run", "--rm", "--network", "mine", "--ip6", "fd00:77::9", "busybox", "true"]);
    taken.exits(125).says("Address already in use");
}

#[test]
fn ports_are_published_in_both_families_and_in_one_alone() {
    let mut world = busybox();
    world.dhow(&["network", "create", "--ipv6", "both"]).exits(0);
    world.dhow(&["network", "create", "--ipv6", "--ipv4=false", "six"]).exits(0);
    serve(&world, "web", &["--network", "both", "-p", "8080:80", "-p", "[::1]:8081:80"]);
    serve(&world, "six", &["--network", "six", "-p", "8082:80"]);
    let decided = |world: &World| {
        answers("127.0.0.1:8080", "web");
        answers("[::1]:8080", "web");
        answers("[::1]:8081", "web");
        assert_eq!(ask("127.0.0.1:8081"), None, "published at the other family's loopback");
        answers("[::1]:8082", "six");
        assert_eq!(ask("127.0.0.1:8082"), None, "it has no IPv4");
        assert_eq!(world.dhow(&["port", "six"]).ok(), "80/tcp -> [::]:8082");
    };
    decided(&world);
    let gateway = world.inspect("web", "{{(index .NetworkSettings.Networks \"both\").IPv6Gateway}}");
    let url = format!("http://[{gateway}]:8080/name");
    assert_eq!(fetch(&world, "both", &url).as_deref(), Some("web"), "from a neighbour, by the host");
    assert_eq!(fetch(&world, "six", &url).as_deref(), Some("web"), "from another network, by the host");
    world.crash_engine();
    decided_by_kernel();
    world.start_engine();
    decided(&world);
    world.dhow(&["rm", "-f", "web", "six"]).exits(0);
    assert_eq!((ask("[::1]:8080"), ask("[::1]:8082")), (None, None));
}

/// While there is no engine.
fn decided_by_kernel() {
    answers("[::1]:8080", "web");
    answers("[::1]:8082", "six");
}

#[test]
fn a_port_of_ipv6_leads_to_a_container_that_has_only_ipv4() {
    let mut world = busybox();
    serve(&world, "web", &["-p", "[::]:8080:80", "-p", "[::1]:8081:80"]);
    answers("[::1]:8080", "web");
    answers("[::1]:8081", "web");
    assert_eq!(ask("127.0.0.1:8080"), None, "published for IPv6 alone");
    assert_eq!(world.dhow(&["port", "web", "80"]).ok(), "[::]:8080\n[::1]:8081");
    let taken = world.dhow(&["run", "--rm", "-p", "[::]:8080:80", "busybox", "true"]);
    taken.exits(125).says("port is already allocated");
    world.crash_engine();
    answers("[::1]:8080", "web");
    world.start_engine();
    answers("[::1]:8080", "web");
    world.dhow(&["restart", "-t", "0", "web"]).exits(0);
    answers("[::1]:8080", "web");
    world.dhow(&["update", "--publish-add", "[::1]:8083:80", "--publish-rm", "[::1]:8081:80", "web"]).exits(0);
    answers("[::1]:8083", "web");
    assert_eq!(ask("[::1]:8081"), None, "taken back");
    world.dhow(&["rm", "-f", "web"]).exits(0);
    assert_eq!(ask("[::1]:8080"), None, "closed with the container");
    // A port of a container that went while there was no engine.
    serve(&world, "gone", &["-p", "[::]:8080:80"]);
    answers("[::1]:8080", "gone");
    let pid = world.inspect("gone", "{{.State.Pid}}").parse().expect("a number");
    world.crash_engine();
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    world.start_engine();
    eventually("it is free again", || TcpListener::bind("[::]:8080").is_ok());
}

/// As Docker does it: what names no address is published in both families, whatever the container has, where the host has both.
#[test]
fn a_port_that_names_no_address_is_published_in_both_families() {
    let mut world = busybox();
    let ports = ["-p", "8080:80", "-p", "0.0.0.0:8081:80", "-p", "127.0.0.1:8082:80", "-p", "[::]:8083:80"];
    serve(&world, "web", &[&ports[..], &["-p", "5300:53/udp"]].concat());
    let mut listed = world.docker(&["port", "web"]).ok().lines().map(str::to_owned).collect::<Vec<_>>();
    listed.sort();
    let expected = ["0.0.0.0:8080", "0.0.0.0:8081", "127.0.0.1:8082", "[::]:8080", "[::]:8083"];
    let datagrams = ["53/udp -> 0.0.0.0:5300".to_owned(), "53/udp -> [::]:5300".to_owned()];
    assert_eq!(listed, [&datagrams[..], &expected.map(|at| format!("80/tcp -> {at}"))].concat());
    let template = "{{range (index .NetworkSettings.Ports \"53/udp\")}}{{.HostIp}} {{.HostPort}};{{end}}";
    assert_eq!(world.inspect("web", template), "0.0.0.0 5300;:: 5300;");
    assert!(world.docker(&["ps"]).ok().contains("0.0.0.0:8080->80/tcp, "));
    answer_datagrams(&world, "web", "0.0.0.0:53");
    let reached = || {
        for at in ["127.0.0.1:8080", "[::1]:8080", "127.0.0.1:8081", "127.0.0.1:8082", "[::1]:8083"] {
            answers(at, "web");
        }
        for at in ["[::1]:8081", "[::1]:8082", "127.0.0.1:8083"] {
            assert_eq!(ask(at), None, "{at}: published in the other family alone");
        }
        for at in ["127.0.0.1:5300", "[::1]:5300"] {
            eventually(at, || is_answered(at));
        }
    };
    reached();
    world.crash_engine();
    reached();
    world.start_engine();
    reached();
    // An engine that has not taken the port itself finds it again.
    world.dhow(&["network", "disconnect", "bridge", "web"]).exits(0);
    world.dhow(&["network", "connect", "bridge", "web"]).exits(0);
    answers("127.0.0.1:8080", "web");
    answers("[::1]:8080", "web");
    let taken = TcpListener::bind("[::1]:8084").expect("free");
    let refused = world.dhow(&["run", "--rm", "-p", "8084:80", "busybox", "true"]);
    refused.exits(125).says("failed to bind host port [::]:8084/tcp: address already in use");
    drop(taken);
    world.dhow(&["rm", "-f", "web"]).exits(0);
    assert_eq!((ask("127.0.0.1:8080"), ask("[::1]:8080")), (None, None), "closed with the container");
    // A host whose IPv6 is switched off, and a network that says where its ports are published.
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").expect("root may");
    serve(&world, "old", &["-p", "8080:80"]);
    assert_eq!(world.dhow(&["port", "old"]).ok(), "80/tcp -> 0.0.0.0:8080");
    answers("127.0.0.1:8080", "old");
    std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "0").expect("root may");
    let binding = |address: &str| format!("com.docker.network.bridge.host_binding_ipv4={address}");
    world.dhow(&["network", "create", "-o", &binding("127.0.0.1"), "local"]).exits(0);
    world.dhow(&["network", "create", "-o", &binding("0.0.0.0"), "open"]).exits(0);
    serve(&world, "local", &["--network", "local", "-p", "8085:80"]);
    serve(&world, "open", &["--network", "open", "-p", "8086:80"]);
    assert_eq!(world.dhow(&["port", "local", "80"]).ok(), "127.0.0.1:8085");
    assert_eq!(world.dhow(&["port", "open", "80"]).ok(), "0.0.0.0:8086\n[::]:8086");
}

#[test]
fn who_may_come_is_told_by_blocks_of_ipv6_too() {
    let world = busybox();
    world.dhow(&["network", "create", "--ipv6", "--subnet", "fd00:9::/64", "friends"]).exits(0);
    world.dhow(&["network", "create", "--ipv6", "--subnet", "fd00:8::/64", "strangers"]).exits(0);
    world.dhow(&["network", "create", "--ipv6", "--subnet", "fd00:7::/64", "home"]).exits(0);
    serve(&world, "web", &["--network", "home", "-p", "8080:80,from=fd00:9::/64"]);
    answers("[::1]:8080", "web");
    let url = "http://[fd00:7::1]:8080/name";
    assert_eq!(fetch(&world, "friends", url).as_deref(), Some("web"));
    assert_eq!(fetch(&world, "strangers", url), None, "not from there");
}

/// Answers datagrams in a container.
fn answer_datagrams(world: &World, container: &str, at: &'static str) {
    let socket = inside(world, container, move || UdpSocket::bind(at).expect("free"));
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    thread::spawn(move || {
        while let Ok((_, client)) = socket.recv_from(&mut [0; 100]) {
            drop(socket.send_to(b"here", client));
        }
    });
}

/// Whether a datagram is answered.
fn is_answered(at: &str) -> bool {
    let any = if at.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let client = UdpSocket::bind(any).expect("a port");
    client.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    client.send_to(b"x", at).is_ok() && client.recv(&mut [0; 10]).is_ok()
}

#[test]
fn the_hosts_policy_decides_about_ipv6_and_datagrams_too() {
    let world = World::with_flags(DHOW, &["--firewall", "respect-host"]);
    world.import_busybox("busybox");
    world.dhow(&["network", "create", "--ipv6", "both"]).exits(0);
    serve(&world, "web", &["--network", "both", "-p", "8080:80", "-p", "5300:53/udp", "-p", "5301:53/udp"]);
    answer_datagrams(&world, "web", "[::]:53");
    answers("[::1]:8080", "web");
    for at in ["127.0.0.1:5300", "[::1]:5300", "127.0.0.1:5301"] {
        eventually(at, || is_answered(at));
    }
    let rules = "table inet own { chain in { type filter hook input priority 0; \
                 ip6 daddr ::1 tcp dport 8080 drop; udp dport 5300 drop; }; }\n";
    finish_with_input(Command::new("/usr/sbin/nft").args(["-f", "-"]), rules.into()).exits(0);
    answers("127.0.0.1:8080", "web");
    assert_eq!(ask("[::1]:8080"), None, "the host does not let it in");
    assert!(!is_answered("127.0.0.1:5300") && !is_answered("[::1]:5300"), "nor datagrams");
    eventually("the other port", || is_answered("127.0.0.1:5301"));
}

#[test]
fn datagrams_and_streams_cross_from_one_family_to_the_other_whole() {
    let world = busybox();
    serve(&world, "web", &["-p", "[::]:5300:53/udp", "-p", "[::]:9000:9000"]);
    answer_datagrams(&world, "web", "0.0.0.0:53");
    eventually("a datagram", || is_answered("[::1]:5300"));
    let listener = inside(&world, "web", || TcpListener::bind("0.0.0.0:9000").expect("free"));
    let echo = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        std::io::copy(&mut &stream, &mut &stream).is_ok()
    });
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let mut stream = std::net::TcpStream::connect("[::1]:9000").expect("published");
    let (mut sender, sent) = (stream.try_clone().expect("a copy"), bytes.clone());
    let send =
        thread::spawn(move || sender.write_all(&sent).is_ok() && sender.shutdown(std::net::Shutdown::Write).is_ok());
    let mut came = Vec::new();
    stream.read_to_end(&mut came).expect("it ends");
    assert!(came == bytes && send.join().expect("it ended") && echo.join().expect("it ended"), "{} bytes", came.len());
}

#[test]
fn a_container_may_do_without_ipv6_in_a_network_that_has_it() {
    let world = busybox();
    world.dhow(&["network", "create", "--ipv6", "both"]).exits(0);
    world.dhow(&["network", "create", "four"]).exits(0);
    let off = ["run", "-d", "--name", "box", "--network", "both", "--sysctl", "net.ipv6.conf.all.disable_ipv6=1"];
    world.dhow(&[&off[..], &["busybox", "sleep", "1000"]].concat()).exits(0);
    world.dhow(&["network", "connect", "four", "box"]).exits(0);
    let gateway = world.inspect("box", "{{(index .NetworkSettings.Networks \"four\").Gateway}}");
    world.dhow(&["exec", "box", "busybox", "ping", "-c", "1", "-W", "5", &gateway]).exits(0);
}
