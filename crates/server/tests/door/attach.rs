//! Connections that become a container's streams.

use crate::Test;
use crate::client::demultiplexed;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("attach::an_upgraded_connection_carries_both_streams", an_upgraded_connection_carries_both_streams),
    ("attach::without_an_upgrade_the_answer_is_raw", without_an_upgrade_the_answer_is_raw),
    ("attach::input_sent_with_the_request_arrives", input_sent_with_the_request_arrives),
    ("attach::a_terminal_is_one_stream", a_terminal_is_one_stream),
    ("attach::failures_are_plain_text", failures_are_plain_text),
    ("attach::a_kept_connection_is_not_taken", a_kept_connection_is_not_taken),
    ("attach::many_at_once_lose_nothing", many_at_once_lose_nothing),
    (
        "attach::a_client_that_does_not_read_the_log_holds_up_nobody",
        a_client_that_does_not_read_the_log_holds_up_nobody,
    ),
];

const UPGRADE: &[&str] = &["Connection: Upgrade", "Upgrade: tcp"];

fn an_upgraded_connection_carries_both_streams() {
    let world = World::new();
    let id = world.create(r#"{"Cmd":["sh","-c","echo out; echo err >&2"]}"#);
    let mut client = world.connect();
    let path = format!("/v1.51/containers/{id}/attach?stream=1&stdout=1&stderr=1");
    client.send_request("POST", &path, UPGRADE, b"");
    let head = client.head();
    assert_eq!(head.head[0], "HTTP/1.1 101 UPGRADED");
    assert_eq!(head.header("Content-Type"), Some("application/vnd.docker.multiplexed-stream"));
    assert_eq!((head.header("Upgrade"), head.header("Connection")), (Some("tcp"), Some("Upgrade")));
    world.start(&id);
    assert_eq!(demultiplexed(&client.rest()), ("out\n".into(), "err\n".into()));
}

fn without_an_upgrade_the_answer_is_raw() {
    let world = World::new();
    let id = world.create(r#"{"Cmd":["cat"],"OpenStdin":true,"StdinOnce":true}"#);
    let mut client = world.connect();
    let path = format!("/v1.41/containers/{id}/attach?stream=1&stdin=1&stdout=1");
    client.send_request("POST", &path, &[], b"");
    let head = client.head();
    assert_eq!((head.head.len(), head.head[0].as_str()), (2, "HTTP/1.1 200 OK"));
    assert_eq!(head.header("Content-Type"), Some("application/vnd.docker.raw-stream"));
    world.start(&id);
    client.send(b"there and back");
    client.close_input();
    assert_eq!(demultiplexed(&client.rest()).0, "there and back");
}

fn input_sent_with_the_request_arrives() {
    let world = World::new();
    for headers in [UPGRADE, &[]] {
        let id = world.create(r#"{"Cmd":["cat"],"OpenStdin":true,"StdinOnce":true}"#);
        let mut client = world.connect();
        let mut request = format!("POST /containers/{id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: d\r\n");
        headers.iter().for_each(|header| request.push_str(&format!("{header}\r\n")));
        client.send(format!("{request}\r\nearly ").as_bytes());
        client.head();
        client.send(b"late");
        client.close_input();
        world.start(&id);
        assert_eq!(demultiplexed(&client.rest()).0, "early late");
    }
}

fn a_terminal_is_one_stream() {
    let world = World::new();
    let id = world.create(
        r#"{"Cmd":["sh","-c","stty size; echo err >&2; read line; echo got $line"],"Tty":true,"OpenStdin":true}"#,
    );
    let mut client = world.connect();
    client.send_request("POST", &format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1"), UPGRADE, b"");
    assert_eq!(client.head().header("Content-Type"), Some("application/vnd.docker.raw-stream"));
    world.start(&id);
    // First: with a line to read it ends.
    assert_eq!(world.post(&format!("/containers/{id}/resize?h=40&w=100")).status, 200);
    client.send(b"x\n");
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.contains("err\r\n") && text.ends_with("got x\r\n"), "{text:?}");
}

fn failures_are_plain_text() {
    let world = World::new();
    for headers in [UPGRADE, &[]] {
        let mut client = world.connect();
        client.send_request("POST", "/containers/nope/attach?stream=1&stdout=1", headers, b"");
        let answer = client.answer();
        assert_eq!((answer.status, answer.body.as_slice()), (404, &b"No such container: nope\r\n"[..]));
        assert_eq!(answer.header("Content-Type"), Some("application/vnd.docker.raw-stream"));
        assert!(client.rest().is_empty(), "the connection is closed");
    }
}

fn a_kept_connection_is_not_taken() {
    let world = World::new();
    let [first, id] =
        ["echo", "true"].map(|program| world.create(&serde_json::json!({"Cmd": [program, "hi"]}).to_string()));
    let mut client = world.connect();
    client.send_request("GET", "/_ping", &[], b"");
    client.answer();
    // Without an upgrade the stream is the body of an ordinary answer, after which the connection serves on.
    client.send_request("POST", &format!("/containers/{first}/attach?stream=1&stdout=1"), &[], b"");
    assert_eq!(client.head().status, 200);
    world.start(&first);
    assert_eq!(demultiplexed(&client.chunks()).0, "hi\n");
    client.send_request("POST", &format!("/containers/{id}/attach?stream=1&stdout=1"), UPGRADE, b"");
    assert_eq!(client.head().status, 101);
    world.start(&id);
    assert!(client.rest().is_empty());
}

/// The first line must not be lost, however close the start follows the answer to the attach.
fn many_at_once_lose_nothing() {
    let world = World::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let world = &world;
            scope.spawn(move || {
                let id = world.create(&serde_json::json!({ "Cmd": ["echo", number.to_string()] }).to_string());
                let mut client = world.connect();
                client.send_request("POST", &format!("/containers/{id}/attach?stream=1&stdout=1"), UPGRADE, b"");
                client.head();
                world.start(&id);
                assert_eq!(demultiplexed(&client.rest()).0, format!("{number}\n"));
            });
        }
    });
}

fn a_client_that_does_not_read_the_log_holds_up_nobody() {
    let world = World::new();
    let id = world.run("seq 100000; echo end");
    assert_eq!(world.ended(&id), 0);
    // More than a socket takes. The head is the answer; what comes after it is left where it is.
    let mut deaf = world.connect();
    deaf.send_request("POST", &format!("/containers/{id}/attach?logs=1&stdout=1"), UPGRADE, b"");
    assert_eq!(deaf.head().status, 101);
    world.start(&id);
    assert_eq!(world.ended(&id), 0);
    let mut other = world.connect();
    other.send_request("POST", &format!("/containers/{id}/attach?logs=1&stdout=1"), UPGRADE, b"");
    other.head();
    assert_eq!(demultiplexed(&other.rest()).0.matches("end\n").count(), 2);
    // One that reads late has missed nothing of the first run.
    assert!(demultiplexed(&deaf.rest()).0.contains("100000\nend\n"));
}
