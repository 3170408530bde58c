//! Networks against the kernel, in a network namespace of this program's own.
//!
//! Not one test per function: the namespace belongs to the process, so everything happens one after the other.

#[path = "kernel/bridges.rs"]
mod bridges;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use dhow_network::model::{EndpointSpec, HostPorts, IpamPool, Network, NetworkSpec, PortBinding, option_name};
use dhow_network::{Connection, HomeSettings, Networks, Place, Request, Settings, Survivor, ipam};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};

fn main() -> ExitCode {
    dhow_sys::namespace::unshare(ThreadNameSpaceType::NETWORK).expect("the tests run as root");
    busybox(&["ip", "link", "set", "lo", "up"]);
    // Its threads are in the namespace, as they are made behind the move.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let _entered = runtime.enter();
    type Check = fn(&Arc<Networks>);
    let checks: [(&str, Check); 13] = [
        ("neighbours_reach_each_other_and_networks_do_not", neighbours),
        ("published_ports_from_everywhere", published_ports),
        ("names_are_found_where_they_are_known", names),
        ("a_container_that_runs_comes_and_goes", changes),
        ("an_internal_network_has_no_way_out", internal),
        ("nobody_takes_a_neighbours_address", guard),
        ("what_was_flushed_comes_back_with_the_next_change", flushed),
        ("a_connect_that_fails_half_way_leaves_nothing", undone),
        ("a_join_that_fails_half_way_leaves_what_was_before", join_undone),
        ("an_address_is_given_back_when_nobody_answers_for_it_any_more", order_of_the_end),
        ("another_engine_takes_over_and_leaves_nothing", take_over),
        ("a_network_that_is_put_on_another_bridge_leaves_its_own", bridges::another_bridge),
        ("a_bridge_of_the_host_may_say_what_it_likes_but_that_it_is_an_engines", bridges::given_bridge),
    ];
    for (passed, (name, check)) in checks.into_iter().enumerate() {
        let checked = catch_unwind(|| {
            check(&networks());
            assert_eq!(links(), ["lo"], "links that are left");
        });
        println!("test {name} ... {}", if checked.is_ok() { "ok" } else { "FAILED" });
        if checked.is_err() {
            // The others would find what it has left.
            println!("test result: FAILED. {passed} passed; 1 failed");
            return ExitCode::FAILURE;
        }
    }
    println!("test result: ok. {} passed; 0 failed", checks.len());
    ExitCode::SUCCESS
}

fn networks() -> Arc<Networks> {
    let home =
        HomeSettings { folder: "/nowhere".into(), program: "/nowhere".into(), outlet: None, in_clients_name: true };
    let settings = Settings {
        engine: "test".into(),
        default_bridge: "dhow0".into(),
        pools: ipam::default_pools(),
        home,
        passed_on: false,
        rules: true,
        forwarding: true,
    };
    Arc::new(Networks::new(settings))
}

fn network(number: u8, change: impl FnOnce(&mut NetworkSpec)) -> Network {
    let mut spec = NetworkSpec { name: format!("net{number}"), ipv4: true, ..NetworkSpec::default() };
    change(&mut spec);
    let subnet = format!("10.77.{number}.0/24").parse().unwrap();
    let gateway = Some(IpAddr::from([10, 77, number, 1]));
    let id = format!("{number:02x}").repeat(32);
    Network { id, spec, pools: vec![IpamPool { gateway, ..IpamPool::of(subnet) }], created: 0 }
}

fn connect(
    networks: &Arc<Networks>,
    name: &str,
    on: &[&Network],
    ports: &[(&str, &str, u16)],
) -> (PathBuf, Connection) {
    let place = |&network: &&Network| Place { network: network.clone(), spec: EndpointSpec::default() };
    let binding = |&(port, address, number): &(&str, &str, u16)| PortBinding {
        host_ports: HostPorts::Among(number..=number),
        ..PortBinding::parse(port, address, "").unwrap()
    };
    let request = Request {
        container: name,
        places: on.iter().map(place).collect(),
        bindings: ports.iter().map(binding).collect(),
        names: vec![name.to_owned()],
        servers: vec!["127.0.0.1".parse().unwrap()],
    };
    let connection = networks.connect(&request).unwrap();
    (networks.path(name).unwrap(), connection)
}

fn address(connection: &Connection) -> IpAddr {
    connection.attachments[0].endpoint.ipv4.unwrap().0.into()
}

/// Does something on a thread in another namespace.
fn inside<T: Send>(path: &Path, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let namespace = File::open(path).unwrap();
            rustix::thread::move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&namespace),
                Some(LinkNameSpaceType::Network),
            )
            .unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// A server in a namespace that answers with what it sees as its client's address. It ends when this is dropped, for its
/// sockets keep the namespace.
struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

fn serve(path: &Path, port: u16) -> Server {
    let listener = inside(path, || TcpListener::bind(("0.0.0.0", port)).unwrap());
    let socket = inside(path, || UdpSocket::bind(("0.0.0.0", port)).unwrap());
    listener.set_nonblocking(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            if let Ok((mut stream, peer)) = listener.accept() {
                drop(stream.write_all(peer.ip().to_string().as_bytes()));
            } else if let Ok((_, peer)) = socket.recv_from(&mut [0; 16]) {
                drop(socket.send_to(peer.ip().to_string().as_bytes(), peer));
            } else {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    Server { stop, thread: Some(thread) }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

fn ask(to: SocketAddr) -> Option<String> {
    ask_within(to, Duration::from_secs(1))
}

/// Long enough for a first packet that is lost to be sent again.
fn ask_patiently(to: SocketAddr) -> Option<String> {
    ask_within(to, Duration::from_secs(10))
}

fn ask_within(to: SocketAddr, time: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&to, time).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn ask_udp(to: SocketAddr) -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    socket.send_to(b"x", to).ok()?;
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn busybox(args: &[&str]) -> String {
    let output = Command::new("busybox").args(args).output().expect("busybox is there");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Links of the namespace, once those of dead namespaces are gone.
fn links() -> Vec<String> {
    for _ in 0..2000 {
        let names = link_names();
        if names.iter().all(|name| !name.starts_with("veth")) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    link_names()
}

fn link_names() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

fn neighbours(networks: &Arc<Networks>) {
    let (one, two) = (network(1, |_| ()), network(2, |_| ()));
    let (a, at_a) = connect(networks, "a", &[&one], &[]);
    let (b, _) = connect(networks, "b", &[&one, &two], &[]);
    let (c, at_c) = connect(networks, "c", &[&two], &[]);
    let _server = serve(&a, 80);
    let _server = serve(&c, 80);
    let (to_a, to_c) = (SocketAddr::new(address(&at_a), 80), SocketAddr::new(address(&at_c), 80));
    assert_eq!(inside(&b, || ask(to_a)).as_deref(), Some("10.77.1.3"));
    assert_eq!(inside(&b, || ask(to_c)).as_deref(), Some("10.77.2.2"));
    assert_eq!(ask(to_a).as_deref(), Some("10.77.1.1"), "from the host");
    assert_eq!(inside(&a, || ask(to_c)), None, "from another network");
    ["a", "b", "c"].iter().for_each(|name| networks.disconnect(name));
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

fn published_ports(networks: &Arc<Networks>) {
    let (one, two) = (network(1, |_| ()), network(2, |_| ()));
    let ports = [
        ("80/tcp", "0.0.0.0", 8080),
        ("80/udp", "0.0.0.0", 8080),
        ("80/tcp", "127.0.0.1", 9090),
        ("80/tcp", "10.77.2.1", 7070),
    ];
    let (other, _) = connect(networks, "other", &[&two], &[]);
    let (web, at) = connect(networks, "web", &[&one], &ports);
    let (neighbour, _) = connect(networks, "neighbour", &[&one], &[]);
    assert_eq!(at.published.len(), 4);
    let _server = serve(&web, 80);
    let to = |address: &str, port| SocketAddr::new(address.parse().unwrap(), port);
    assert_eq!(ask(to("127.0.0.1", 8080)).as_deref(), Some("10.77.1.1"), "the host's loopback");
    assert_eq!(ask(to("10.77.2.1", 8080)).as_deref(), Some("10.77.2.1"), "an address of the host");
    assert_eq!(ask_udp(to("127.0.0.1", 8080)).as_deref(), Some("10.77.1.1"));
    assert_eq!(ask(to("127.0.0.1", 9090)).as_deref(), Some("10.77.1.1"));
    assert_eq!(ask(to("10.77.2.1", 7070)).as_deref(), Some("10.77.2.1"));
    assert_eq!(ask(to("127.0.0.1", 7070)), None);
    assert_eq!(ask(to("10.77.1.1", 9090)), None, "published on the loopback only");
    assert_eq!(inside(&other, || ask(to("10.77.2.1", 8080))).as_deref(), Some("10.77.2.2"), "the client's own address");
    assert_eq!(inside(&neighbour, || ask(to("10.77.1.1", 8080))).as_deref(), Some("10.77.1.1"), "by the host");
    assert_eq!(inside(&web, || ask(to("10.77.1.1", 8080))).as_deref(), Some("10.77.1.1"), "itself by the host");
    assert_eq!(inside(&other, || ask(to("10.77.1.1", 9090))), None);
    let taken = Request {
        container: "late",
        places: vec![Place { network: two.clone(), spec: EndpointSpec::default() }],
        bindings: vec![PortBinding {
            host_ports: HostPorts::Among(8080..=8080),
            ..PortBinding::parse("1", "0.0.0.0", "").unwrap()
        }],
        names: Vec::new(),
        servers: Vec::new(),
    };
    let error = networks.connect(&taken).unwrap_err();
    assert!(error.to_string().ends_with("Bind for 0.0.0.0:8080 failed: port is already allocated"), "{error}");
    networks.disconnect("web");
    assert_eq!(ask(to("127.0.0.1", 8080)), None);
    let (_, at) = connect(networks, "late", &[&two], &[("80/tcp", "0.0.0.0", 8080)]);
    assert_eq!(at.published[0].host_port, 8080);
    ["late", "other", "neighbour"].iter().for_each(|name| networks.disconnect(name));
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

fn names(networks: &Arc<Networks>) {
    let (one, two) = (network(1, |_| ()), network(2, |spec| spec.internal = true));
    let (web, _) = connect(networks, "Web", &[&one], &[]);
    let (db, at_db) = connect(networks, "db", &[&one, &two], &[]);
    let (hidden, _) = connect(networks, "hidden", &[&two], &[]);
    // The servers of the host: one that answers everything, by datagram and by stream.
    let host = UdpSocket::bind("127.0.0.1:53").unwrap();
    let host = std::thread::spawn(move || {
        let mut query = [0; 512];
        let (length, client) = host.recv_from(&mut query).unwrap();
        query[2] |= 0x80;
        host.send_to(&query[..length], client).unwrap();
    });
    let look = |path: &Path, name: &str| inside(path, || resolve(name));
    assert_eq!(look(&web, "db"), Some(vec![address(&at_db).to_string()]));
    assert_eq!(look(&db, "web.net1"), Some(vec!["10.77.1.2".to_owned()]));
    assert_eq!(look(&hidden, "web"), None, "of another network, and nobody else is asked");
    assert_eq!(look(&web, "example.org"), Some(Vec::new()), "what the host's server says");
    host.join().unwrap();
    networks.disconnect("db");
    assert_eq!(look(&web, "db"), None, "the dead have no name");
    ["Web", "hidden"].iter().for_each(|name| networks.disconnect(name));
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

/// In the place of a container's: this one.
fn own_namespace() -> OwnedFd {
    File::open("/proc/self/ns/net").unwrap().into()
}

fn changes(networks: &Arc<Networks>) {
    let (one, two) = (network(1, |_| ()), network(2, |_| ()));
    let (web, at) = connect(networks, "web", &[&one], &[("80/tcp", "0.0.0.0", 8080)]);
    let (client, _) = connect(networks, "client", &[&two], &[]);
    let _server = serve(&web, 80);
    let to = SocketAddr::new([127, 0, 0, 1].into(), 8080);
    let place = Place { network: two.clone(), spec: EndpointSpec { gateway_priority: 9, ..EndpointSpec::default() } };
    let joined = networks.join(own_namespace(), &joining(&place)).unwrap();
    let second = &joined.attachments[1].endpoint;
    assert_eq!((second.interface.as_str(), second.ipv4.unwrap().1), ("eth1", 24));
    let name = inside(&client, || resolve("web"));
    assert_eq!(name, Some(vec![second.ipv4.unwrap().0.to_string()]));
    assert!(ask(to).is_some(), "by the network that is the way out now");
    let left = networks.leave("web", &one).unwrap();
    assert_eq!(left.attachments.len(), 1);
    assert!(ask(to).is_some() && ask(SocketAddr::new(address(&at), 80)).is_none());
    let more =
        PortBinding { host_ports: HostPorts::Among(8081..=8081), ..PortBinding::parse("80", "0.0.0.0", "").unwrap() };
    networks.publish_more("web", &[more]).unwrap();
    assert!(ask(SocketAddr::new([127, 0, 0, 1].into(), 8081)).is_some());
    let less = networks.publish_less("web", &left.published).unwrap();
    assert_eq!((less.published.len(), ask(to)), (1, None));
    ["web", "client"].iter().for_each(|name| networks.disconnect(name));
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

/// The addresses of a name; `None` if the server failed.
fn resolve(name: &str) -> Option<Vec<String>> {
    let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("127.0.0.11:53").unwrap();
    socket.send(&query).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    let records = answer[query.len()..length]
        .chunks(16)
        .map(|record| IpAddr::from([record[12], record[13], record[14], record[15]]).to_string());
    (answer[3] & 15 == 0).then(|| records.collect())
}

fn internal(networks: &Arc<Networks>) {
    let (one, two) = (network(1, |spec| spec.internal = true), network(2, |_| ()));
    let (a, at_a) = connect(networks, "a", &[&one], &[]);
    let (b, _) = connect(networks, "b", &[&one], &[]);
    let (_, at_c) = connect(networks, "c", &[&two], &[]);
    let _server = serve(&a, 80);
    assert!(inside(&b, || ask(SocketAddr::new(address(&at_a), 80))).is_some());
    let route = inside(&a, || UdpSocket::bind("0.0.0.0:0").unwrap().connect((address(&at_c), 80)));
    assert!(route.is_err(), "there is no route out");
    ["a", "b", "c"].iter().for_each(|name| networks.disconnect(name));
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

fn guard(networks: &Arc<Networks>) {
    let apart = |spec: &mut NetworkSpec| {
        spec.options = BTreeMap::from([(option_name::ICC.to_owned(), "false".to_owned())]);
    };
    let (one, two) = (network(1, |_| ()), network(2, apart));
    let (a, at_a) = connect(networks, "a", &[&one], &[]);
    let (b, _) = connect(networks, "b", &[&one], &[]);
    let _server = serve(&a, 80);
    let to_a = SocketAddr::new(address(&at_a), 80);
    inside(&b, || busybox(&["ip", "address", "add", "10.77.1.2/32", "dev", "eth0"]));
    inside(&b, || busybox(&["arping", "-q", "-U", "-c", "2", "-w", "2", "-I", "eth0", "10.77.1.2"]));
    assert_eq!(ask(to_a).as_deref(), Some("10.77.1.1"), "the host still talks to the owner");
    let (c, at_c) = connect(networks, "c", &[&two], &[]);
    let (d, _) = connect(networks, "d", &[&two], &[]);
    let _server = serve(&c, 80);
    let to_c = SocketAddr::new(address(&at_c), 80);
    assert!(ask(to_c).is_some() && inside(&d, || ask(to_c)).is_none(), "neighbours are kept apart");
    ["a", "b", "c", "d"].iter().for_each(|name| networks.disconnect(name));
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

/// What somebody else does to our links and rules is undone while it is looked at.
fn flushed(networks: &Arc<Networks>) {
    let one = network(1, |_| ());
    let (a, at) = connect(networks, "a", &[&one], &[("80/tcp", "0.0.0.0", 8080)]);
    let _server = serve(&a, 80);
    let to = SocketAddr::new([127, 0, 0, 1].into(), 8080);
    assert!(ask(to).is_some());
    networks.restore().unwrap();
    assert!(ask(to).is_some(), "made anew without a gap");
    let pause = || std::thread::sleep(Duration::from_millis(5));
    let again = |what: &str| {
        assert!(
            (0..5000).any(|_| ask(to).is_some() || {
                pause();
                false
            }),
            "{what}"
        )
    };
    busybox(&["ip", "link", "del", "br-010101010101"]);
    again("the bridge is made again");
    busybox(&["ip", "link", "del", &at.attachments[0].port]);
    again("the link is made again");
    networks_of_nobody();
    again("the rules are made again");
    networks.disconnect("a");
    networks.remove(&one).unwrap();
}

/// Removes the tables as `nft flush ruleset` does: another engine of the same name that has nothing.
fn networks_of_nobody() {
    networks().settle(&[network(1, |_| ())]).unwrap();
}

/// A /30 has room for one container.
fn tiny(number: u8) -> Network {
    let mut tiny = network(number, |_| ());
    tiny.pools[0].subnet = format!("10.77.{number}.0/30").parse().unwrap();
    tiny
}

/// A link that is made and cannot be set up: the kernel has no such setting.
fn impossible(network: &Network) -> Place {
    let setting = "net.ipv4.conf.IFNAME.nothing=1".to_owned();
    let driver_options = Some([(option_name::INTERFACE_SYSCTLS.to_owned(), setting)].into());
    Place { network: network.clone(), spec: EndpointSpec { driver_options, ..EndpointSpec::default() } }
}

/// A container that runs comes into a network.
fn joining(place: &Place) -> Request<'static> {
    Request {
        container: "web",
        places: vec![place.clone()],
        bindings: Vec::new(),
        names: vec!["web".to_owned()],
        servers: vec![[127, 0, 0, 1].into()],
    }
}

fn veths() -> usize {
    link_names().iter().filter(|name| name.starts_with("veth")).count()
}

fn undone(networks: &Arc<Networks>) {
    let (one, two) = (tiny(1), tiny(2));
    let place = Place { network: one.clone(), spec: EndpointSpec::default() };
    let request = |places: Vec<Place>, bindings: Vec<PortBinding>| Request {
        container: "web",
        places,
        bindings,
        names: vec!["web".to_owned()],
        servers: Vec::new(),
    };
    let taken = TcpListener::bind("0.0.0.0:8088").unwrap();
    let port = |number: u16| PortBinding {
        host_ports: HostPorts::Among(number..=number),
        ..PortBinding::parse("80", "0.0.0.0", "").unwrap()
    };
    // The second network, and the second port, cannot be had: again and again, and nothing is used up.
    for _ in 0..3 {
        networks.connect(&request(vec![place.clone(), impossible(&two)], Vec::new())).unwrap_err();
        networks.connect(&request(vec![place.clone()], vec![port(8087), port(8088)])).unwrap_err();
        assert_eq!((networks.connection("web"), networks.path("web")), (None, None));
    }
    drop(taken);
    assert!(TcpListener::bind("0.0.0.0:8087").is_ok(), "the first port is free again");
    let (web, at) = connect(networks, "web", &[&one, &two], &[("80/tcp", "0.0.0.0", 8087)]);
    assert_eq!(address(&at).to_string(), "10.77.1.2", "the only one");
    assert_eq!(inside(&web, || resolve("web")), Some(vec!["10.77.1.2".to_owned()]), "it has its name once");
    networks.disconnect("web");
    assert_eq!(veths_soon_gone(), 0);
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

fn veths_soon_gone() -> usize {
    links();
    veths()
}

fn join_undone(networks: &Arc<Networks>) {
    let (one, two) = (network(1, |_| ()), tiny(2));
    let (web, at) = connect(networks, "web", &[&one], &[("80/tcp", "0.0.0.0", 8080)]);
    let (client, _) = connect(networks, "client", &[&one], &[]);
    let _server = serve(&web, 80);
    let before = veths();
    for _ in 0..3 {
        let error = networks.join(own_namespace(), &joining(&impossible(&two))).unwrap_err();
        assert!(error.to_string().starts_with("the kernel has no setting"), "{error}");
    }
    assert_eq!((networks.connection("web"), veths()), (Some(at), before));
    assert!(ask(SocketAddr::new([127, 0, 0, 1].into(), 8080)).is_some(), "its port still leads to it");
    assert_eq!(inside(&client, || resolve("web")), Some(vec!["10.77.1.2".to_owned()]));
    let place = Place { network: two.clone(), spec: EndpointSpec::default() };
    let joined = networks.join(own_namespace(), &joining(&place)).unwrap();
    assert_eq!(joined.attachments[1].endpoint.ipv4.unwrap().0.to_string(), "10.77.2.2", "the only address is free");
    ["web", "client"].iter().for_each(|name| networks.disconnect(name));
    networks.remove(&one).unwrap();
    networks.remove(&two).unwrap();
}

/// The kernel removes a namespace when it finds the time, and here not at all: somebody is in it. Until then its link has the
/// address that somebody else has next.
fn order_of_the_end(networks: &Arc<Networks>) {
    let one = tiny(1);
    let (old, at) = connect(networks, "old", &[&one], &[("80/tcp", "0.0.0.0", 8080)]);
    let old_server = serve(&old, 80);
    let to = SocketAddr::new(address(&at), 80);
    assert!(ask(to).is_some());
    networks.disconnect("old");
    assert_eq!((ask(to), ask(SocketAddr::new([127, 0, 0, 1].into(), 8080))), (None, None), "its link is closed");
    let (new, next) = connect(networks, "new", &[&one], &[("81/tcp", "0.0.0.0", 8080)]);
    assert_eq!(address(&next), address(&at));
    let _server = serve(&new, 81);
    for _ in 0..20 {
        let to_next = SocketAddr::new(to.ip(), 81);
        assert!(ask_patiently(to_next).is_some(), "the next one answers, and the one before does not");
    }
    assert!(ask(SocketAddr::new([127, 0, 0, 1].into(), 8080)).is_some());
    drop(old_server);
    networks.disconnect("new");
    networks.remove(&one).unwrap();
}

fn take_over(networks: &Arc<Networks>) {
    let (one, two) = (network(1, |_| ()), network(2, |_| ()));
    let (a, at_a) = connect(networks, "a", &[&one], &[("80/tcp", "0.0.0.0", 8080)]);
    connect(networks, "b", &[&two], &[("80/tcp", "0.0.0.0", 8081)]);
    let _server = serve(&a, 80);
    let after = self::networks();
    let survivor =
        Survivor { name: "a".to_owned(), namespace: Some(own_namespace()), connection: at_a.clone(), kept: Vec::new() };
    after.adopt("a", survivor, from_ref(&one));
    after.settle(from_ref(&one)).unwrap();
    assert!(ask(SocketAddr::new([127, 0, 0, 1].into(), 8080)).is_some());
    assert_eq!(after.connection("a"), Some(at_a));
    // Its own descriptors would have gone with the engine.
    ["a", "b"].iter().for_each(|name| networks.disconnect(name));
    // The first one lives on here, and would mend what the second takes away.
    [&one, &two].iter().for_each(|network| networks.remove(network).unwrap());
    after.disconnect("a");
    after.remove(&one).unwrap();
}
