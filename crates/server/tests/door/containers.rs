//! The life of containers.

use serde_json::Value;

use crate::Test;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("containers::a_life", a_life),
    ("containers::what_was_asked_for_is_shown", what_was_asked_for_is_shown),
    ("containers::lists_are_filtered", lists_are_filtered),
    ("containers::waiting_begins_with_the_head", waiting_begins_with_the_head),
    ("containers::refusals_have_dockers_words", refusals_have_dockers_words),
    ("containers::prune_takes_what_has_ended", prune_takes_what_has_ended),
];

fn a_life() {
    let world = World::new();
    let id = world.run("exec sleep 1000");
    assert_eq!(world.post(&format!("/containers/{id}/start")).status, 304);
    assert!(world.inspect(&id)["State"]["Pid"].as_i64().unwrap() > 0);
    assert_eq!(world.post(&format!("/containers/{id}/rename?name=other")).status, 204);
    assert_eq!(world.post("/containers/other/pause").status, 204);
    assert_eq!(world.inspect("other")["State"]["Status"], "paused");
    assert_eq!(world.post("/containers/other/unpause").status, 204);
    let top = world.get("/containers/other/top").json();
    assert!(top["Processes"][0].as_array().unwrap().iter().any(|cell| cell.as_str().unwrap().contains("sleep 1000")));
    assert_eq!(world.post("/containers/other/kill?signal=KILL").status, 204);
    assert_eq!(world.ended("other"), 137);
    assert_eq!(world.post("/containers/other/stop").status, 304);
    assert_eq!(world.post("/containers/other/restart?t=0").status, 204);
    assert_eq!(world.request("DELETE", "/containers/other", "").status, 409);
    assert_eq!(world.request("DELETE", "/containers/other?force=1", "").status, 204);
    assert_eq!(world.get("/containers/other/json").status, 404);
}

fn what_was_asked_for_is_shown() {
    let world = World::new();
    let id = world.create(
        r#"{"Cmd":["echo","a b"],"Env":["A=b"],"Labels":{"l":"m"},"HostConfig":{"Memory":67108864,"CapAdd":["NET_ADMIN"]}}"#,
    );
    let shown = world.inspect(&id);
    assert_eq!((shown["Path"].as_str(), shown["Args"][0].as_str()), (Some("echo"), Some("a b")));
    assert_eq!(
        (shown["Config"]["Labels"]["l"].as_str(), shown["HostConfig"]["Memory"].as_i64()),
        (Some("m"), Some(67_108_864))
    );
    assert_eq!(shown["State"]["StartedAt"], "0001-01-01T00:00:00Z");
    assert!(shown["SizeRw"].is_null() && shown["ExecIDs"].is_null());
    assert!(shown["NetworkSettings"]["Networks"]["none"].is_object());
    assert!(world.get(&format!("/containers/{id}/json?size=1")).json()["SizeRootFs"].is_i64());
    // What was left out and what was left empty are told apart, and old versions meant something else by the first.
    let host = |version: &str, host: &str| {
        let body = format!(r#"{{"Image":"busybox","Cmd":["true"],"HostConfig":{host}}}"#);
        let made = world.request("POST", &format!("/{version}/containers/create"), &body).json();
        world.inspect(made["Id"].as_str().unwrap())["HostConfig"].clone()
    };
    let (silent, empty) = (host("v1.38", r#"{"CpuCount":2}"#), host("v1.44", r#"{"Dns":[],"IpcMode":""}"#));
    assert!(silent["Dns"].is_null() && empty["Dns"] == serde_json::json!([]), "{silent} {empty}");
    assert_eq!((&silent["IpcMode"], &empty["IpcMode"]), (&"shareable".into(), &"private".into()));
    assert_eq!((silent["CpuCount"].as_i64(), empty["CpuCount"].as_i64()), (Some(2), Some(0)));
}

fn lists_are_filtered() {
    let world = World::new();
    let running = world.run("exec sleep 1000");
    let created = world.create(r#"{"Cmd":["true"],"Labels":{"l":"m"}}"#);
    let ids = |query: &str| -> Vec<String> {
        let list = world.get(&format!("/containers/json?{query}")).json();
        list.as_array().unwrap().iter().map(|one| one["Id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(""), [running.as_str()]);
    assert_eq!(ids("all=1"), [created.as_str(), running.as_str()]);
    assert_eq!(ids("limit=1"), [created.as_str()]);
    assert_eq!(
        ids("filters=%7B%22label%22%3A%7B%22l%3Dm%22%3Atrue%7D%2C%22status%22%3A%7B%22created%22%3Atrue%7D%7D"),
        [created]
    );
    let list: Value = world.get("/containers/json").json();
    assert_eq!(
        (list[0]["Command"].as_str(), list[0]["State"].as_str()),
        (Some("sh -c 'exec sleep 1000'"), Some("running"))
    );
    assert!(list[0]["Status"].as_str().unwrap().starts_with("Up "));
    assert_eq!(world.get("/containers/json?filters=%7B%22nope%22%3A%5B%22x%22%5D%7D").status, 400);
    assert_eq!(world.get("/containers/json?limit=x").message(), "strconv.Atoi: parsing \"x\": invalid syntax");
}

fn waiting_begins_with_the_head() {
    let world = World::new();
    let id = world.create(r#"{"Cmd":["sh","-c","exit 7"]}"#);
    let mut waiting = world.connect();
    waiting.send_request("POST", &format!("/containers/{id}/wait?condition=next-exit"), &[], b"");
    assert_eq!(waiting.head().status, 200);
    world.start(&id);
    assert_eq!(waiting.chunk(), b"{\"StatusCode\":7}\n");
}

fn refusals_have_dockers_words() {
    let world = World::new();
    let missing = world.request("POST", "/containers/create", r#"{"Image":"nope","Cmd":["true"]}"#);
    assert_eq!((missing.status, missing.message().as_str()), (404, "No such image: nope:latest"));
    for part in [r#""VolumesFrom":["nope"]"#, r#""NetworkMode":"container:nope""#, r#""PidMode":"container:nope""#] {
        let body = format!(r#"{{"Image":"busybox","Cmd":["true"],"HostConfig":{{{part}}}}}"#);
        let refused = world.request("POST", "/containers/create", &body);
        // Not 404: clients would pull the image.
        assert_eq!((refused.status, refused.message().as_str()), (400, "No such container: nope"), "{part}");
    }
    let wrong = world.request("POST", "/containers/create", r#"{"HostConfig":{"Memory":"much"}}"#);
    let text = "invalid JSON: field HostConfig.Memory: invalid type: string \"much\", expected a whole number";
    assert!(wrong.status == 400 && wrong.message().starts_with(text), "{}", wrong.message());
    let elsewhere = r#"{"Image":"busybox","Cmd":["true"]}"#;
    assert_eq!(world.request("POST", "/containers/create?platform=linux/arm64", elsewhere).status, 404);
    let named = world.request("POST", "/containers/create?name=web", r#"{"Image":"busybox","Cmd":["true"]}"#);
    assert_eq!((named.status, named.json()["Warnings"].to_string().as_str()), (201, "[]"));
    let again = world.request("POST", "/containers/create?name=web", r#"{"Image":"busybox","Cmd":["true"]}"#);
    assert_eq!(again.status, 409);
    assert!(again.message().starts_with("Conflict. The container name \"/web\" is already in use"));
    assert_eq!(world.post("/containers/web/rename").message(), "Neither old nor new names may be empty");
    assert_eq!(world.post("/containers/web/kill").status, 409);
    assert_eq!(world.get("/containers/web/logs").message(), "Bad parameters: you must choose at least one stream");
    assert_eq!(world.post("/containers/web/wait?condition=x").status, 400);
    let failing = world.create(r#"{"Cmd":["/no/such/program"]}"#);
    let failed = world.post(&format!("/containers/{failing}/start"));
    assert_eq!(failed.status, 400, "{failed:?}");
    assert!(failed.message().contains("no such file or directory"), "{}", failed.message());
}

fn prune_takes_what_has_ended() {
    let world = World::new();
    let running = world.run("exec sleep 1000");
    let ended = world.run("true");
    world.ended(&ended);
    let pruned = world.post("/containers/prune").json();
    assert_eq!(pruned["ContainersDeleted"], serde_json::json!([ended]));
    assert_eq!(world.inspect(&running)["State"]["Status"], "running");
    assert!(world.post("/containers/prune").json()["ContainersDeleted"].is_null());
}
