//! Every operation under "Volume" of the Engine API.

use dhow_api::query::encode;
use serde_json::{Value, json};

use crate::Test;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("volumes::create", create),
    ("volumes::inspect", inspect),
    ("volumes::list", list),
    ("volumes::update", update),
    ("volumes::remove", remove),
    ("volumes::prune", prune),
    ("volumes::usage", usage),
];

fn made(world: &World, body: &Value) -> Value {
    let answer = world.request("POST", "/volumes/create", &body.to_string());
    assert_eq!(answer.status, 201);
    answer.json()
}

fn message(world: &World, method: &str, path: &str, body: &str) -> (u16, String) {
    let answer = world.request(method, path, body);
    (answer.status, answer.json()["message"].as_str().unwrap_or_default().to_owned())
}

fn create() {
    let world = World::empty();
    let volume = made(&world, &json!({"Name": "data", "Labels": {"a": "b"}, "Driver": "local", "DriverOpts": {}}));
    assert_eq!(
        (&volume["Name"], &volume["Driver"], &volume["Scope"]),
        (&json!("data"), &json!("local"), &json!("local"))
    );
    assert_eq!((&volume["Labels"], &volume["Options"]), (&json!({"a": "b"}), &Value::Null));
    assert!(volume["Mountpoint"].as_str().unwrap().ends_with("/volumes/data/_data"));
    let created = volume["CreatedAt"].as_str().unwrap();
    assert!(created.len() == "2026-11-26T18:00:00Z".len() && created.ends_with('Z'), "{created}");
    assert!(volume.get("UsageData").is_none() && volume.get("Status").is_none());
    // The same once more is the same volume, with what it had.
    assert_eq!(made(&world, &json!({"Name": "data", "Labels": {"c": "d"}})), volume);
    let anonymous = made(&world, &json!({}));
    assert_eq!(anonymous["Name"].as_str().unwrap().len(), 64);
    assert_eq!(anonymous["Labels"], json!({"com.docker.volume.anonymous": ""}));
    let refused = message(&world, "POST", "/volumes/create", r#"{"Name":"../x"}"#);
    assert!(
        refused.0 == 400 && refused.1.starts_with("create ../x: \"../x\" includes invalid characters"),
        "{refused:?}"
    );
    let refused = message(&world, "POST", "/volumes/create", r#"{"Name":"xx","Driver":"no"}"#);
    assert_eq!(refused, (404, "create xx: error looking up volume plugin no: plugin \"no\" not found".to_owned()));
    assert_eq!(world.request("POST", "/volumes/create", "").status, 400);
    assert_eq!(world.request("POST", "/volumes/create", r#"{"ClusterVolumeSpec":{}}"#).status, 503);
}

fn inspect() {
    let world = World::empty();
    let volume = made(&world, &json!({"Name": "data"}));
    assert_eq!(world.get("/volumes/data").json(), volume);
    assert_eq!(message(&world, "GET", "/volumes/x", ""), (404, "get x: no such volume".to_owned()));
}

fn list() {
    let world = World::new();
    assert_eq!(world.get("/volumes").json(), json!({"Volumes": [], "Warnings": null}));
    for name in ["one", "two"] {
        made(&world, &json!({"Name": name, "Labels": {"is": name}}));
    }
    world.create(r#"{"Cmd":["true"],"HostConfig":{"Binds":["two:/x"]}}"#);
    let names = |filters: &str| -> Vec<String> {
        let list = world.get(&format!("/volumes?filters={}", encode(filters))).json();
        list["Volumes"].as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("{}"), ["one", "two"]);
    assert_eq!(names(r#"{"dangling":["true"]}"#), ["one"]);
    assert_eq!(names(r#"{"dangling":{"0":true}}"#), ["two"]);
    assert_eq!(names(r#"{"label":["is=two"]}"#), ["two"]);
    assert_eq!(names(r#"{"name":["^o"],"driver":["local"]}"#), ["one"]);
    let path = format!("/volumes?filters={}", encode(r#"{"x":["1"]}"#));
    assert_eq!(message(&world, "GET", &path, ""), (400, "invalid filter 'x'".to_owned()));
    for bad in [r#"{"dangling":["maybe"]}"#, r#"{"dangling":[]"#, "[1]", r#"{"name":3}"#] {
        assert_eq!(world.get(&format!("/volumes?filters={}", encode(bad))).status, 400, "{bad}");
    }
    assert_eq!(names(r#"{"driver":["loc"]}"#), [""; 0]);
    assert_eq!(names(r#"{"label":["is"],"name":["w","n"]}"#), ["one", "two"]);
    assert_eq!(names(r#"{"label":["is=one","is=two"]}"#), [""; 0]);
}

fn update() {
    let world = World::empty();
    made(&world, &json!({"Name": "data"}));
    let refused = message(&world, "PUT", "/volumes/data?version=1", "{}");
    assert_eq!(refused, (503, "volume update only valid for cluster volumes, but swarm is unavailable".to_owned()));
    assert_eq!(world.request("PUT", "/v1.41/volumes/data?version=1", "{}").status, 503);
}

fn remove() {
    let world = World::new();
    made(&world, &json!({"Name": "data"}));
    let user =
        world.create(r#"{"Cmd":["true"],"HostConfig":{"Mounts":[{"Type":"volume","Source":"data","Target":"/x"}]}}"#);
    for query in ["", "?force=1"] {
        let refused = message(&world, "DELETE", &format!("/volumes/data{query}"), "");
        assert_eq!(refused, (409, format!("remove data: volume is in use - [{user}]")));
    }
    assert_eq!(world.request("DELETE", &format!("/containers/{user}?v=1"), "").status, 204);
    assert_eq!(world.request("DELETE", "/volumes/data", "").status, 204);
    assert_eq!(message(&world, "DELETE", "/volumes/data", ""), (404, "get data: no such volume".to_owned()));
    assert_eq!(world.request("DELETE", "/volumes/data?force=true", "").status, 204);
}

fn prune() {
    let world = World::empty();
    let prepare = || {
        made(&world, &json!({"Name": "named"}));
        made(&world, &json!({}))["Name"].as_str().unwrap().to_owned()
    };
    let anonymous = prepare();
    let pruned = |path: &str| {
        let mut names = world.post(path).json()["VolumesDeleted"].as_array().cloned().unwrap_or_default();
        names.sort_by_key(|name| name.as_str().unwrap_or_default().len());
        names
    };
    assert_eq!(pruned("/v1.44/volumes/prune"), [json!(anonymous)]);
    assert_eq!(world.post("/v1.44/volumes/prune").json(), json!({"VolumesDeleted": null, "SpaceReclaimed": 0}));
    let anonymous = prepare();
    assert_eq!(
        pruned(&format!("/volumes/prune?filters={}", encode(r#"{"all":["1"]}"#))),
        [json!("named"), json!(anonymous)]
    );
    let anonymous = prepare();
    // Before 1.42 all were meant.
    assert_eq!(pruned("/v1.41/volumes/prune"), [json!("named"), json!(anonymous)]);
    for bad in [r#"{"x":["1"]}"#, r#"{"all":["maybe"]}"#, r#"{"dangling":["true"]}"#, r#"{"until":["1h"]}"#, "{"] {
        assert_eq!(world.post(&format!("/volumes/prune?filters={}", encode(bad))).status, 400, "{bad}");
    }
    made(&world, &json!({"Name": "back", "Labels": {"tier": "back"}}));
    made(&world, &json!({"Name": "front", "Labels": {"tier": "front"}}));
    let filters = encode(r#"{"all":["true"],"label!":["tier=back"]}"#);
    assert_eq!(pruned(&format!("/volumes/prune?filters={filters}")), [json!("front")]);
    let filters = encode(r#"{"all":["true"],"label":["tier"]}"#);
    assert_eq!(pruned(&format!("/volumes/prune?filters={filters}")), [json!("back")]);
}

fn usage() {
    let world = World::new();
    made(&world, &json!({"Name": "idle"}));
    let user =
        world.create(r#"{"Cmd":["sh","-c","head -c 5000 /dev/zero > /x/f"],"HostConfig":{"Binds":["used:/x"]}}"#);
    world.post(&format!("/containers/{user}/start"));
    world.ended(&user);
    let list = world.get("/system/df?type=volume").json();
    let usage = |name: &str| {
        let mut volumes = list["Volumes"].as_array().unwrap().iter();
        volumes.find(|volume| volume["Name"] == name).unwrap()["UsageData"].clone()
    };
    assert_eq!(usage("idle"), json!({"RefCount": 0, "Size": 0}));
    assert_eq!(usage("used"), json!({"RefCount": 1, "Size": 5000}));
}
