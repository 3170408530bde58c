//! Further processes in containers.

use crate::Test;
use crate::client::{Answer, Client, demultiplexed};
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("execs::its_streams_come_back", its_streams_come_back),
    ("execs::detached_it_runs_on_its_own", detached_it_runs_on_its_own),
    ("execs::detach_keys_end_the_session", detach_keys_end_the_session),
    ("execs::a_terminal_gets_its_size", a_terminal_gets_its_size),
    ("execs::refusals", refusals),
];

const UPGRADE: &[&str] = &["Connection: Upgrade", "Upgrade: tcp", "Content-Type: application/json"];

fn create(world: &World, container: &str, exec: &str) -> String {
    let created = world.request("POST", &format!("/v1.51/containers/{container}/exec"), exec);
    assert_eq!(created.status, 201, "{created:?}");
    created.json()["Id"].as_str().unwrap().to_owned()
}

fn start(world: &World, exec: &str, headers: &[&str]) -> (Answer, Client) {
    let mut client = world.connect();
    let path = format!("/v1.51/exec/{exec}/start");
    client.send_request("POST", &path, headers, br#"{"Detach":false,"Tty":false}"#);
    (client.head(), client)
}

fn its_streams_come_back() {
    let world = World::new();
    let id = world.run("exec sleep 1000");
    for (headers, status) in [(UPGRADE, 101), (&[], 200)] {
        let exec = create(
            &world,
            &id,
            r#"{"Cmd":["sh","-c","cat; echo err >&2; exit 3"],"AttachStdin":true,"AttachStdout":true,"AttachStderr":true}"#,
        );
        let (head, mut client) = start(&world, &exec, headers);
        assert_eq!(head.status, status);
        assert_eq!(head.header("Content-Type"), Some("application/vnd.docker.multiplexed-stream"));
        client.send(b"in");
        client.close_input();
        assert_eq!(demultiplexed(&client.rest()), ("in".into(), "err\n".into()));
        let shown = world.get(&format!("/exec/{exec}/json")).json();
        assert_eq!((shown["ExitCode"].as_i64(), shown["Running"].as_bool()), (Some(3), Some(false)));
        assert_eq!(shown["ProcessConfig"]["entrypoint"], "sh");
        assert_eq!(shown["ContainerID"], id);
    }
}

fn detached_it_runs_on_its_own() {
    let world = World::new();
    let id = world.run("exec sleep 1000");
    let exec = create(&world, &id, r#"{"Cmd":["sleep","1000"]}"#);
    let started = world.request("POST", &format!("/exec/{exec}/start"), r#"{"Detach":true}"#);
    assert_eq!(started.status, 200, "{started:?}");
    assert_eq!(world.get(&format!("/exec/{exec}/json")).json()["Running"], true);
    assert!(world.inspect(&id)["ExecIDs"].as_array().unwrap().contains(&exec.into()));
}

fn detach_keys_end_the_session() {
    let world = World::new();
    let id = world.run("exec sleep 1000");
    let exec = create(&world, &id, r#"{"Cmd":["cat"],"Tty":true,"AttachStdin":true,"AttachStdout":true}"#);
    let mut client = world.connect();
    client.send_request("POST", &format!("/exec/{exec}/start"), UPGRADE, br#"{"Tty":true}"#);
    assert_eq!(client.head().header("Content-Type"), Some("application/vnd.docker.raw-stream"));
    client.send(b"\x10\x11");
    client.rest();
    assert_eq!(world.get(&format!("/exec/{exec}/json")).json()["Running"], true);
}

fn a_terminal_gets_its_size() {
    let world = World::new();
    let id = world.run("exec sleep 1000");
    let exec = create(
        &world,
        &id,
        r#"{"Cmd":["sh","-c","echo ready; read line; stty size"],"Tty":true,"AttachStdin":true,"AttachStdout":true}"#,
    );
    let mut client = world.connect();
    let path = format!("/v1.51/exec/{exec}/start");
    client.send_request("POST", &path, UPGRADE, br#"{"Detach":false,"Tty":true,"ConsoleSize":[20,50]}"#);
    client.head();
    assert_eq!(client.exactly(7), b"ready\r\n");
    assert_eq!(world.post(&format!("/exec/{exec}/resize?h=33&w=111")).status, 200);
    client.send(b"\n");
    let text = String::from_utf8(client.rest()).unwrap();
    assert!(text.ends_with("33 111\r\n"), "{text:?}");
    assert_eq!(world.post("/exec/nope/resize?h=1&w=1").status, 404);
}

fn refusals() {
    let world = World::new();
    let stopped = world.create(r#"{"Cmd":["true"]}"#);
    let refused = world.request("POST", &format!("/containers/{stopped}/exec"), r#"{"Cmd":["true"]}"#);
    assert_eq!(refused.status, 409);
    assert!(refused.message().contains("is not running"), "{}", refused.message());
    let empty = world.request("POST", &format!("/containers/{stopped}/exec"), r#"{"Cmd":[]}"#);
    assert_eq!((empty.status, empty.message().as_str()), (400, "No exec command specified"));
    let missing = world.get("/exec/nope/json");
    assert_eq!((missing.status, missing.message().as_str()), (404, "No such exec instance: nope"));
    let (head, _) = start(&world, "nope", UPGRADE);
    assert_eq!(head.status, 404);
}
