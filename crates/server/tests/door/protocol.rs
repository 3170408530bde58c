//! What is true for every request.

use crate::Test;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("protocol::every_answer_says_who_answers", every_answer_says_who_answers),
    ("protocol::versions_are_negotiated", versions_are_negotiated),
    ("protocol::what_is_not_there_says_so", what_is_not_there_says_so),
    ("protocol::a_connection_serves_many_requests", a_connection_serves_many_requests),
    ("protocol::what_is_not_said_to_be_json_is_not_read", what_is_not_said_to_be_json_is_not_read),
    ("protocol::what_is_no_json_is_told_in_gos_words", what_is_no_json_is_told_in_gos_words),
    ("protocol::every_path_has_options", every_path_has_options),
    (
        "protocol::older_versions_hear_of_bridges_and_not_of_annotations",
        older_versions_hear_of_bridges_and_not_of_annotations,
    ),
    ("protocol::half_a_request_hurts_nobody", half_a_request_hurts_nobody),
    ("protocol::heads_have_limits", heads_have_limits),
    ("protocol::an_unwanted_body_does_not_break_the_pipe", an_unwanted_body_does_not_break_the_pipe),
    ("protocol::facts_about_the_engine", facts_about_the_engine),
    ("protocol::the_end_closes_idle_connections", the_end_closes_idle_connections),
];

fn every_answer_says_who_answers() {
    let world = World::empty();
    for (method, path, status) in [("GET", "/_ping", 200), ("HEAD", "/v1.41/_ping", 200), ("GET", "/nope", 404)] {
        let mut client = world.connect();
        client.send_request(method, path, &["Connection: close"], b"");
        let answer = client.head();
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("Api-Version"), Some("1.51"));
        assert_eq!(answer.header("Ostype"), Some("linux"));
        assert_eq!(answer.header("Docker-Experimental"), Some("false"));
        assert_eq!(answer.header("Server"), Some("dhow/1.2.3 (linux)"));
    }
    assert_eq!(world.get("/_ping").body, b"OK");
}

fn versions_are_negotiated() {
    let world = World::empty();
    assert_eq!(world.get("/v1.24/version").status, 200);
    let refused = world.get("/v1.52/version");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.message(), "client version 1.52 is too new. Maximum supported API version is 1.51");
    assert!(world.get("/v1.23/version").message().starts_with("client version 1.23 is too old"));
}

fn what_is_not_there_says_so() {
    let world = World::empty();
    let unknown = world.get("/v1.41/no/such/thing");
    assert_eq!((unknown.status, unknown.message().as_str()), (404, "page not found"));
    assert_eq!(world.request("PUT", "/info", "").status, 404);
    let later = world.post("/v1.41/plugins/host:5000/a/b/push");
    assert_eq!((later.status, later.message().as_str()), (501, "plugins: not available yet"));
    let (left, nodes) = (world.post("/v1.44/swarm/leave?force=True"), world.get("/nodes"));
    assert_eq!((left.status, left.message().as_str()), (503, "This node is not part of a swarm"));
    assert!(nodes.status == 503 && nodes.message().starts_with("This node is not a swarm manager."));
    let missing = world.get("/containers/x/json");
    assert_eq!((missing.status, missing.message().as_str()), (404, "No such container: x"));
    assert_eq!(missing.header("Content-Type"), Some("application/json"));
}

fn a_connection_serves_many_requests() {
    let world = World::empty();
    let mut client = world.connect();
    for _ in 0..3 {
        client.send_request("GET", "/containers/json?all=1", &[], b"");
        assert_eq!(client.answer().body, b"[]\n");
        client.send_request("POST", "/containers/create", &[], b"{");
        assert_eq!(client.answer().status, 400);
    }
}

fn what_is_no_json_is_told_in_gos_words() {
    let world = World::new();
    for path in ["/containers/create", "/commit", "/containers/x/update", "/containers/x/exec", "/networks/create"] {
        let said = |body: &str| world.request("POST", path, body);
        let broken = said("{invalid json");
        let words = "invalid JSON: invalid character 'i' looking for beginning of object key string";
        assert_eq!((broken.status, broken.message().as_str()), (400, words), "{path}");
        let trailing = said("{} trailing content");
        assert_eq!((trailing.status, trailing.message().as_str()), (400, "unexpected content after JSON"), "{path}");
    }
    let said = |body: &str| world.request("POST", "/containers/create", body).message();
    assert_eq!(said("{}"), "config cannot be empty in order to create a container");
    assert_eq!(said(r#"{"Image":""}"#), "config cannot be empty in order to create a container");
    assert_eq!(said(r#"{"Tty":true}"#), "no command specified");
    let annotations = r#"{"Image":"busybox","Cmd":["true"],"HostConfig":{"Annotations":{"":"x"}}}"#;
    assert!(said(annotations).contains("the empty string is not permitted as an annotation key"));
}

fn every_path_has_options() {
    let world = World::empty();
    for path in ["/", "/containers/json", "/v1.44/no/such/thing"] {
        assert_eq!(world.request("OPTIONS", path, "").status, 200, "{path}");
    }
    assert_eq!(world.get("/networks/").json(), world.get("/networks").json());
}

fn older_versions_hear_of_bridges_and_not_of_annotations() {
    let world = World::new();
    let info = |version: &str| world.get(&format!("/v{version}/info")).json();
    assert_eq!(info("1.49")["BridgeNfIp6tables"], false);
    assert!(info("1.50").get("BridgeNfIptables").is_none());
    assert_eq!(info("1.50")["RegistryConfig"]["InsecureRegistryCIDRs"][1], "127.0.0.0/8");
    world.create(r#"{"Cmd":["true"],"HostConfig":{"Annotations":{"a":"b"}}}"#);
    let listed = |version: &str| world.get(&format!("/v{version}/containers/json?all=1")).json();
    assert_eq!(listed("1.46")[0]["HostConfig"]["Annotations"]["a"], "b");
    assert!(listed("1.45")[0]["HostConfig"].get("Annotations").is_none());
}

/// Otherwise any page in a browser could send it (dockerd: `CheckForJSON`).
fn what_is_not_said_to_be_json_is_not_read() {
    let world = World::empty();
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let mut client = world.connect();
        for path in
            ["/containers/create", "/networks/create", "/volumes/create", "/commit?container=x", "/exec/x/start"]
        {
            client.send_request("POST", path, &[&format!("Content-Type: {kind}")], b"{}");
            let refused = client.answer();
            let words = format!("unsupported Content-Type header ({kind}): must be 'application/json'");
            assert_eq!((refused.status, refused.message()), (400, words), "{path}");
        }
    }
    assert_eq!(world.request("POST", "/volumes/create", "{}").status, 201);
}

fn half_a_request_hurts_nobody() {
    let world = World::empty();
    for start in ["", "P", "POST /containers/x/attach HT", "GET /_ping HTTP/1.1\r\nHo", "\0\u{1}\u{2}"] {
        world.connect().send(start.as_bytes());
    }
    assert_eq!(world.get("/_ping").status, 200);
}

fn heads_have_limits() {
    let world = World::empty();
    let long = format!("X-Long: {}", "x".repeat(300 * 1024));
    let many: Vec<String> = (0..200).map(|number| format!("X-{number}: y")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for headers in [&[long.as_str()][..], &many] {
        let mut client = world.connect();
        client.send_request("GET", "/_ping", headers, b"");
        assert_eq!(client.head().status, 431);
    }
    assert_eq!(world.get("/_ping").status, 200);
}

fn an_unwanted_body_does_not_break_the_pipe() {
    let world = World::empty();
    let mut client = world.connect();
    for path in ["/swarm/init", "/no/such/thing", "/v1.99/containers/create"] {
        client.send(format!("POST {path} HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\n").as_bytes());
        assert!(client.answer().status >= 400);
        // The answer came before the body; the connection goes on after it.
        client.send(&[b' '; 100_000]);
    }
}

fn facts_about_the_engine() {
    let world = World::new();
    let version = world.get("/version").json();
    assert_eq!((version["Version"].as_str(), version["ApiVersion"].as_str()), (Some("1.2.3"), Some("1.51")));
    let info = world.get("/info").json();
    assert_eq!((info["Images"].as_i64(), info["OSType"].as_str()), (Some(1), Some("linux")));
    assert_eq!(info["Swarm"]["LocalNodeState"], "inactive");
    let usage = world.get("/system/df").json();
    assert_eq!(usage["Images"][0]["RepoTags"][0], "busybox:latest");
    let networks = world.get("/networks?filters=%7B%22name%22%3A%5B%22none%22%5D%7D").json();
    assert_eq!(networks[0]["Driver"], "null");
    assert_eq!(world.get("/networks/host").json()["Name"], "host");
    assert_eq!(world.get("/networks/x").message(), "network x not found");
    assert_eq!(world.get("/volumes").json()["Volumes"].to_string(), "[]");
}

fn the_end_closes_idle_connections() {
    let mut world = World::empty();
    let mut silent = world.connect();
    let mut idle = world.connect();
    idle.send_request("GET", "/_ping", &[], b"");
    assert_eq!(idle.answer().status, 200);
    world.end();
    assert!(silent.rest().is_empty() && idle.rest().is_empty());
}
