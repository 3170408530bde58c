//! Images in and out.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Test;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("images::an_upload_becomes_an_image", an_upload_becomes_an_image),
    ("images::saved_images_can_be_loaded", saved_images_can_be_loaded),
    ("images::names_with_slashes", names_with_slashes),
    ("images::images_in_use_stay", images_in_use_stay),
    ("images::what_cannot_be_had_is_refused", what_cannot_be_had_is_refused),
    ("images::clients_that_stall_hold_up_nobody_else", clients_that_stall_hold_up_nobody_else),
];

fn upload(world: &World, path: &str, body: &[u8]) -> crate::client::Answer {
    let mut client = world.connect();
    client.send_request("POST", path, &["Connection: close", "Content-Type: application/x-tar"], body);
    client.answer()
}

fn an_upload_becomes_an_image() {
    let world = World::empty();
    let path = "/v1.51/images/create?fromSrc=-&repo=bb&tag=1&message=hello&changes=LABEL%20a%3Db&changes=CMD%20sh";
    let imported = upload(&world, path, &dhow_testkit::busybox_tar());
    assert_eq!(imported.status, 200, "{imported:?}");
    let id = imported.json()["status"].as_str().unwrap().to_owned();
    let list = world.get("/images/json").json();
    assert_eq!((list[0]["Id"].as_str(), list[0]["RepoTags"][0].as_str()), (Some(id.as_str()), Some("bb:1")));
    assert_eq!((list[0]["Labels"]["a"].as_str(), list[0]["VirtualSize"].is_null()), (Some("b"), true));
    let image = world.get("/images/bb:1/json").json();
    assert_eq!((image["Id"].as_str(), image["Comment"].as_str()), (Some(id.as_str()), Some("hello")));
    assert!(image["Config"]["Hostname"].is_null());
    let old = world.get("/v1.41/images/bb:1/json").json();
    assert_eq!((old["Config"]["Hostname"].as_str(), old["VirtualSize"].is_i64()), (Some(""), true));
    let history = world.get("/images/bb:1/history").json();
    assert_eq!((history[0]["Id"].as_str(), history[0]["Tags"][0].as_str()), (Some(id.as_str()), Some("bb:1")));
}

fn saved_images_can_be_loaded() {
    let world = World::new();
    let archive = world.get("/images/busybox/get");
    assert_eq!(archive.header("Content-Type"), Some("application/x-tar"));
    assert_eq!(world.get("/images/get?names=busybox&names=nope").status, 404);
    let id = world.get("/images/busybox/json").json()["Id"].clone();
    assert_eq!(world.request("DELETE", "/images/busybox", "").status, 200);
    assert_eq!(world.get("/images/json").json().to_string(), "[]");
    let loaded = upload(&world, "/images/load?quiet=1", &archive.body);
    assert_eq!(loaded.body, b"{\"stream\":\"Loaded image: busybox:latest\\n\"}\r\n");
    assert_eq!(world.get("/images/busybox/json").json()["Id"], id);
}

fn names_with_slashes() {
    let world = World::new();
    assert_eq!(world.post("/images/busybox/tag?repo=host:5000/a/b&tag=c").status, 201);
    for name in ["host:5000/a/b:c", "host%3A5000%2Fa%2Fb%3Ac"] {
        let image = world.get(&format!("/v1.44/images/{name}/json"));
        assert_eq!(image.json()["RepoTags"].as_array().unwrap().len(), 2, "{name}");
    }
    let removed = world.request("DELETE", "/images/host:5000/a/b:c", "").json();
    assert_eq!(removed[0]["Untagged"], "host:5000/a/b:c");
    assert_eq!(world.post("/images/busybox/tag?repo=UP").status, 400);
}

fn images_in_use_stay() {
    let world = World::new();
    world.create(r#"{"Cmd":["true"]}"#);
    let refused = world.request("DELETE", "/images/busybox", "");
    assert_eq!(refused.status, 409);
    assert!(refused.message().contains("is using its referenced image"), "{}", refused.message());
    assert!(world.post("/images/prune").json()["ImagesDeleted"].is_null());
}

fn what_cannot_be_had_is_refused() {
    let world = World::new();
    let refused = world.post("/images/create?fromImage=127.0.0.1:1/nope&tag=1");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.message().contains("/v2/nope/manifests/1"), "{}", refused.message());
    let garbage = upload(&world, "/images/load", &b"this is no archive\n".repeat(64));
    assert_eq!((garbage.status, garbage.json()["error"].is_string()), (200, true), "{garbage:?}");
    assert_eq!(upload(&world, "/images/create?fromSrc=-&repo=UP", b"").status, 400);
}

/// More of them than the engine has threads that may wait.
fn clients_that_stall_hold_up_nobody_else() {
    let world = World::new();
    let enough = Rlimit { current: Some(8192), maximum: getrlimit(Resource::Nofile).maximum };
    setrlimit(Resource::Nofile, enough).unwrap();
    let stalled: Vec<_> = (0..600)
        .map(|number| {
            let mut client = world.connect();
            let path = if number % 2 == 0 { "/images/load" } else { "/images/create?fromSrc=-&repo=x" };
            client.send(format!("POST {path} HTTP/1.1\r\nHost: door\r\nContent-Length: 1000\r\n\r\nx").as_bytes());
            client
        })
        .collect();
    assert_eq!(world.get("/images/json").json().as_array().unwrap().len(), 1);
    let id = world.run("true");
    assert_eq!(world.ended(&id), 0);
    drop(stalled);
}
