//! Links: names that one container has for others.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use dhow_testkit::{World, eventually, finish};

use crate::networks::{address, answers, serve};
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
    inside(&world, "app", "printf '\\377\\n' > /etc/hosts");
    let now = moved(&world, "db", "bridge", AGAIN);
    assert_eq!(inside(&world, "app", "head -n 1 /etc/hosts | od -An -tx1").trim(), "ff 0a", "what is no text stays");
    assert_eq!(inside(&world, "app", &format!("grep -c {now} /etc/hosts")), "2");
    inside(&world, "app", "head -c 2000000 /dev/zero > /etc/hosts");
    moved(&world, "db", "bridge", AGAIN);
    assert_eq!(inside(&world, "app", "stat -c %s /etc/hosts"), "2000000", "what is too long is left alone");
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
    let uts = ["create", "--network", "container:nobody", "--uts", "host", "-h", "name", "busybox"];
    world.dhow(&uts).exits(1).says("conflicting options: hostname and the network mode");
    let nobody = world.docker(&["create", "--network", "container", "busybox"]);
    nobody.exits(1).says("invalid network mode: invalid container format container:<name|id>");
}

fn ip(words: &str) -> String {
    finish(Command::new("/usr/sbin/ip").args(words.split(' '))).ok()
}

/// `bridge = "none"`, and back again.
#[test]
fn an_engine_without_a_default_network_gives_containers_a_loopback() {
    let mut world = busybox();
    let file = world.path().join("daemon.toml");
    let dhow0 = || finish(Command::new("/usr/sbin/ip").args(["link", "show", "dhow0"])).code() == 0;
    let links = |world: &World, flags: &[&str]| {
        let run = [&["run", "--rm"], flags, &["busybox", "ls", "/sys/class/net"]].concat();
        world.docker(&run).ok().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(links(&world, &[]).contains("eth0") && dhow0());
    world.stop_engine();
    fs::write(&file, "bridge = \"none\"\n").expect("written");
    world.start_engine();
    assert!(!dhow0(), "what was there is taken away");
    assert_eq!(world.docker(&["network", "ls", "--format", "{{.Name}}"]).ok(), "host\nnone");
    world.docker(&["network", "inspect", "bridge"]).exits(1).says("network bridge not found");
    let refused = world.docker(&["network", "create", "bridge"]);
    refused.exits(1).says("operation is not permitted on predefined bridge network");
    for flags in [&[][..], &["--network", "bridge"], &["--network", "none"]] {
        assert!(!links(&world, flags).contains("eth0") && links(&world, flags).contains("lo"), "{flags:?}");
    }
    let published = world.docker(&["run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sleep", "100000"]);
    published.exits(0).says("Published ports are discarded: the engine runs without a default network");
    assert_eq!(world.inspect("web", "{{.HostConfig.NetworkMode}}"), "bridge");
    world.docker(&["network", "connect", "bridge", "web"]).exits(1).says("network bridge not found");
    world.docker(&["network", "create", "mine"]).exits(0);
    assert!(links(&world, &["--network", "mine"]).contains("eth0"));
    assert!(!dhow0());
    world.stop_engine();
    fs::write(&file, "").expect("written");
    world.start_engine();
    assert!(inside(&world, "web", "ls /sys/class/net").contains("lo"), "it runs on");
    world.docker(&["restart", "-t", "0", "web"]).exits(0);
    assert_eq!(world.docker(&["port", "web", "80"]).ok().lines().next(), Some("0.0.0.0:8080"));
    assert!(dhow0());
    world.is_in_order();
}

#[test]
fn the_default_network_can_be_on_a_bridge_of_the_host() {
    let mut world = busybox();
    world.stop_engine();
    let file = world.path().join("daemon.toml");
    let set = |text: &str| fs::write(&file, text).expect("written");
    set("bridge = \"own0\"\n");
    let error = world.try_start_engine().expect_err("there is no such bridge");
    assert!(error.contains("bridge of the default network: network link own0"), "{error}");
    ip("link add own0 type bridge");
    ip("address add 10.83.0.7/24 dev own0");
    ip("link set own0 up");
    set("bridge = \"own0\"\nfixed-cidr = \"10.84.0.0/25\"\n");
    let error = world.try_start_engine().expect_err("no part of it");
    assert!(error.contains("10.84.0.0/25 is no part of 10.83.0.0/24, which the bridge has"), "{error}");
    set("bridge = \"own0\"\nfixed-cidr = \"10.83.0.128/25\"\n");
    world.start_engine();
    sleeper(&world, "web", &[]);
    let place = address(&world, "web", "bridge");
    let last: u8 = place.strip_prefix("10.83.0.").and_then(|last| last.parse().ok()).expect("of the bridge's block");
    assert!(last >= 128, "of the part that containers get: {place}");
    assert_eq!(world.inspect("web", "{{.NetworkSettings.Networks.bridge.Gateway}}"), "10.83.0.7");
    assert!(reaches(&world, "web", "10.83.0.7"));
    assert!(ip("-o link show type veth").contains("master own0"));
    assert!(!ip("-o link show").contains("dhow0"));
    world.stop_engine();
    world.start_engine();
    assert_eq!(address(&world, "web", "bridge"), place);
    assert!(reaches(&world, "web", "10.83.0.7"));
    world.docker(&["rm", "-f", "web"]).exits(0);
    world.stop_engine();
    set("");
    world.start_engine();
    world.docker(&["run", "--rm", "busybox", "true"]).exits(0);
    assert!(ip("-o address show own0").contains("10.83.0.7/24"), "it stays whose it is");
    assert!(ip("-o link show").contains("dhow0"));
}

/// Sets what the engine reads, and starts another one.
fn again_with(world: &mut World, text: &str) {
    world.stop_engine();
    fs::write(world.path().join("daemon.toml"), text).expect("written");
    world.start_engine();
}

#[test]
fn a_default_network_that_gets_a_bridge_of_the_host_leaves_its_own() {
    let mut world = busybox();
    world.docker(&["run", "--rm", "busybox", "true"]).exits(0);
    assert!(ip("-o link show").contains("dhow0"));
    ip("link add own0 type bridge");
    ip("address add 10.83.0.7/24 dev own0");
    let say = |alias: &str| finish(Command::new("/usr/sbin/ip").args(["link", "set", "own0", "alias", alias])).ok();
    say("dhow 01234567 0123456789ab");
    world.stop_engine();
    fs::write(world.path().join("daemon.toml"), "bridge = \"own0\"\n").expect("written");
    let error = world.try_start_engine().expect_err("another engine has made it");
    assert!(error.contains("the host's link own0 belongs to dhow 01234567 0123456789ab"), "{error}");
    say("the house's uplink");
    world.start_engine();
    assert!(!ip("-o link show").contains("dhow0"));
    sleeper(&world, "web", &[]);
    assert!(ip("-o link show type veth").contains("master own0"));
    assert_eq!(ip("-o address show").matches("10.83.0.7/24").count(), 1, "no other link has its address");
    assert!(reaches(&world, "web", "10.83.0.7"));
}

const STAYS: &str = "containers run on the bridge that the default network is to leave";

#[test]
fn a_default_network_stays_under_containers_that_run_on_it() {
    let mut world = busybox();
    serve(&world, "old", &["-p", "8080:80"]);
    let place = address(&world, "old", "bridge");
    let gateway = world.inspect("old", "{{.NetworkSettings.Networks.bridge.Gateway}}");
    ip("link add own0 type bridge");
    ip("address add 10.83.0.7/24 dev own0");
    for text in ["bridge = \"none\"\n", "bridge = \"own0\"\n", "bridge = \"none\"\n"] {
        again_with(&mut world, text);
        assert!(world.engine_log().contains(STAYS), "{text}: {}", world.engine_log());
        assert_eq!(address(&world, "old", "bridge"), place);
        assert!(ip("-o link show type veth").contains("master dhow0"), "{text}");
        assert!(reaches(&world, "old", &gateway), "{text}");
        answers("127.0.0.1:8080", "old");
    }
    sleeper(&world, "new", &[]);
    assert!(!inside(&world, "new", "ls /sys/class/net").contains("eth0"), "who comes now has a loopback");
    world.docker(&["network", "connect", "bridge", "new"]).exits(1).says("network bridge not found");
    world.docker(&["rm", "-f", "old"]).exits(0);
    again_with(&mut world, "bridge = \"none\"\n");
    assert!(!ip("-o link show").contains("dhow0"), "the last one has gone");
    assert_eq!(world.docker(&["network", "ls", "--format", "{{.Name}}"]).ok(), "host\nnone");
}

#[test]
fn a_link_stays_when_its_container_comes_into_a_network_while_the_other_starts() {
    let mut world = busybox();
    let [gate, asked, runtime] = ["gate", "asked", "runtime"].map(|name| world.path().join(name));
    let waits = format!("while [ -e {} ]; do : > {}; sleep 0.1; done", gate.display(), asked.display());
    fs::write(&runtime, format!("#!/bin/sh\n{waits}\nexec {DHOW} runtime \"$@\"\n")).expect("written");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).expect("executable");
    again_with(&mut world, &format!("[runtimes.late]\npath = \"{}\"\n", runtime.display()));
    world.docker(&["network", "create", "mine"]).exits(0);
    sleeper(&world, "db", &["--runtime", "late"]);
    sleeper(&world, "app", &["--link", "db:data"]);
    world.docker(&["stop", "-t", "0", "db"]).exits(0);
    fs::write(&gate, "").expect("written");
    let mut start = world.command(&["start", "db"]).stdout(Stdio::null()).spawn().expect("started");
    eventually("its runtime is asked", || asked.exists());
    world.docker(&["network", "connect", "mine", "app"]).exits(0);
    fs::remove_file(&gate).expect("it was there");
    assert!(start.wait().expect("our child").success());
    assert_eq!(known(&world, "app", "data"), [address(&world, "db", "bridge")]);
}

/// Holds a lease on a container's file, as root in there might, and lets it go at the end of its input.
fn lease(world: &World, container: &str) -> Child {
    let path = format!("/proc/{}/root/etc/hosts", world.inspect(container, "{{.State.Pid}}"));
    let script = "import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
fcntl.fcntl(os.open(sys.argv[1], os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)
print('held', flush=True)
sys.stdin.read()";
    let mut python = Command::new("python3");
    python.args(["-c", script, &path]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = python.spawn().expect("python3 is there");
    let mut line = String::new();
    BufReader::new(holder.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("read");
    assert_eq!(line, "held\n");
    holder
}

/// Whether nobody has waited until the kernel took the lease away.
fn holds(holder: &Child) -> bool {
    let (locks, pid) = (fs::read_to_string("/proc/locks").expect("read"), holder.id().to_string());
    locks.lines().any(|line| line.contains("LEASE") && line.split_whitespace().any(|word| word == pid))
}

fn let_go(mut holder: Child) {
    drop(holder.stdin.take());
    holder.wait().expect("our child");
}

#[test]
fn nobody_waits_for_a_container_that_holds_its_own_file() {
    let world = busybox();
    world.docker(&["network", "create", "mine"]).exits(0);
    sleeper(&world, "db", &[]);
    sleeper(&world, "app", &["--link", "db"]);
    sleeper(&world, "other", &["--link", "db"]);
    let holder = lease(&world, "app");
    let now = moved(&world, "db", "bridge", AGAIN);
    assert_eq!(known(&world, "other", "db"), [now.as_str()]);
    world.docker(&["network", "connect", "mine", "app"]).exits(0);
    assert!(holds(&holder), "nobody has waited for it");
    for words in ["a link is not renewed", "a file of a container is not renewed"] {
        assert!(world.engine_log().contains(words), "{words}: {}", world.engine_log());
    }
    // As one that shares its network and runs on.
    world.docker(&["restart", "-t", "0", "app"]).exits(0);
    assert!(holds(&holder), "nor its own start");
    assert_eq!(known(&world, "app", "db"), [now.as_str()]);
    let_go(holder);
    assert_eq!([moved(&world, "db", "bridge", AGAIN)], known(&world, "app", "db")[..]);
}
