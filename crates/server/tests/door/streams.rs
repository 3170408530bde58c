//! Logs and events.

use serde_json::Value;

use crate::Test;
use crate::client::demultiplexed;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("streams::logs_have_both_streams", logs_have_both_streams),
    ("streams::following_sees_what_comes", following_sees_what_comes),
    ("streams::events_tell_what_happens", events_tell_what_happens),
    ("streams::a_follower_that_leaves_is_forgotten", a_follower_that_leaves_is_forgotten),
];

fn logs_have_both_streams() {
    let world = World::new();
    let id = world.run("echo one; echo two; echo err >&2");
    world.ended(&id);
    let logs = |query: &str| demultiplexed(&world.get(&format!("/v1.51/containers/{id}/logs?{query}")).body);
    assert_eq!(logs("stdout=1&stderr=1"), ("one\ntwo\n".into(), "err\n".into()));
    assert_eq!(logs("stdout=1&stderr=1&tail=1").0.len() + logs("stderr=1&tail=1").1.len(), 4);
    assert_eq!(logs("stdout=1&tail=all").0, "one\ntwo\n");
    assert_eq!(logs("stdout=1&until=1000"), (String::new(), String::new()));
    let stamped = logs("stdout=1&timestamps=1").0;
    assert_eq!(stamped.lines().next().unwrap().len(), "2026-11-23T21:04:13.500000000Z one".len(), "{stamped}");
}

fn following_sees_what_comes() {
    let world = World::new();
    let id = world.create(r#"{"Cmd":["sh","-c","echo one; read line; echo $line"],"OpenStdin":true}"#);
    let mut input = world.connect();
    input.send_request(
        "POST",
        &format!("/containers/{id}/attach?stream=1&stdin=1"),
        &["Connection: Upgrade", "Upgrade: tcp"],
        b"",
    );
    input.head();
    world.start(&id);
    let mut logs = world.connect();
    logs.send_request("GET", &format!("/v1.51/containers/{id}/logs?stdout=1&follow=1"), &[], b"");
    assert_eq!(logs.head().header("Content-Type"), Some("application/vnd.docker.multiplexed-stream"));
    assert_eq!(demultiplexed(&logs.chunk()).0, "one\n");
    input.send(b"two\n");
    assert_eq!(demultiplexed(&logs.chunk()).0, "two\n");
    assert!(logs.chunk().is_empty());
}

fn events_tell_what_happens() {
    let world = World::new();
    let mut events = world.connect();
    let filters = "%7B%22type%22%3A%5B%22container%22%5D%2C%22event%22%3A%5B%22create%22%2C%22die%22%5D%7D";
    events.send_request("GET", &format!("/events?filters={filters}"), &[], b"");
    assert_eq!(events.head().status, 200);
    let id = world.run("exit 4");
    let created: Value = serde_json::from_slice(&events.chunk()).unwrap();
    assert_eq!((created["Action"].as_str(), created["Actor"]["ID"].as_str()), (Some("create"), Some(id.as_str())));
    assert_eq!((created["status"].as_str(), created["from"].as_str()), (Some("create"), Some("busybox")));
    let died: Value = serde_json::from_slice(&events.chunk()).unwrap();
    assert_eq!((died["Action"].as_str(), died["Actor"]["Attributes"]["exitCode"].as_str()), (Some("die"), Some("4")));
    let past = world.get("/events?until=1000");
    assert_eq!((past.status, past.body.len()), (200, 0));
}

fn a_follower_that_leaves_is_forgotten() {
    let world = World::new();
    let id = world.run("exec sleep 1000");
    for path in [format!("/containers/{id}/logs?stdout=1&follow=1"), "/events".to_owned()] {
        let mut client = world.connect();
        client.send_request("GET", &path, &[], b"");
        assert_eq!(client.head().status, 200);
    }
    // Both hold the engine's event stream or log open only as long as somebody reads.
    dhow_testkit::eventually("nobody listens", || world.get("/info").json()["NEventsListener"] == 0);
}
