//! Attaching over a web socket (RFC 6455), spoken by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use dhow_testkit::{World, eventually};

use crate::busybox;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const LAST: u8 = 0x80;

/// A client after the opening handshake.
struct Client(BufReader<UnixStream>);

impl Client {
    fn attach(world: &World, container: &str, query: &str) -> Self {
        let mut socket = UnixStream::connect(world.socket()).expect("the engine listens");
        write!(
            socket,
            "GET /v1.51/containers/{container}/attach/ws?{query} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .expect("the engine reads");
        let (mut answer, mut head) = (BufReader::new(socket), String::new());
        while !head.ends_with("\r\n\r\n") {
            assert!(answer.read_line(&mut head).expect("a head") > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.to_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        Self(answer)
    }

    /// Sends a frame, masked as a client has to.
    fn send(&mut self, first: u8, payload: &[u8]) {
        let mask = [7, 77, 177, 1];
        let mut frame = vec![first];
        match u8::try_from(payload.len()) {
            Ok(length @ ..=125) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        // The engine may have hung up on what it was sent.
        drop(self.0.get_mut().write_all(&frame));
    }

    /// The next frame: its kind and its payload.
    fn next(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a frame");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.0.read_exact(&mut length).expect("a length");
                usize::from(u16::from_be_bytes(length))
            }
            127 => panic!("no piece of output is that long"),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).expect("a payload");
        assert_eq!(head[0] & LAST, LAST, "output comes in whole messages");
        (head[0] & 0xf, payload)
    }

    /// Reads output until it holds the words.
    fn reads(&mut self, words: &str) {
        let mut text = String::new();
        while !text.contains(words) {
            let (kind, payload) = self.next();
            assert_eq!(kind, BINARY, "{payload:?}");
            text += &String::from_utf8_lossy(&payload);
        }
    }

    /// The code with which the engine says goodbye; output before it is not looked at.
    fn goodbye(&mut self) -> u16 {
        loop {
            if let (CLOSE, payload) = self.next() {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

const ALL: &str = "stream=1&stdin=1&stdout=1&stderr=1";

#[test]
fn input_and_output_go_in_frames() {
    let world = busybox();
    world.dhow(&["run", "-di", "--name", "cat", "busybox", "cat"]).exits(0);
    let mut client = Client::attach(&world, "cat", ALL);
    client.send(LAST | BINARY, b"binary\n");
    client.reads("binary\n");
    client.send(LAST | TEXT, b"text\n");
    client.reads("text\n");
    // In fragments, with a ping between them (section 5.4).
    client.send(TEXT, b"frag");
    client.send(LAST | PING, b"there?");
    client.send(0, b"men");
    client.send(LAST, b"ted\n");
    assert_eq!(client.next(), (PONG, b"there?".to_vec()));
    client.reads("fragmented\n");
    client.send(LAST | CLOSE, &1000_u16.to_be_bytes());
    assert_eq!(client.goodbye(), 1000);
    assert_eq!(world.inspect("cat", "{{.State.Running}}"), "true");
}

#[test]
fn both_streams_come_without_dockers_frames_and_the_end_says_goodbye() {
    let world = busybox();
    let script = "read go; echo out; echo err >&2";
    world.dhow(&["create", "-i", "--name", "box", "busybox", "sh", "-c", script]).exits(0);
    let mut client = Client::attach(&world, "box", ALL);
    world.dhow(&["start", "box"]).exits(0);
    client.send(LAST | BINARY, b"go\n");
    let (mut output, mut end) = (String::new(), 0);
    while end == 0 {
        match client.next() {
            (BINARY, payload) => output += &String::from_utf8(payload).expect("text"),
            (CLOSE, payload) => end = u16::from_be_bytes([payload[0], payload[1]]),
            (kind, _) => panic!("a frame of kind {kind}"),
        }
    }
    assert_eq!((output.as_str(), end), ("out\nerr\n", 1000));
}

#[test]
fn a_terminal_is_spoken_to_and_logs_come_first() {
    let world = busybox();
    world.dhow(&["run", "-dit", "--name", "shell", "busybox", "sh", "-c", "echo before; exec sh"]).exits(0);
    eventually("it has spoken", || world.dhow(&["logs", "shell"]).stdout().contains("before"));
    let mut client = Client::attach(&world, "shell", &format!("{ALL}&logs=1"));
    client.reads("before");
    client.send(LAST | TEXT, b"echo 4$((1+1))\n");
    client.reads("42");
}

#[test]
fn what_breaks_the_rules_is_hung_up_on_and_hurts_nobody() {
    let world = busybox();
    world.dhow(&["run", "-di", "--name", "cat", "busybox", "cat"]).exits(0);
    let mut without_mask = Client::attach(&world, "cat", ALL);
    without_mask.0.get_mut().write_all(&[LAST | BINARY, 2, b'h', b'i']).expect("sent");
    assert_eq!(without_mask.goodbye(), 1002);
    let mut too_long = Client::attach(&world, "cat", ALL);
    too_long.send(LAST | BINARY, &vec![b'x'; 2 << 20]);
    assert_eq!(too_long.goodbye(), 1009);
    let mut no_text = Client::attach(&world, "cat", ALL);
    no_text.send(LAST | TEXT, &[0xff, 0xfe]);
    assert_eq!(no_text.goodbye(), 1007);
    let mut good = Client::attach(&world, "cat", ALL);
    good.send(LAST | BINARY, b"still here\n");
    good.reads("still here\n");
}

#[test]
fn requests_that_are_no_handshake_are_refused() {
    let world = busybox();
    world.dhow(&["run", "-di", "--name", "cat", "busybox", "cat"]).exits(0);
    let ask = |container: &str| {
        let mut socket = UnixStream::connect(world.socket()).expect("the engine listens");
        write!(socket, "GET /v1.51/containers/{container}/attach/ws?stream=1 HTTP/1.0\r\nHost: x\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let plain = ask("cat");
    assert!(plain.starts_with("HTTP/1.0 400") && plain.contains("not websocket protocol"), "{plain}");
    assert!(ask("nothing").starts_with("HTTP/1.0 404"));
}
