//! Where flows go that began before their port led somewhere else: never to whoever has the address next.

use std::net::UdpSocket;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dhow_testkit::{World, eventually, in_network_of};

use crate::busybox;
use crate::networks::{answers, inside, request, serve};

/// Answers each datagram in a container with its name, as long as somebody asks.
fn answer_datagrams(world: &World, container: &'static str) {
    let socket = inside(world, container, || UdpSocket::bind("0.0.0.0:53").expect("free"));
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    thread::spawn(move || {
        while let Ok((_, client)) = socket.recv_from(&mut [0; 100]) {
            drop(socket.send_to(container.as_bytes(), client));
        }
    });
}

#[test]
fn a_flow_of_datagrams_follows_its_port_to_the_next_container() {
    let world = busybox();
    let publish = ["run", "-d", "-p", "5353:53/udp", "--name"];
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    client.set_read_timeout(Some(Duration::from_millis(200))).expect("set");
    let asks = || {
        let mut buffer = [0; 100];
        client.send_to(b"x", "127.0.0.1:5353").ok()?;
        let length = client.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    };
    // A client that was there first: what it sends goes to the host, and the kernel remembers that.
    assert_eq!(asks(), None);
    for name in ["first", "second"] {
        world.dhow(&[&publish[..], &[name, "busybox", "sleep", "1000"]].concat()).exits(0);
        answer_datagrams(&world, name);
        eventually(name, || asks().as_deref() == Some(name));
        // Whoever takes its address next is not to get what was for it.
        world.dhow(&["rm", "-f", name]).exits(0);
        world.dhow(&["run", "-d", "busybox", "sleep", "1000"]).exits(0);
    }
}

/// A network in which a container is served at a published port, and another one can have its address next.
fn at_one_address(world: &World) {
    world.dhow(&["network", "create", "--subnet", "10.77.0.0/24", "front"]).exits(0);
    serve(world, "first", &["--network", "front", "--ip", "10.77.0.9", "-p", "8080:80"]);
    answers("127.0.0.1:8080", "first");
}

/// Clients of the port, one after the other, while nobody answers.
fn clients(address: &'static str) -> Vec<JoinHandle<Option<String>>> {
    let ask = |_| {
        thread::sleep(Duration::from_millis(100));
        thread::spawn(move || request(address).ok())
    };
    (0..5).map(ask).collect()
}

fn takes_the_address(world: &World) {
    serve(world, "second", &["--network", "front", "--ip", "10.77.0.9"]);
    let pid = world.inspect("second", "{{.State.Pid}}");
    eventually("the second one serves", || in_network_of(pid.clone(), || request("127.0.0.1:80").is_ok()));
}

fn nobody_answered(clients: Vec<JoinHandle<Option<String>>>) {
    for client in clients {
        assert_eq!(client.join().expect("it ends"), None, "another container answered");
    }
}

#[test]
fn clients_who_had_no_answer_yet_do_not_come_to_who_has_the_address_next() {
    let world = busybox();
    at_one_address(&world);
    // From now on it hears nothing, and its clients ask again.
    inside(&world, "first", || {
        let down = Command::new("busybox").args(["ip", "link", "set", "eth0", "down"]).status();
        assert!(down.expect("busybox is there").success());
    });
    let waiting: Vec<_> = ["127.0.0.1:8080", "[::1]:8080"].into_iter().flat_map(clients).collect();
    world.dhow(&["rm", "-f", "first"]).exits(0);
    takes_the_address(&world);
    nobody_answered(waiting);
}

#[test]
fn clients_of_a_container_that_died_without_an_engine_do_not_come_to_who_has_its_address_next() {
    let mut world = busybox();
    at_one_address(&world);
    let pid = world.inspect("first", "{{.State.Pid}}");
    world.crash_engine();
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.expect("it is there").success());
    let waiting = clients("127.0.0.1:8080");
    world.start_engine();
    takes_the_address(&world);
    nobody_answered(waiting);
}
