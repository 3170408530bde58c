//! Every operation under Network, through the door.

use serde_json::{Value, json};

use crate::Test;
use crate::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("networks::they_are_made_and_shown", they_are_made_and_shown),
    ("networks::lists_are_filtered", lists_are_filtered),
    ("networks::containers_come_and_go", containers_come_and_go),
    ("networks::a_container_says_where_it_wants_to_be", a_container_says_where_it_wants_to_be),
    ("networks::older_versions_have_other_shapes", older_versions_have_other_shapes),
    ("networks::removing_and_pruning", removing_and_pruning),
    ("networks::refusals_have_dockers_words", refusals_have_dockers_words),
];

/// Makes a network with a subnet, answers with its id.
fn make(world: &World, name: &str, subnet: &str) -> String {
    let body = json!({"Name": name, "IPAM": {"Driver": "default", "Config": [{"Subnet": subnet}]}});
    let made = world.request("POST", "/v1.51/networks/create", &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.json()["Warning"], "");
    made.json()["Id"].as_str().unwrap().to_owned()
}

/// Starts a container that sleeps in a network.
fn start_in(world: &World, network: &str, endpoint: &Value) -> String {
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": network},
        "NetworkingConfig": {"EndpointsConfig": {network: endpoint}}});
    let made = world.request("POST", "/v1.51/containers/create", &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["Id"].as_str().unwrap().to_owned();
    world.start(&id);
    id
}

fn they_are_made_and_shown() {
    let world = World::empty();
    let body = json!({"Name": "n", "Driver": "bridge", "EnableIPv6": true, "Internal": true, "Attachable": true,
        "Options": {"com.docker.network.driver.mtu": "1400"}, "Labels": {"a": "b"},
        "IPAM": {"Config": [{"Subnet": "10.81.0.0/24", "Gateway": "10.81.0.254"}, {"Subnet": "fd81::/64"}]}});
    let made = world.request("POST", "/networks/create", &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.json()["Id"].as_str().unwrap().to_owned();
    let shown = world.get("/networks/n").json();
    for (name, value) in [
        ("Name", json!("n")),
        ("Id", json!(id)),
        ("Scope", json!("local")),
        ("Driver", json!("bridge")),
        ("EnableIPv4", json!(true)),
        ("EnableIPv6", json!(true)),
        ("Internal", json!(true)),
        ("Attachable", json!(true)),
        ("Ingress", json!(false)),
        ("ConfigFrom", json!({"Network": ""})),
        ("ConfigOnly", json!(false)),
        ("Containers", json!({})),
        ("Options", json!({"com.docker.network.driver.mtu": "1400"})),
        ("Labels", json!({"a": "b"})),
    ] {
        assert_eq!(shown[name], value, "{name}");
    }
    assert_eq!(shown["IPAM"]["Config"][0], json!({"Subnet": "10.81.0.0/24", "Gateway": "10.81.0.254"}));
    assert_eq!(shown["IPAM"]["Config"][1]["Subnet"], "fd81::/64");
    assert_eq!(world.get(&format!("/networks/{}", &id[..12])).json(), shown);
    assert_eq!(world.get("/networks/n?scope=swarm").status, 404);
    // Whoever says nothing gets a block that is free.
    let plain = world.request("POST", "/networks/create", r#"{"Name":"plain","Driver":null,"IPAM":null}"#);
    assert_eq!(plain.status, 201, "{plain:?}");
    assert!(world.get("/networks/plain").json()["IPAM"]["Config"][0]["Subnet"].is_string());
}

fn lists_are_filtered() {
    let world = World::empty();
    make(&world, "one", "10.82.0.0/24");
    let names = |filters: Value| -> Vec<String> {
        let filters = escaped(&filters.to_string());
        let list = world.get(&format!("/networks?filters={filters}")).json();
        list.as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(json!({})), ["bridge", "host", "none", "one"]);
    assert_eq!(names(json!({"type": ["builtin"]})), ["bridge", "host", "none"]);
    assert_eq!(names(json!({"name": ["on"], "driver": ["bridge"]})), ["one"]);
    assert_eq!(names(json!({"dangling": {"true": true}})), ["one"]);
    let refused = world.get("/networks?filters=%7B%22type%22%3A%5B%22x%22%5D%7D");
    assert_eq!((refused.status, refused.message().as_str()), (400, "invalid filter: 'type'='x'"));
}

/// Escapes a text for a query.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn containers_come_and_go() {
    let world = World::new();
    make(&world, "one", "10.83.0.0/24");
    make(&world, "two", "10.84.0.0/24");
    let id = start_in(&world, "one", &json!({"Aliases": ["a"]}));
    let body = json!({"Container": id, "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.84.0.44"}, "Aliases": ["b"],
        "MacAddress": "02:42:0a:54:00:44", "GwPriority": 5}});
    let connected = world.request("POST", "/networks/two/connect", &body.to_string());
    assert_eq!(connected.status, 200, "{connected:?}");
    let endpoint = &world.inspect(&id)["NetworkSettings"]["Networks"]["two"];
    assert_eq!((endpoint["IPAddress"].as_str(), endpoint["IPPrefixLen"].as_i64()), (Some("10.84.0.44"), Some(24)));
    assert_eq!(
        (endpoint["MacAddress"].as_str(), endpoint["GwPriority"].as_i64()),
        (Some("02:42:0a:54:00:44"), Some(5))
    );
    assert_eq!((&endpoint["Aliases"], &endpoint["IPAMConfig"]["IPv4Address"]), (&json!(["b"]), &json!("10.84.0.44")));
    let member = &world.get("/networks/two").json()["Containers"][&id];
    assert_eq!(member["IPv4Address"], "10.84.0.44/24");
    assert_eq!(member["EndpointID"], endpoint["EndpointID"]);
    let again = world.request("POST", "/networks/two/connect", &body.to_string());
    assert_eq!(again.status, 403, "{again:?}");
    let gone = world.request("POST", "/networks/two/disconnect", &json!({"Container": id}).to_string());
    assert_eq!(gone.status, 200, "{gone:?}");
    assert!(world.inspect(&id)["NetworkSettings"]["Networks"]["two"].is_null());
    assert_eq!(world.get("/networks/two").json()["Containers"], json!({}));
    let gone = world.request("POST", "/networks/two/disconnect", &json!({"Container": id, "Force": true}).to_string());
    assert_eq!(gone.message(), format!("container {id} is not connected to network two"));
}

fn a_container_says_where_it_wants_to_be() {
    let world = World::new();
    let network = make(&world, "one", "10.85.0.0/24");
    let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": &network[..12]},
        "NetworkingConfig": {"EndpointsConfig": {"one": {"Aliases": ["x"], "DriverOpts": {"k": "v"}}}}});
    let made = world.request("POST", "/v1.51/containers/create?name=box", &body.to_string());
    assert_eq!(made.status, 201, "{made:?}");
    let shown = world.inspect("box")["NetworkSettings"]["Networks"]["one"].clone();
    assert_eq!(
        (&shown["Aliases"], &shown["DriverOpts"], &shown["IPAddress"]),
        (&json!(["x"]), &json!({"k": "v"}), &json!(""))
    );
    // The network may come later than the container, which cannot start before.
    let body = json!({"Image": "busybox", "Cmd": ["true"], "HostConfig": {"NetworkMode": "later"}});
    assert_eq!(world.request("POST", "/containers/create?name=early", &body.to_string()).status, 201);
    let started = world.post("/containers/early/start");
    assert_eq!(started.status, 404, "{started:?}");
    assert_eq!(started.message(), "failed to set up container networking: network later not found");
    assert_eq!(world.inspect("early")["State"]["Status"], "created");
    make(&world, "later", "10.86.0.0/24");
    world.start("early");
    assert_eq!(world.ended("early"), 0);
}

fn older_versions_have_other_shapes() {
    let world = World::new();
    make(&world, "one", "10.87.0.0/24");
    let mac = "02:42:0a:57:00:09";
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "MacAddress": mac, "Hostname": "h",
        "HostConfig": {"NetworkMode": "one"}});
    let old = world.request("POST", "/v1.43/containers/create?name=old", &body.to_string());
    assert_eq!((old.status, old.json()["Warnings"].clone()), (201, json!([])), "{old:?}");
    let new = world.request("POST", "/v1.44/containers/create?name=new", &body.to_string());
    assert!(
        new.json()["Warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("The container-wide MacAddress field is now deprecated")
    );
    world.start("old");
    let shown = |version: &str| world.get(&format!("/{version}/containers/old/json")).json();
    assert_eq!(
        (&shown("v1.43")["Config"]["MacAddress"], &shown("v1.44")["Config"]["MacAddress"]),
        (&json!(mac), &Value::Null)
    );
    let id = shown("v1.51")["Id"].as_str().unwrap()[..12].to_owned();
    let endpoint = |version: &str| shown(version)["NetworkSettings"]["Networks"]["one"].clone();
    assert_eq!(endpoint("v1.44")["Aliases"], json!([id, "h"]));
    assert_eq!(
        (&endpoint("v1.45")["Aliases"], &endpoint("v1.45")["DNSNames"]),
        (&Value::Null, &json!(["old", id, "h"]))
    );
    assert_eq!(endpoint("v1.51")["MacAddress"], mac);
    // It comes back with the network.
    for verb in ["disconnect", "connect"] {
        assert_eq!(world.request("POST", &format!("/networks/one/{verb}"), r#"{"Container":"old"}"#).status, 200);
    }
    assert_eq!(endpoint("v1.51")["MacAddress"], mac);
    let two = json!({"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"one": {}, "two": {}}}});
    let refused = world.request("POST", "/v1.43/containers/create", &two.to_string());
    assert_eq!(refused.message(), "Container cannot be created with multiple network endpoints: one, two");
}

fn removing_and_pruning() {
    let world = World::new();
    for (name, subnet) in [("one", "10.88.0.0/24"), ("two", "10.89.0.0/24"), ("three", "10.90.0.0/24")] {
        make(&world, name, subnet);
    }
    let id = start_in(&world, "one", &json!({}));
    let refused = world.request("DELETE", "/networks/one", "");
    assert_eq!(refused.status, 403);
    assert!(refused.message().starts_with("error while removing network: network one has active endpoints (name:"));
    assert_eq!(world.request("DELETE", "/networks/two", "").status, 204);
    assert_eq!(world.request("DELETE", "/networks/two", "").status, 404);
    assert_eq!(world.post("/networks/prune").json(), json!({"NetworksDeleted": ["three"]}));
    assert_eq!(world.post("/networks/prune").json(), json!({"NetworksDeleted": null}));
    assert_eq!(world.request("DELETE", &format!("/containers/{id}?force=1"), "").status, 204);
    assert_eq!(world.request("DELETE", "/networks/one", "").status, 204);
}

fn refusals_have_dockers_words() {
    let world = World::empty();
    make(&world, "one", "10.91.0.0/24");
    for (body, status, words) in [
        (r#"{"Name":"bridge"}"#, 403, "operation is not permitted on predefined bridge network "),
        (r#"{"Name":"one"}"#, 409, "network with name one already exists"),
        (r#"{"Name":""}"#, 400, "invalid name: name is empty"),
        (
            r#"{"Name":"x","Driver":"weave"}"#,
            404,
            "could not find plugin weave in v1 plugin registry: plugin not found",
        ),
        (
            r#"{"Name":"x","IPAM":{"Config":[{"Subnet":"10.0.0.9/24"}]}}"#,
            400,
            "invalid network config:\n* invalid subnet 10.0.0.9/24: it should be 10.0.0.0/24",
        ),
        (r#"{"Name":"x","EnableIPv4":false}"#, 400, "IPv4 or IPv6 must be enabled"),
        (
            r#"{"Name":"x","IPAM":{"Config":[{"Subnet":"10.91.0.128/25"}]}}"#,
            403,
            "invalid pool request: Pool overlaps with other one on this address space",
        ),
    ] {
        let refused = world.request("POST", "/networks/create", body);
        assert_eq!((refused.status, refused.message().as_str()), (status, words), "{body}");
    }
    assert_eq!(world.get("/networks").json().as_array().unwrap().len(), 4, "nothing half-made stays");
    for (path, body, status, words) in [
        ("/networks/nothing/connect", r#"{"Container":"x"}"#, 404, "No such container: x"),
        ("/networks/one/disconnect", r#"{"Container":"x"}"#, 404, "No such container: x"),
    ] {
        let refused = world.request("POST", path, body);
        assert_eq!((refused.status, refused.message().as_str()), (status, words), "{path}");
    }
    let refused = world.request("DELETE", "/networks/host", "");
    assert_eq!(
        (refused.status, refused.message().as_str()),
        (403, "host is a pre-defined network and cannot be removed")
    );
}
