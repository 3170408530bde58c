//! Questions for names while the engine is away, and servers that do not do what they should.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
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

/// A program in a container may send what it likes: nobody else waits for it, and it is answered itself as before.
#[test]
fn what_is_no_question_holds_up_no_question() {
    let world = busybox();
    world.dhow(&["network", "create", "back"]).exits(0);
    for name in ["ask", "bee"] {
        world.dhow(&["run", "-d", "--name", name, "--network", "back", "busybox", "sleep", "1000"]).exits(0);
    }
    let well_known = [&question(1, b'x')[..12], b"\x03bee\x00\x00\x01\x00\x01"].concat();
    let kept = in_network_of(pid(&world, "ask"), move || {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let mut chance = fastrand::Rng::new();
        for _ in 0..5000 {
            let mut odd = well_known.clone();
            for _ in 0..chance.usize(1..5) {
                let place = chance.usize(..odd.len());
                odd[place] = chance.u8(..);
            }
            odd.truncate(chance.usize(1..=odd.len()));
            socket.send_to(&odd, "127.0.0.11:53").expect("sent");
        }
        // A name that leads to itself, labels without an end, and more than a datagram of DNS ever has.
        for odd in [&[&well_known[..12], &[0xc0, 12, 0, 1, 0, 1]].concat()[..], &[63; 400], &[0; 60_000]] {
            socket.send_to(odd, "127.0.0.11:53").expect("sent");
        }
        let streams = (0..300_u16).map(|number| {
            let mut stream = TcpStream::connect("127.0.0.11:53").expect("it listens");
            // Nothing, a length without a question, half of a question, and a length that is a lie.
            let begin: [&[u8]; 4] = [&[], &[0xff, 0xff], &[0, 19, 0, 1], &[0, 1, 0, 1]];
            stream.write_all(begin[usize::from(number % 4)]).expect("sent");
            stream
        });
        streams.collect::<Vec<_>>()
    });
    let address = world.inspect("bee", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    let lookup = |container: &str| world.dhow(&["exec", container, "busybox", "nslookup", "-type=a", "bee"]).stdout();
    for container in ["ask", "bee"] {
        eventually("bee is found", || lookup(container).contains(&address));
    }
    drop(kept);
    eventually("bee is found", || lookup("ask").contains(&address));
}

/// libnetwork#1664: the first server fails, and the next one is never asked.
#[test]
fn the_next_server_is_asked_where_one_fails_or_says_nothing() {
    let world = busybox();
    world.dhow(&["network", "create", "back"]).exits(0);
    let serve = |at: &str, outcome: Option<u8>| {
        let socket = UdpSocket::bind((at, 53)).expect("free");
        thread::spawn(move || {
            let mut buffer = [0; 600];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let mut said = answer(&buffer[..length]);
                let Some(outcome) = outcome else { continue };
                if outcome != 0 {
                    said.truncate(length);
                    (said[3], said[7]) = (0x80 | outcome, 0);
                }
                drop(socket.send_to(&said, client));
            }
        });
    };
    // One that has failed (SERVFAIL), one that says nothing, and one that knows.
    serve("127.0.0.1", Some(2));
    serve("127.0.0.2", None);
    serve("127.0.0.3", Some(0));
    let servers = ["--dns", "127.0.0.1", "--dns", "127.0.0.2", "--dns", "127.0.0.3"];
    let run = [&["run", "-d", "--name", "asks", "--network", "back"][..], &servers, &["busybox", "sleep", "1000"]];
    world.dhow(&run.concat()).exits(0);
    let said = ask_at(&pid(&world, "asks"), question(7, b'q')).recv_timeout(PATIENCE).expect("answered");
    assert!(said.ends_with(&[10, 1, 2, 3]), "{said:?}");
}

/// A name server that knows every name, as long as somebody asks.
fn know_everything(address: &str) {
    let server = UdpSocket::bind(address).expect("the test's own namespace");
    server.set_read_timeout(Some(PATIENCE)).expect("set");
    thread::spawn(move || {
        let mut buffer = [0; 600];
        while let Ok((length, client)) = server.recv_from(&mut buffer) {
            drop(server.send_to(&answer(&buffer[..length]), client));
        }
    });
}

#[test]
fn other_servers_are_asked_as_long_as_there_is_a_way_out() {
    let world = busybox();
    know_everything("127.0.0.9:53");
    world.dhow(&["network", "create", "--internal", "inner"]).exits(0);
    world.dhow(&["network", "create", "front"]).exits(0);
    let run = ["run", "-d", "--dns", "127.0.0.9", "--name"];
    world.dhow(&[&run[..], &["closed", "--network", "inner", "busybox", "sleep", "1000"]].concat()).exits(0);
    world.dhow(&[&run[..], &["alone", "--network", "front", "busybox", "sleep", "1000"]].concat()).exits(0);
    let mut number = 0;
    let mut is_answered = |container: &str| {
        number += 1;
        let told = ask_at(&pid(&world, container), question(number, b'a' + number)).recv().expect("an answer");
        // The code of what went wrong, if anything did (RFC 1035, 4.1.1).
        told[3] & 0x0f == 0
    };
    assert!(!is_answered("closed"), "an internal network has no way out");
    world.dhow(&["network", "connect", "front", "closed"]).exits(0);
    assert!(is_answered("closed"));
    world.dhow(&["network", "disconnect", "front", "closed"]).exits(0);
    assert!(!is_answered("closed"), "it has been taken away");
    // One that was started without any network.
    world.dhow(&["network", "disconnect", "front", "alone"]).exits(0);
    world.dhow(&["restart", "-t", "0", "alone"]).exits(0);
    world.dhow(&["network", "connect", "front", "alone"]).exits(0);
    assert!(is_answered("alone"));
}
