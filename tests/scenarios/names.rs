//! Questions for names while the engine is away, and servers that do not do what they should.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use dhow_testkit::{World, eventually, finish, in_network_of};

use crate::busybox;

/// Longer than anything here takes; a test that waits so long fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A question for the IPv4 address of `NAME.test`, NAME being one letter.
fn question(number: u8, name: u8) -> Vec<u8> {
    let mut question = vec![0, number, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, name];
    question.extend(b"\x04test\x00\x00\x01\x00\x01");
    question
}

/// The answer to it: 10.1.2.3, not to be remembered.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut answer = question.to_vec();
    (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 1, 2, 3]);
    answer
}

/// The first process of a container, to be asked for while there is an engine.
fn pid(world: &World, container: &str) -> String {
    world.inspect(container, "{{.State.Pid}}")
}

/// Asks once where that process is; the answer comes later.
fn ask_at(pid: &str, question: Vec<u8>) -> Receiver<Vec<u8>> {
    let socket = in_network_of(pid, move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.send_to(&question, "127.0.0.11:53").expect("sent");
        socket
    });
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    let (tell, answer) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 600];
        if let Ok(length) = socket.recv(&mut buffer) {
            drop(tell.send(buffer[..length].to_vec()));
        }
    });
    answer
}

#[test]
fn a_question_that_was_asked_before_the_engine_was_killed_is_answered_after_it_was() {
    let mut world = busybox();
    world.dhow(&["network", "create", "n"]).exits(0);
    let server = UdpSocket::bind("127.0.0.9:53").expect("the test's own namespace");
    server.set_read_timeout(Some(PATIENCE)).expect("set");
    let next = || {
        let mut buffer = [0; 600];
        let (length, client) = server.recv_from(&mut buffer).expect("a question");
        (buffer[..length].to_vec(), client)
    };
    let run = ["run", "-d", "--name", "box", "--network", "n", "--dns", "127.0.0.9", "busybox", "sleep", "1000"];
    world.dhow(&run).exits(0);
    let pid = pid(&world, "box");
    for round in 0..3_u8 {
        let before = ask_at(&pid, question(7 + round, b'a'));
        drop(next());
        world.crash_engine();
        // One that comes while nobody is there at all.
        let meanwhile = ask_at(&pid, question(70 + round, b'b'));
        world.start_engine();
        for _ in 0..2 {
            let (question, client) = next();
            server.send_to(&answer(&question), client).expect("sent");
        }
        let came = before.recv_timeout(PATIENCE).expect("the question of before is answered");
        assert_eq!(came, answer(&question(7 + round, b'a')));
        let came = meanwhile.recv_timeout(PATIENCE).expect("the question of meanwhile is answered");
        assert_eq!(came, answer(&question(70 + round, b'b')));
    }
    // Stopped in order is no other than killed.
    let before = ask_at(&pid, question(99, b'c'));
    drop(next());
    world.stop_engine();
    world.start_engine();
    let (asked, client) = next();
    server.send_to(&answer(&asked), client).expect("sent");
    assert_eq!(before.recv_timeout(PATIENCE).expect("answered"), answer(&question(99, b'c')));
    world.dhow(&["rm", "-f", "box"]).exits(0);
}

#[test]
fn a_container_that_came_into_a_network_later_is_answered_too() {
    let mut world = busybox();
    world.dhow(&["network", "create", "n"]).exits(0);
    world.dhow(&["run", "-d", "--name", "web", "--network", "n", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["run", "-d", "--name", "late", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["network", "connect", "n", "late"]).exits(0);
    let pid = pid(&world, "late");
    world.crash_engine();
    let mut local = question(1, b'x');
    local.splice(12.., *b"\x03web\x00\x00\x01\x00\x01");
    let meanwhile = ask_at(&pid, local);
    world.start_engine();
    let came = meanwhile.recv_timeout(PATIENCE).expect("an answer");
    assert_eq!((came[3] & 15, came[7]), (0, 1), "found, one address");
    // What the shim keeps does not keep the namespace: the link in it goes with the container.
    let links = || {
        let list = finish(Command::new("/usr/sbin/ip").args(["-o", "link", "show", "type", "veth"])).ok();
        list.lines().count()
    };
    let before = links();
    world.dhow(&["rm", "-f", "late"]).exits(0);
    eventually("its links are gone", || links() == before - 2);
}
