//! Who is beside the host, and not on it: how a container looks from there, and how it looks to a container.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use dhow_testkit::{World, eventually, finish};

use crate::busybox;
use crate::networks::inside;

/// The host on the wire to its neighbour.
pub(crate) const HOST: &str = "10.55.0.1";
pub(crate) const NEIGHBOUR: &str = "10.55.0.2";

fn ip(words: &str) {
    finish(Command::new("/usr/sbin/ip").args(words.split(' '))).exits(0);
}

/// A machine on the same wire: a container without a network, which has one end of the wire. It finds containers by the host,
/// and serves its files.
pub(crate) fn neighbour(world: &World) {
    let serve = ["busybox", "busybox", "httpd", "-f", "-h", "/"];
    world.dhow(&[&["run", "-d", "--name", "neighbour", "--network", "none"], &serve[..]].concat()).exits(0);
    let pid = world.inspect("neighbour", "{{.State.Pid}}");
    ip("link add wire0 type veth peer name far0");
    ip(&format!("link set far0 netns {pid}"));
    ip(&format!("addr add {HOST}/24 dev wire0"));
    ip("link set wire0 up");
    inside(world, "neighbour", || {
        ip(&format!("addr add {NEIGHBOUR}/24 dev far0"));
        ip("link set far0 up");
        ip(&format!("route add default via {HOST}"));
    });
    let reached = || inside(world, "neighbour", || finish(Command::new("busybox").args(["ping", "-c1", HOST])));
    eventually("the wire is up", || reached().code() == 0);
}

/// Who a container is to the neighbour.
fn seen_from_outside(world: &World, network: &str) -> IpAddr {
    let listener = inside(world, "neighbour", || TcpListener::bind((NEIGHBOUR, 81)).expect("free"));
    let seen = thread::spawn(move || listener.accept().expect("somebody comes").1.ip());
    let ask = format!("echo | timeout 20 busybox nc {NEIGHBOUR} 81");
    world.dhow(&["run", "--rm", "--name", "client", "--network", network, "busybox", "sh", "-c", &ask]).exits(0);
    seen.join().expect("it ended")
}

#[test]
fn what_goes_out_has_the_hosts_address_unless_the_network_is_told_not_to() {
    let world = busybox();
    neighbour(&world);
    let masquerade = "com.docker.network.bridge.enable_ip_masquerade=false";
    world.docker(&["network", "create", "--subnet", "10.77.0.0/24", "-o", masquerade, "plain"]).exits(0);
    assert_eq!(seen_from_outside(&world, "bridge").to_string(), HOST);
    assert_eq!(seen_from_outside(&world, "plain").to_string(), "10.77.0.2");
}

#[test]
fn what_goes_out_has_the_address_that_the_network_was_given() {
    let world = busybox();
    neighbour(&world);
    ip("addr add 10.55.0.9/24 dev wire0");
    let address = "com.docker.network.host_ipv4=10.55.0.9";
    world.docker(&["network", "create", "--subnet", "10.77.0.0/24", "-o", address, "chosen"]).exits(0);
    assert_eq!(seen_from_outside(&world, "bridge").to_string(), HOST);
    assert_eq!(seen_from_outside(&world, "chosen").to_string(), "10.55.0.9");
    let wrong = ["network", "create", "-o", "com.docker.network.host_ipv4=fd00::1", "wrong"];
    world.docker(&wrong).exits(1).says("failed to parse com.docker.network.host_ipv4 value: \"fd00::1\" (nil ip)");
}

#[test]
fn whoever_comes_from_outside_keeps_the_address_and_comes_by_published_ports_only() {
    let world = busybox();
    neighbour(&world);
    world.dhow(&["network", "create", "--subnet", "10.77.0.0/24", "front"]).exits(0);
    let run = ["run", "-d", "--name", "web", "--network", "front", "-p", "8080:80", "-p", "127.0.0.1:8081:80"];
    world.dhow(&[&run[..], &["busybox", "sleep", "1000"]].concat()).exits(0);
    let server = inside(&world, "web", || TcpListener::bind("0.0.0.0:80").expect("free"));
    let comes = |to: &'static str| {
        let to: SocketAddr = to.parse().expect("an address");
        inside(&world, "neighbour", move || TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok())
    };
    let client = comes("10.55.0.1:8080").expect("it is published");
    let (mut taken, from) = server.accept().expect("it came");
    assert_eq!(from.ip().to_string(), NEIGHBOUR);
    drop(client);
    assert_eq!(taken.read(&mut [0; 1]).expect("it went"), 0);
    assert!(comes("10.55.0.1:8081").is_none(), "published on the loopback");
    assert!(comes("10.77.0.2:80").is_none(), "past the published port");
    inside(&world, "neighbour", || {
        for own in ["127.0.0.1", "127.0.0.0/8"] {
            ip(&format!("route del local {own} dev lo table local"));
        }
        ip(&format!("route add 127.0.0.1 via {HOST}"));
        std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").expect("its own");
    });
    // The kernel drops it by itself, unless somebody has told it not to.
    std::fs::write("/proc/sys/net/ipv4/conf/wire0/route_localnet", "1").expect("the test's own");
    assert!(comes("127.0.0.1:8081").is_none(), "by the host's loopback");
}
