//! Containers that send their neighbours what is not true: whose an address is, and where the way out is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

use dhow_sys::frame::FrameSocket;
use dhow_testkit::{World, eventually};
use rustix::net::{AddressFamily, SocketType, netdevice, socket};

use crate::networks::{address, ask, fetch, inside, serve};
use crate::{DHOW, busybox};

type Mac = [u8; 6];

const EVIL: Mac = [2, 0x42, 10, 77, 0, 66];
/// An address of its own that it has not said before.
const OTHER: Mac = [2, 0x42, 10, 77, 0, 99];
const EVERYBODY: Mac = [0xff; 6];

/// Sends a frame by the only link of a container.
fn send(world: &World, container: &str, frame: Vec<u8>) {
    inside(world, container, move || {
        let any = socket(AddressFamily::INET, SocketType::DGRAM, None).expect("a socket");
        let link = netdevice::name_to_index(&any, "eth0").expect("its link");
        FrameSocket::open().expect("root may").send(link, &frame).expect("sent");
    });
}

/// "This IPv4 address is at that hardware address", as an answer, behind any further tags.
fn arp(tags: &[u8], claimed: Ipv4Addr, at: Mac) -> Vec<u8> {
    let head = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2];
    let parts = [&EVERYBODY[..], &EVIL, tags, &head, &at, &claimed.octets(), &at, &claimed.octets()];
    parts.concat()
}

/// A message of ICMPv6 to all nodes of the link.
fn icmp6(from: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
    let to: Ipv6Addr = "ff02::1".parse().expect("all nodes");
    let length = u16::try_from(message.len()).expect("short");
    let before = [&from.octets()[..], &to.octets(), &[0, 0], &length.to_be_bytes(), &[0, 0, 0, 58]].concat();
    let words = before.chunks(2).chain(message.chunks(2));
    let mut sum: u32 = words.map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0))).sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    message[2..4].copy_from_slice(&(!u16::try_from(sum).expect("folded")).to_be_bytes());
    let ethernet = [&[0x33, 0x33, 0, 0, 0, 1][..], &EVIL, &[0x86, 0xdd]].concat();
    let header = [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[58, 255], &from.octets(), &to.octets()].concat();
    [ethernet, header, message].concat()
}

/// "This IPv6 address is at that hardware address."
fn advertisement(from: Ipv6Addr, claimed: Ipv6Addr, at: Mac) -> Vec<u8> {
    icmp6(from, [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &claimed.octets(), &[2, 1], &at].concat())
}

/// The same in two fragments (RFC 8200, 4.5), the first one with eight bytes of the message.
fn fragments(frame: &[u8]) -> [Vec<u8>; 2] {
    let (head, message) = frame.split_at(54);
    let part = |from: u16, more: u8, bytes: &[u8]| {
        let mut head = head.to_vec();
        let length = u16::try_from(bytes.len() + 8).expect("short");
        head[18..20].copy_from_slice(&length.to_be_bytes());
        head[20] = 44;
        let [high, low] = from.to_be_bytes();
        [&head[..], &[58, 0, high, low | more, 0, 0, 0, 7], bytes].concat()
    };
    [part(0, 1, &message[..8]), part(8, 0, &message[8..])]
}

/// "Addresses here begin with fd66::, and I am the way out."
fn router(from: Ipv6Addr) -> Vec<u8> {
    let prefix = [&[3, 4, 64, 0xc0][..], &[0xff; 8], &[0; 4], &"fd66::".parse::<Ipv6Addr>().unwrap().octets()].concat();
    icmp6(from, [&[134, 0, 0, 0, 64, 0x08, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0][..], &prefix].concat())
}

fn shown(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

/// A victim, a neighbour of its, and somebody who is up to no good, in a network of both families.
fn three(world: &World) {
    let create = ["network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd77::/64", "n"];
    world.dhow(&create).exits(0);
    for (name, number) in [("victim", "5"), ("neighbour", "6"), ("evil", "66")] {
        let (four, six) = (format!("10.77.0.{number}"), format!("fd77::{number}"));
        let run = ["run", "-d", "--name", name, "--network", "n", "--ip", &four, "--ip6", &six];
        world.dhow(&[&run[..], &["busybox", "sleep", "1000"]].concat()).exits(0);
    }
}

fn ping(world: &World, container: &str, to: &str) -> bool {
    world.dhow(&["exec", container, "busybox", "ping", "-c", "2", "-W", "5", to]).code() == 0
}

/// Where a container believes that its neighbours are.
fn believed(world: &World, container: &str) -> String {
    let told =
        inside(world, container, || dhow_testkit::finish(std::process::Command::new("/usr/sbin/ip").arg("neigh")));
    told.ok()
}

#[test]
fn nobody_takes_over_the_address_of_a_neighbour_or_of_the_gateway() {
    let world = busybox();
    three(&world);
    let addresses = ["10.77.0.6", "10.77.0.1", "fd77::6", "fd77::1"];
    for to in addresses.into_iter().chain(["10.77.0.66", "fd77::66"]) {
        assert!(ping(&world, "victim", to), "{to}");
    }
    let own: Ipv6Addr = "fd77::66".parse().expect("its address");
    let twice_tagged = [0x81, 0, 0, 0, 0x81, 0, 0, 0];
    for claimed in addresses {
        match claimed.parse().expect("an address") {
            IpAddr::V4(claimed) => {
                send(&world, "evil", arp(&[], claimed, EVIL));
                send(&world, "evil", arp(&twice_tagged, claimed, EVIL));
            }
            IpAddr::V6(claimed) => send(&world, "evil", advertisement(own, claimed, EVIL)),
        }
    }
    // The part that names the address is in a second frame.
    for claimed in ["fd77::6", "fd77::1"] {
        for frame in fragments(&advertisement(own, claimed.parse().expect("an address"), EVIL)) {
            send(&world, "evil", frame);
        }
    }
    // What it says of its own addresses arrives, and behind all that.
    send(&world, "evil", arp(&[], Ipv4Addr::new(10, 77, 0, 66), OTHER));
    send(&world, "evil", advertisement(own, own, OTHER));
    eventually("it is heard", || believed(&world, "victim").matches(&shown(OTHER)).count() == 2);
    assert!(!believed(&world, "victim").contains(&shown(EVIL)), "{}", believed(&world, "victim"));
}

#[test]
fn containers_are_no_routers_of_their_neighbours() {
    let world = busybox();
    three(&world);
    world.dhow(&["network", "create", "--subnet", "10.78.0.0/24", "four"]).exits(0);
    for name in ["quiet", "loud"] {
        world.dhow(&["run", "-d", "--name", name, "--network", "four", "busybox", "sleep", "1000"]).exits(0);
    }
    let of = |container: &str, what: &str| {
        let told = world.dhow(&["exec", container, "busybox", "ip", "-6", what, "show", "dev", "eth0"]).ok();
        told.replace(" tentative", "")
    };
    assert_eq!(of("quiet", "addr"), "", "its network has no IPv6");
    let (routes, addresses) = (of("victim", "route"), of("victim", "addr"));
    for who in ["evil", "loud"] {
        send(&world, who, router("fe80::42:aff:fe4d:42".parse().expect("an address")));
    }
    // Behind it.
    send(&world, "evil", advertisement("fd77::66".parse().unwrap(), "fd77::66".parse().unwrap(), OTHER));
    assert!(ping(&world, "victim", "fd77::6"));
    assert_eq!((of("victim", "route"), of("victim", "addr")), (routes, addresses));
    assert_eq!(of("quiet", "addr"), "");
}

#[test]
fn an_address_is_found_at_once_where_it_is_now() {
    let world = busybox();
    world.dhow(&["network", "create", "--ipv6", "--subnet", "10.77.0.0/24", "--subnet", "fd77::/64", "n"]).exits(0);
    world.dhow(&["run", "-d", "--name", "client", "--network", "n", "busybox", "sleep", "1000"]).exits(0);
    let place = ["--network", "n", "--ip", "10.77.0.50", "--ip6", "fd77::50", "-p", "8080:80"];
    for mac in ["02:aa:aa:aa:aa:aa", "02:bb:bb:bb:bb:bb"] {
        serve(&world, "web", &[&place[..], &["--mac-address", mac]].concat());
        eventually("it serves", || ask("10.77.0.50:80").as_deref() == Some("web"));
        assert_eq!(ask("127.0.0.1:8080").as_deref(), Some("web"));
        assert!(ping(&world, "client", "10.77.0.50") && ping(&world, "client", "fd77::50"), "{mac}");
        world.dhow(&["rm", "-f", "web"]).exits(0);
    }
}

/// Published ports are for others and for neighbours, and not for those who have no way out.
fn decide_about_published_ports(flags: &[&str]) {
    let world = World::with_flags(DHOW, flags);
    world.import_busybox("busybox");
    let inner =
        ["network", "create", "--internal", "--ipv6", "--subnet", "10.7.0.0/24", "--subnet", "fd07::/64", "inner"];
    world.dhow(&inner).exits(0);
    world.dhow(&["network", "create", "--subnet", "10.8.0.0/24", "front"]).exits(0);
    world.dhow(&["network", "create", "--ipv6", "--subnet", "fd09::/64", "other"]).exits(0);
    serve(&world, "web", &["--network", "front", "-p", "8080:80"]);
    crate::networks::answers("127.0.0.1:8080", "web");
    assert_eq!(fetch(&world, "other", "http://10.8.0.1:8080/name").as_deref(), Some("web"));
    assert_eq!(fetch(&world, "front", "http://10.8.0.1:8080/name").as_deref(), Some("web"), "a neighbour");
    assert_eq!(fetch(&world, "inner", "http://10.7.0.1:8080/name"), None);
    assert_eq!(fetch(&world, "other", "http://[fd09::1]:8080/name").as_deref(), Some("web"), "passed on");
    assert_eq!(fetch(&world, "inner", "http://[fd07::1]:8080/name"), None);
    let own = ["exec", "web", "timeout", "9", "busybox", "wget", "-q", "-O-", "http://10.8.0.1:8080/name"];
    assert_eq!(world.dhow(&own).ok(), "web", "and itself");
}

#[test]
fn an_internal_network_reaches_no_published_port_of_another_one() {
    decide_about_published_ports(&[]);
}

#[test]
fn an_internal_network_reaches_none_that_is_passed_on_either() {
    decide_about_published_ports(&["--firewall", "respect-host"]);
}

#[test]
fn neighbours_that_are_kept_apart_do_not_meet_at_the_gateway() {
    let world = busybox();
    let apart = "com.docker.network.bridge.enable_icc=false";
    world.dhow(&["network", "create", "--subnet", "10.8.0.0/24", "-o", apart, "apart"]).exits(0);
    world.dhow(&["network", "create", "--subnet", "10.9.0.0/24", "together"]).exits(0);
    for (network, meet) in [("together", true), ("apart", false)] {
        serve(&world, "web", &["--network", network, "--cap-add", "NET_ADMIN"]);
        let run = ["run", "-d", "--name", "client", "--network", network, "--cap-add", "NET_ADMIN"];
        world.dhow(&[&run[..], &["busybox", "sleep", "1000"]].concat()).exits(0);
        let (web, client) = (address(&world, "web", network), address(&world, "client", network));
        let gateway = world.inspect("web", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}");
        for (who, peer) in [("web", &client), ("client", &web)] {
            let route = format!("{peer}/32");
            world.dhow(&["exec", who, "busybox", "ip", "route", "add", &route, "via", &gateway]).exits(0);
        }
        let url = format!("http://{web}/name");
        let ask = ["exec", "client", "timeout", "5", "busybox", "wget", "-q", "-O-", &url];
        assert_eq!(world.dhow(&ask).code() == 0, meet, "{network}");
        world.dhow(&["rm", "-f", "web", "client"]).exits(0);
    }
}

#[test]
fn what_two_containers_have_is_guarded_until_neither_is_there() {
    let world = busybox();
    let mac = "02:11:22:33:44:55";
    for name in ["one", "two"] {
        world.dhow(&["run", "-d", "--name", name, "--mac-address", mac, "busybox", "sleep", "1000"]).exits(0);
    }
    let guarded = || {
        let rules = dhow_testkit::finish(std::process::Command::new("/usr/sbin/nft").args(["list", "ruleset"])).ok();
        rules.contains(&format!("elements = {{ {mac}")) || rules.contains(&format!(", {mac}"))
    };
    assert!(guarded());
    world.dhow(&["rm", "-f", "one"]).exits(0);
    assert!(guarded());
    world.dhow(&["run", "-d", "--name", "other", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["rm", "-f", "two"]).exits(0);
    assert!(!guarded());
}

#[test]
fn clients_that_say_nothing_use_up_nothing_of_the_engines() {
    let world = busybox();
    world.dhow(&["network", "create", "n"]).exits(0);
    world.dhow(&["run", "-d", "--name", "box", "--network", "n", "busybox", "sleep", "1000"]).exits(0);
    let open =
        || std::fs::read_dir(format!("/proc/{}/fd", world.engine_pid().expect("it runs"))).expect("it runs").count();
    let before = open();
    let connect = || TcpStream::connect_timeout(&"127.0.0.11:53".parse().unwrap(), std::time::Duration::from_secs(5));
    let kept = inside(&world, "box", move || (0..180).filter_map(|_| connect().ok()).collect::<Vec<_>>());
    assert_eq!(kept.len(), 180, "the kernel keeps them waiting");
    assert!(open() < before + 100, "{} descriptors, {before} before", open());
    let look_up = world.dhow(&["exec", "box", "busybox", "nslookup", "-type=a", "box"]);
    look_up.exits(0);
}
