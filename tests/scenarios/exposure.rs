//! `network exposure`: what is reachable from where, and why.

use std::process::Command;

use dhow_testkit::{World, eventually, finish};

use crate::{DHOW, busybox};

/// `name|way|at|to|from`, a line each.
fn ways(world: &World) -> String {
    world.dhow(&["network", "exposure", "--format", "{{.Name}}|{{.Way}}|{{.At}}|{{.To}}|{{.From}}"]).ok()
}

fn why(world: &World, name: &str) -> Vec<String> {
    let all = world.dhow(&["network", "exposure", "--format", "{{.Name}}|{{.Why}}"]).ok();
    all.lines().filter_map(|line| line.strip_prefix(&format!("{name}|"))).map(str::to_owned).collect()
}

#[test]
fn every_way_to_a_container_is_told_with_its_reason() {
    let world = busybox();
    world.dhow(&["network", "create", "--subnet", "10.77.0.0/24", "front"]).exits(0);
    world.dhow(&["network", "create", "--subnet", "10.78.0.0/24", "--internal", "vault"]).exits(0);
    assert_eq!(ways(&world), "", "nobody runs");
    let run = |name: &str, flags: &[&str]| {
        world.dhow(&[&["run", "-d", "--name", name], flags, &["busybox", "sleep", "1000"]].concat()).exits(0);
    };
    let web = ["--network", "front", "--ip", "10.77.0.9", "-p", "8080:80", "-p", "127.0.0.1:8081:81"];
    run("web", &[&web[..], &["-p", "8082:82/udp,from=10.0.0.0/8"]].concat());
    run("safe", &["--network", "vault", "--ip", "10.78.0.9", "-p", "9090:90"]);
    run("guest", &["--network", "container:web"]);
    run("alone", &["--network", "none"]);
    let all = ways(&world);
    for line in [
        "web|published|0.0.0.0:8080/tcp|10.77.0.9:80|everybody",
        "web|published|[::]:8080/tcp|10.77.0.9:80|everybody",
        "web|published|127.0.0.1:8081/tcp|10.77.0.9:81|this host",
        "web|published|0.0.0.0:8082/udp|10.77.0.9:82|this host, 10.0.0.0/8",
        "web|published|[::]:8082/udp|10.77.0.9:82|this host, 10.0.0.0/8",
        "web|network|10.77.0.9||containers in front, this host",
        "safe|closed||90/tcp|nowhere",
        "safe|network|10.78.0.9||containers in vault, this host",
        "guest|network|||whoever reaches web",
    ] {
        assert!(all.lines().any(|found| found == line), "{line} is missing in\n{all}");
    }
    assert!(!all.contains("alone"), "{all}");
    assert!(why(&world, "safe").iter().any(|why| why.contains("internal: nobody else")), "{:?}", why(&world, "safe"));
    assert!(why(&world, "web").iter().any(|why| why.contains("rules for what comes in are not asked")));
    let table = world.dhow(&["network", "exposure"]).ok();
    assert!(table.starts_with("CONTAINER   WAY"), "{table}");
    let json = world.dhow(&["network", "exposure", "--format", "json"]).ok();
    assert!(json.lines().all(|line| line.starts_with('{') && line.contains("\"Why\":")), "{json}");
    world.dhow(&["update", "--publish-rm", "8080:80", "web"]).exits(0);
    assert!(!ways(&world).contains("8080"), "taken back");
}

#[test]
fn sockets_of_a_container_in_the_hosts_network_are_seen_and_those_of_the_host_are_not() {
    let world = busybox();
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let script = "mkdir /www; exec busybox httpd -f -h /www -p 8099";
    world.dhow(&["run", "-d", "--name", "host", "--network", "host", "busybox", "sh", "-c", script]).exits(0);
    eventually("its socket is seen", || ways(&world).contains("8099/tcp||everybody"));
    let port = stranger.local_addr().expect("bound").port();
    assert!(!ways(&world).contains(&format!(":{port}/")), "the host's own socket");
}

#[test]
fn the_hosts_policy_is_named_where_it_decides() {
    let world = World::with_flags(DHOW, &["--firewall", "respect-host"]);
    world.import_busybox("busybox");
    world.dhow(&["run", "-d", "--name", "web", "-p", "8080:80", "busybox", "sleep", "1000"]).exits(0);
    assert!(why(&world, "web").iter().any(|why| why.contains("firewall = respect-host")), "{:?}", why(&world, "web"));
    // A client of another engine says so, too.
    let stock = finish(Command::new(DHOW).args(["-H", "unix:///nowhere.sock", "network", "exposure"]));
    stock.exits(1);
}
