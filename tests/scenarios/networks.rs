//! Networks of containers: reaching each other, being reached, names, and what is left. Every test has a network
//! namespace of its own, in which its engine is, too.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use dhow_testkit::{World, eventually, finish_with_input, in_network_of};

use crate::{DHOW, busybox};

/// The default network has no block for ever: who comes first to a host has it.
#[test]
fn the_default_network_gives_way_to_who_takes_its_block_before_it_is_used() {
    let world = busybox();
    let subnet = || world.dhow(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge"]).ok();
    let before = subnet();
    let taken = Command::new("busybox").args(["ip", "address", "add", &before, "dev", "lo"]).status();
    assert!(taken.expect("busybox is there").success());
    world.dhow(&["run", "--rm", "busybox", "ip", "route"]).exits(0);
    assert_ne!(subnet(), before);
    world.is_in_order();
}

/// A server in a container that says its name.
pub(crate) fn serve(world: &World, name: &str, flags: &[&str]) {
    let script = format!("mkdir -p /www; echo {name} > /www/name; exec busybox httpd -f -h /www -p 80");
    let run = [&["run", "-d", "--name", name], flags, &["busybox", "sh", "-c", &script]].concat();
    world.dhow(&run).exits(0);
}

/// What a published port answers.
pub(crate) fn request(address: &str) -> io::Result<String> {
    let address: SocketAddr = address.parse().expect("an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.write_all(b"GET /name HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().last().unwrap_or_default().to_owned())
}

/// The same; `None` if nobody does.
pub(crate) fn ask(address: &str) -> Option<String> {
    request(address).ok()
}

pub(crate) fn answers(address: &str, name: &str) {
    eventually(&format!("{name} answers at {address}"), || ask(address).as_deref() == Some(name));
}

/// What a server answers to a container in some network.
pub(crate) fn fetch(world: &World, network: &str, url: &str) -> Option<String> {
    // Not as process 1, which the signal of `timeout` would not end.
    let script = format!("timeout 5 busybox wget -q -O - {url}; exit $?");
    let run = ["run", "--rm", "--network", network, "busybox", "sh", "-c", &script];
    let outcome = world.dhow(&run);
    (outcome.code() == 0).then(|| outcome.stdout().trim().to_owned())
}

pub(crate) fn address(world: &World, container: &str, network: &str) -> String {
    world.inspect(container, &format!("{{{{(index .NetworkSettings.Networks {network:?}).IPAddress}}}}"))
}

#[test]
fn the_default_network_reaches_out_and_is_reached_by_published_ports_only() {
    let world = busybox();
    serve(&world, "web", &["-p", "8080:80", "-p", "127.0.0.1::80"]);
    answers("127.0.0.1:8080", "web");
    let gateway = world.inspect("web", "{{(index .NetworkSettings.Networks \"bridge\").Gateway}}");
    answers(&format!("{gateway}:8080"), "web");
    let ports = world.dhow(&["port", "web"]).ok();
    let local =
        ports.lines().find_map(|line| line.strip_prefix("80/tcp -> 127.0.0.1:")).expect("a port of the loopback");
    answers(&format!("127.0.0.1:{local}"), "web");
    assert_eq!(ask(&format!("{gateway}:{local}")), None, "published on the loopback only");
    let web = address(&world, "web", "bridge");
    assert_eq!(fetch(&world, "bridge", &format!("http://{web}/name")).as_deref(), Some("web"));
    assert_eq!(fetch(&world, "bridge", &format!("http://{gateway}:8080/name")).as_deref(), Some("web"));
    let hosts = world.dhow(&["exec", "web", "cat", "/etc/hosts"]).ok();
    assert!(hosts.lines().any(|line| line.starts_with(&format!("{web}\t"))), "{hosts}");
    let late = world.dhow(&["run", "--name", "late", "-p", "8080:80", "busybox", "true"]);
    late.exits(125);
    assert!(late.stderr().contains("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{}", late.stderr());
    world.dhow(&["stop", "--time", "1", "web"]).exits(0);
    assert_eq!(ask("127.0.0.1:8080"), None, "closed with the container");
    world.dhow(&["start", "late"]).exits(0);
}

#[test]
fn names_are_found_in_a_network_that_somebody_made() {
    let world = busybox();
    for network in ["front", "back"] {
        world.docker(&["network", "create", network]).exits(0);
    }
    serve(&world, "web", &["--network", "front"]);
    serve(&world, "db", &["--network", "back"]);
    eventually("web answers", || fetch(&world, "front", "http://web/name").as_deref() == Some("web"));
    assert_eq!(fetch(&world, "back", "http://web/name"), None, "a name of another network");
    let web = address(&world, "web", "front");
    assert_eq!(fetch(&world, "back", &format!("http://{web}/name")), None, "and an address of it");
    assert_eq!(
        world.dhow(&["exec", "web", "cat", "/etc/resolv.conf"]).ok().lines().next(),
        Some("nameserver 127.0.0.11")
    );
    world.docker(&["network", "connect", "--alias", "store", "front", "db"]).exits(0);
    eventually("db answers", || fetch(&world, "front", "http://store/name").as_deref() == Some("db"));
    world.docker(&["network", "disconnect", "front", "db"]).exits(0);
    assert_eq!(fetch(&world, "front", "http://store/name"), None);
    world.dhow(&["kill", "web"]).exits(0);
    eventually("the dead have no name", || fetch(&world, "front", "http://web/name").is_none());
    world.dhow(&["rm", "--force", "web", "db"]).exits(0);
    for network in ["front", "back"] {
        world.docker(&["network", "rm", network]).exits(0);
    }
}

#[test]
fn a_link_is_a_name_that_only_one_container_has_for_another() {
    let mut world = busybox();
    world.dhow(&["network", "create", "n"]).exits(0);
    // Nobody is called so yet.
    world
        .dhow(&["run", "-d", "--name", "one", "--network", "n", "--link", "up:base", "busybox", "sleep", "600"])
        .exits(0);
    world.dhow(&["run", "-d", "--name", "two", "--network", "n", "busybox", "sleep", "600"]).exits(0);
    let look_up = |world: &World, who: &str, name: &str| {
        let outcome = world.dhow(&["exec", who, "busybox", "nslookup", "-type=a", name]);
        (outcome.code() == 0).then(|| outcome.stdout().to_owned())
    };
    assert_eq!(look_up(&world, "one", "base"), None);
    serve(&world, "up", &["--network", "n"]);
    let up = address(&world, "up", "n");
    for name in ["base", "base.n", "up"] {
        assert!(look_up(&world, "one", name).expect("an address").contains(&up), "{name}");
    }
    assert_eq!(look_up(&world, "two", "base"), None);
    world.crash_engine();
    world.start_engine();
    assert!(look_up(&world, "one", "base").expect("an address").contains(&up));
    world.dhow(&["network", "disconnect", "n", "one"]).exits(0);
    world.dhow(&["network", "connect", "--link", "up", "--link", "up:other", "n", "one"]).exits(0);
    assert_eq!(look_up(&world, "one", "base"), None);
    assert!(look_up(&world, "one", "other").expect("an address").contains(&up));
}

#[test]
fn a_link_of_the_default_network_is_a_name_of_the_other_container_until_it_is_removed() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "db", "busybox", "sleep", "600"]).exits(0);
    let run = ["run", "-d", "--name", "web", "--link", "db:base", "--link", "db:store", "busybox", "sleep", "600"];
    world.dhow(&run).exits(0);
    assert_eq!(world.inspect("web/base", "{{.Name}}"), "/db");
    let names = || world.dhow(&["ps", "--no-trunc", "--filter", "name=db", "--format", "{{.Names}}"]).ok();
    assert_eq!(world.dhow(&["ps", "--filter", "name=db", "--format", "{{.Names}}"]).ok(), "db");
    assert_eq!(names(), "db,web/base,web/store");
    let hosts = || world.dhow(&["exec", "web", "cat", "/etc/hosts"]).ok();
    assert!(hosts().contains("\tbase ") && hosts().contains("\tstore "), "{}", hosts());
    for client in ["docker", "dhow"] {
        let remove = |link: &str| match client {
            "docker" => world.docker(&["rm", "--link", link]),
            _ => world.dhow(&["rm", "--link", link]),
        };
        remove("web").exits(1).says("Conflict, cannot remove the default link name of the container");
        remove("web/no").exits(1).says("No such container: web/no");
        remove("no/base").exits(1).says("No such container: no/base");
    }
    world.docker(&["rm", "--link", "/web/base"]).exits(0);
    world.dhow(&["rm", "--link", "/web/base"]).exits(1).says("No such container: ");
    assert_eq!(world.inspect("web", "{{.HostConfig.Links}}"), "[/db:/web/store]");
    assert_eq!(names(), "db,web/store");
    assert!(!hosts().contains("\tbase ") && hosts().contains("\tstore "), "{}", hosts());
    assert_eq!(world.dhow(&["ps", "-q"]).ok().lines().count(), 2, "the containers are still there");
}

#[test]
fn an_engine_that_is_killed_closes_nothing_and_the_next_one_knows_everything() {
    let mut world = busybox();
    world.docker(&["network", "create", "front"]).exits(0);
    serve(&world, "web", &["--network", "front", "-p", "8080:80"]);
    answers("127.0.0.1:8080", "web");
    world.crash_engine();
    answers("127.0.0.1:8080", "web");
    world.start_engine();
    answers("127.0.0.1:8080", "web");
    eventually("web answers", || fetch(&world, "front", "http://web/name").as_deref() == Some("web"));
    let second = world.dhow(&["run", "--rm", "-p", "8080:80", "busybox", "true"]);
    assert!(second.stderr().contains("port is already allocated"), "{}", second.stderr());
    let mine = address(&world, "web", "front");
    let other = world.dhow(&["run", "--rm", "--network", "front", "busybox", "hostname", "-i"]).ok();
    assert_ne!(mine, other.trim(), "an address is had by one");
    world.dhow(&["rm", "--force", "web"]).exits(0);
    world.docker(&["network", "rm", "front"]).exits(0);
    assert_eq!(ask("127.0.0.1:8080"), None);
}

#[test]
fn ports_of_a_container_that_runs_are_published_and_taken_back() {
    let mut world = busybox();
    serve(&world, "web", &["-p", "8080:80"]);
    answers("127.0.0.1:8080", "web");
    world.dhow(&["update", "--publish-add", "8081:80", "--publish-add", "127.0.0.1:8082:80", "web"]).exits(0);
    answers("127.0.0.1:8081", "web");
    answers("127.0.0.1:8082", "web");
    let ports = |world: &World, wanted: &[&str]| {
        assert_eq!(world.dhow(&["port", "web"]).ok().lines().collect::<Vec<_>>(), wanted);
    };
    let everywhere = ["80/tcp -> 0.0.0.0:8080", "80/tcp -> 0.0.0.0:8081", "80/tcp -> 127.0.0.1:8082"];
    ports(&world, &[&everywhere[..], &["80/tcp -> [::]:8080", "80/tcp -> [::]:8081"]].concat());
    world.dhow(&["update", "--publish-rm", "8080:80", "web"]).exits(0);
    assert_eq!((ask("127.0.0.1:8080"), ask("[::1]:8080")), (None, None), "taken back");
    answers("127.0.0.1:8081", "web");
    answers("[::1]:8081", "web");
    // Kept over the engine's death and for every start to come.
    world.crash_engine();
    world.start_engine();
    answers("127.0.0.1:8082", "web");
    world.dhow(&["restart", "-t", "0", "web"]).exits(0);
    answers("127.0.0.1:8081", "web");
    ports(&world, &["80/tcp -> 0.0.0.0:8081", "80/tcp -> 127.0.0.1:8082", "80/tcp -> [::]:8081"]);
    // All or nothing.
    let taken = TcpListener::bind("0.0.0.0:8083").expect("free");
    let refused = world.dhow(&["update", "--publish-rm", "80", "--publish-add", "8083:80", "web"]);
    refused.exits(1).says("failed to bind host port 0.0.0.0:8083/tcp: address already in use");
    refused.says("hint: a program of the host has it");
    drop(taken);
    answers("127.0.0.1:8081", "web");
    world.dhow(&["update", "--publish-rm", "81", "web"]).exits(1).says("port 81/tcp is not published like that");
    world.dhow(&["update", "--publish-rm", "80", "web"]).exits(0);
    assert_eq!(world.inspect("web", "{{json .HostConfig.PortBindings}}"), "{}");
    assert_eq!(ask("127.0.0.1:8081"), None, "taken back");
    world.dhow(&["update", "web"]).exits(1).says("you must provide one or more flags when using this command");
}

#[test]
fn a_container_that_has_left_its_networks_has_no_port_until_it_comes_back() {
    let mut world = busybox();
    world.dhow(&["network", "create", "front"]).exits(0);
    serve(&world, "web", &["--network", "front", "-p", "8080:80", "-p", "80"]);
    answers("127.0.0.1:8080", "web");
    let ports = |world: &World| world.dhow(&["port", "web"]).ok().lines().count();
    assert_eq!(ports(&world), 4);
    world.docker(&["network", "disconnect", "front", "web"]).exits(0);
    assert_eq!((ask("127.0.0.1:8080"), ports(&world)), (None, 0));
    let other = TcpListener::bind("0.0.0.0:8080").expect("given back");
    let come_back = |world: &World| world.docker(&["network", "connect", "front", "web"]);
    come_back(&world).exits(1).says("failed to bind host port 0.0.0.0:8080/tcp: address already in use");
    assert_eq!(world.inspect("web", "{{json .NetworkSettings.Networks}}"), "{}");
    drop(other);
    world.crash_engine();
    world.start_engine();
    assert_eq!((ask("127.0.0.1:8080"), ports(&world)), (None, 0));
    come_back(&world).exits(0);
    answers("127.0.0.1:8080", "web");
    answers("[::1]:8080", "web");
    assert_eq!(ports(&world), 4);
    // As long as one way is left, the ports lead there.
    world.dhow(&["network", "connect", "bridge", "web"]).exits(0);
    world.dhow(&["network", "disconnect", "front", "web"]).exits(0);
    answers("127.0.0.1:8080", "web");
    assert_eq!(ports(&world), 4);
}

#[test]
fn a_port_that_could_not_be_passed_on_is_free_for_the_next_one() {
    let world = busybox();
    serve(&world, "web", &["-p", "8080:80"]);
    for _ in 0..8 {
        kill_holder(&world);
        // Nobody may be there to pass it on.
        world.dhow(&["update", "--publish-add", "9999:80", "web"]);
        world.dhow(&["update", "--publish-rm", "9999:80", "web"]);
        eventually("it can be published", || {
            world.dhow(&["run", "--rm", "-p", "9999:80", "busybox", "true"]).code() == 0
        });
        answers("[::1]:8080", "web");
    }
}

#[test]
fn a_link_that_is_made_again_has_its_settings() {
    let world = busybox();
    let network = "name=bridge,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1";
    world.dhow(&["run", "-d", "--name", "box", "--network", network, "busybox", "sleep", "1000"]).exits(0);
    let shown = || {
        let read = world.dhow(&["exec", "box", "cat", "/proc/sys/net/ipv4/conf/eth0/log_martians"]);
        (read.code() == 0).then(|| read.stdout().trim().to_owned())
    };
    assert_eq!(shown().as_deref(), Some("1"));
    let before = inside(&world, "box", || std::fs::read_to_string("/sys/class/net/eth0/ifindex").ok());
    inside(&world, "box", || {
        let gone = Command::new("busybox").args(["ip", "link", "del", "eth0"]).status();
        assert!(gone.expect("busybox is there").success());
    });
    let index = || world.dhow(&["exec", "box", "cat", "/sys/class/net/eth0/ifindex"]).stdout().trim().to_owned();
    eventually("it is made again", || {
        let now = index();
        !now.is_empty() && Some(now.as_str()) != before.as_deref().map(str::trim)
    });
    eventually("it has its settings", || shown().as_deref() == Some("1"));
}

#[test]
fn a_link_has_the_kernels_settings_that_were_asked_for() {
    let world = busybox();
    world.dhow(&["network", "create", "front"]).exits(0);
    let set = "driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1";
    let name = "driver-opt=com.docker.network.endpoint.ifname=wan0";
    let network = format!("name=front,\"{set},net.ipv4.neigh.IFNAME.ucast_solicit=7\",{name}");
    let read = ["cat", "/proc/sys/net/ipv4/conf/wan0/log_martians", "/proc/sys/net/ipv4/neigh/wan0/ucast_solicit"];
    for client in ["docker", "dhow"] {
        let run = [&["run", "--rm", "--network", &network, "busybox"], &read[..]].concat();
        let outcome = if client == "docker" { world.docker(&run) } else { world.dhow(&run) };
        assert_eq!(outcome.ok(), "1\n7");
    }
    let refused = |value: &str| {
        let network = format!("name=front,driver-opt=com.docker.network.endpoint.sysctls={value}");
        let outcome = world.dhow(&["run", "--rm", "--network", &network, "busybox", "true"]);
        outcome.exits(125);
        outcome
    };
    refused("net.ipv4.ip_forward=1").says("invalid sysctl of an interface: \"net.ipv4.ip_forward=1\"");
    refused("net.ipv4.conf.IFNAME.nothing=1").says("the kernel has no setting /proc/sys/net/ipv4/conf/eth0/nothing");
}

/// Does something in a container's network namespace.
pub(crate) fn inside<T: Send + 'static>(
    world: &World,
    container: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    in_network_of(world.inspect(container, "{{.State.Pid}}"), work)
}

#[test]
fn a_container_that_is_renamed_answers_to_its_new_name() {
    let mut world = busybox();
    world.dhow(&["network", "create", "front"]).exits(0);
    serve(&world, "web", &["--network", "front", "--network-alias", "shop"]);
    eventually("web answers", || fetch(&world, "front", "http://web/name").as_deref() == Some("web"));
    world.dhow(&["rename", "web", "www"]).exits(0);
    let known = |world: &World| {
        assert_eq!(fetch(world, "front", "http://www/name").as_deref(), Some("web"));
        assert_eq!(fetch(world, "front", "http://shop/name").as_deref(), Some("web"));
        assert_eq!(fetch(world, "front", "http://web/name"), None, "the old name");
    };
    known(&world);
    world.crash_engine();
    world.start_engine();
    known(&world);
}

#[test]
fn names_are_answered_over_streams_too() {
    let world = busybox();
    world.dhow(&["network", "create", "front"]).exits(0);
    serve(&world, "web", &["--network", "front"]);
    let wanted = address(&world, "web", "front").parse::<Ipv4Addr>().expect("an address").octets();
    let answer = inside(&world, "web", || {
        let mut stream = TcpStream::connect("127.0.0.11:53").expect("somebody listens");
        let question = b"\x00\x15\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01";
        // Two questions, in pieces, on one connection.
        for part in [&question[..5], &question[5..], question] {
            stream.write_all(part).expect("sent");
        }
        let mut answers = [[0; 39]; 2];
        answers.iter_mut().for_each(|answer| stream.read_exact(answer).expect("an answer"));
        assert_eq!(answers[0], answers[1]);
        answers[0]
    });
    assert_eq!((&answer[..4], &answer[35..]), (&[0, 37, 0x12, 0x34][..], &wanted[..]));
}

#[test]
fn a_port_that_is_not_for_everybody_is_for_the_blocks_that_are_named() {
    let mut world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.9.0.0/24", "friends"]).exits(0);
    world.dhow(&["network", "create", "--subnet", "10.8.0.0/24", "strangers"]).exits(0);
    serve(&world, "web", &["-p", "8080:80,from=10.9.0.0/16,from=fd00::/8"]);
    let gateway = world.inspect("web", "{{(index .NetworkSettings.Networks \"bridge\").Gateway}}");
    let url = format!("http://{gateway}:8080/name");
    let decided = |world: &World| {
        answers("127.0.0.1:8080", "web");
        answers(&format!("{gateway}:8080"), "web");
        assert_eq!(fetch(world, "friends", &url).as_deref(), Some("web"));
        assert_eq!(fetch(world, "strangers", &url), None, "not from there");
    };
    decided(&world);
    world.crash_engine();
    world.start_engine();
    decided(&world);
    let bindings = world.inspect("web", "{{json .HostConfig.PortBindings}}");
    assert!(bindings.contains("8080,from=10.9.0.0/16,from=fd00::/8"), "{bindings}");
    world.dhow(&["update", "--publish-rm", "8080:80", "--publish-add", "8080:80", "web"]).exits(0);
    assert_eq!(fetch(&world, "strangers", &url).as_deref(), Some("web"));
    let wrong = world.dhow(&["run", "-p", "1:1,from=10.0.0.0", "busybox", "true"]);
    wrong.exits(125).says("invalid source: 10.0.0.0 (expected a block such as 10.0.0.0/8)");
}

#[test]
fn published_ports_obey_the_hosts_input_policy_where_that_is_configured() {
    let mut world = World::with_flags(DHOW, &["--firewall", "respect-host"]);
    world.import_busybox("busybox");
    world.dhow(&["network", "create", "--subnet", "10.8.0.0/24", "others"]).exits(0);
    serve(&world, "web", &["-p", "8080:80"]);
    answers("127.0.0.1:8080", "web");
    let gateway = world.inspect("web", "{{(index .NetworkSettings.Networks \"bridge\").Gateway}}");
    let url = format!("http://{gateway}:8080/name");
    assert_eq!(fetch(&world, "others", &url).as_deref(), Some("web"));
    let rules = "table inet own { chain in { type filter hook input priority 0; ip saddr 10.8.0.0/24 tcp dport 8080 drop; }; }\n";
    finish_with_input(Command::new("/usr/sbin/nft").args(["-f", "-"]), rules.into()).exits(0);
    assert_eq!(fetch(&world, "others", &url), None, "the host does not let it in");
    answers("127.0.0.1:8080", "web");
    world.crash_engine();
    answers("127.0.0.1:8080", "web");
    world.start_engine();
    answers("127.0.0.1:8080", "web");
    world.dhow(&["rm", "-f", "web"]).exits(0);
    assert_eq!(ask("127.0.0.1:8080"), None, "given back");
}

#[test]
fn starts_that_are_cut_off_leave_no_port_and_no_link() {
    let mut world = busybox();
    for round in 0..6_u64 {
        let name = format!("cut{round}");
        let run = ["run", "-d", "--name", &name, "-p", "8080:80", "busybox", "sleep", "1000"];
        let mut client =
            world.command(&run).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
        thread::sleep(Duration::from_millis(round * 7));
        world.crash_engine();
        drop(client.as_mut().map(std::process::Child::wait));
        world.start_engine();
        world.dhow(&["rm", "--force", &name]);
        world.dhow(&["run", "--rm", "-p", "8080:80", "busybox", "true"]).exits(0);
    }
}

/// Kills the process that passes ports on for this world's engine.
fn kill_holder(world: &World) {
    let folder = world.exec_root().join("network").display().to_string();
    let holder = std::fs::read_dir("/proc").expect("there").flatten().find_map(|process| {
        let line = std::fs::read_to_string(process.path().join("cmdline")).ok()?.replace('\0', " ");
        (line.contains("network-holder") && line.contains(&folder)).then_some(())?;
        process.file_name().to_str()?.parse().ok()
    });
    let holder = holder.and_then(rustix::process::Pid::from_raw).expect("a holder runs");
    rustix::process::kill_process(holder, rustix::process::Signal::KILL).expect("it is ours");
}

#[test]
fn a_holder_that_is_killed_is_replaced_and_no_port_stays_dead() {
    for flags in [&["--firewall", "respect-host"][..], &[]] {
        let mut world = World::with_flags(DHOW, flags);
        world.import_busybox("busybox");
        let port = if flags.is_empty() { "[::]:8080:80" } else { "8080:80" };
        let at = if flags.is_empty() { "[::1]:8080" } else { "127.0.0.1:8080" };
        serve(&world, "web", &["-p", port]);
        answers(at, "web");
        kill_holder(&world);
        answers(at, "web");
        // Whose sockets the next engine has not.
        world.crash_engine();
        world.start_engine();
        answers(at, "web");
        kill_holder(&world);
        answers(at, "web");
        world.dhow(&["rm", "-f", "web"]).exits(0);
        assert_eq!(ask(at), None, "given back");
    }
}

/// A socket of SCTP, where the kernel has such.
fn sctp() -> Option<std::os::fd::OwnedFd> {
    let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
    rustix::net::socket(family, kind, Some(rustix::net::ipproto::SCTP)).ok()
}

#[test]
fn sctp_is_published_where_the_kernel_has_it_and_is_no_hindrance_elsewhere() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "web", "-p", "8080:80/sctp", "busybox", "sleep", "1000"]).exits(0);
    assert_eq!(world.dhow(&["port", "web"]).ok(), "80/sctp -> 0.0.0.0:8080");
    let Some(client) = sctp() else { return };
    let server = inside(&world, "web", || {
        let server = sctp().expect("the kernel has them");
        rustix::net::bind(&server, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80))).expect("free");
        rustix::net::listen(&server, 1).expect("bound");
        server
    });
    let answering = thread::spawn(move || {
        let stream = rustix::net::accept(&server).expect("somebody comes");
        rustix::net::send(&stream, b"web", rustix::net::SendFlags::empty()).expect("sent");
    });
    rustix::net::connect(&client, &SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))).expect("it is published");
    let mut answer = [0; 3];
    rustix::net::recv(&client, &mut answer, rustix::net::RecvFlags::empty()).expect("an answer");
    assert_eq!(&answer, b"web");
    answering.join().expect("it ended");
    let taken = world.dhow(&["run", "--rm", "-p", "8080:80/sctp", "busybox", "true"]);
    taken.exits(125).says("Bind for 0.0.0.0:8080 failed: port is already allocated");
}

#[test]
fn sctp_is_refused_where_it_cannot_be_passed_on() {
    let world = World::with_flags(DHOW, &["--firewall", "respect-host"]);
    world.import_busybox("busybox");
    let run = world.dhow(&["run", "--rm", "-p", "8080:80/sctp", "busybox", "true"]);
    run.exits(125).says("port 80/sctp cannot be published: SCTP is not passed on");
}
