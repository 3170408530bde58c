//! Small things that tests of Docker's own look at: each once hurt somebody.

use std::process::Command;

use dhow_testkit::{Door, World, eventually, finish};

use crate::{DHOW, busybox};

/// What a container prints.
fn told(world: &World, flags: &[&str], script: &str) -> String {
    world.dhow(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", script]].concat()).ok()
}

/// The answer to a request: what it says, and its status at the end.
fn asked(world: &World, method: &str, path: &str, body: &str) -> String {
    let answer = Door::open(&world.socket()).and_then(|mut door| door.ask(method, path, body)).expect("an answer");
    format!("{} {}", answer.body, answer.status)
}

#[test]
fn an_empty_home_is_none() {
    let world = busybox();
    let lines = told(&world, &["-e", "HOME=", "--user", "12345"], "env | grep ^HOME");
    assert_eq!(lines, "HOME=/");
}

#[test]
fn the_working_directory_is_written_without_detours() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "-w", "/tmp//a/../", "busybox"]).exits(0);
    assert_eq!(world.inspect("box", "{{.Config.WorkingDir}}"), "/tmp");
}

#[test]
fn a_host_with_a_domain_in_its_name_is_found_by_its_first_part() {
    let world = busybox();
    let line = told(&world, &["-h", "web.example.com"], "grep web /etc/hosts");
    assert!(line.ends_with("\tweb.example.com web"), "{line}");
}

#[test]
fn those_who_are_linked_are_known_by_their_own_host_names_and_to_execs() {
    let world = busybox();
    world
        .docker(&["run", "-d", "--name", "db", "-h", "store", "--expose", "5432", "busybox", "sleep", "1000"])
        .exits(0);
    world.docker(&["run", "-d", "--name", "app", "--link", "db:/data", "busybox", "sleep", "1000"]).exits(0);
    let hosts = world.dhow(&["exec", "app", "grep", "store", "/etc/hosts"]).ok();
    assert!(hosts.ends_with("\tdata store db"), "{hosts}");
    let variables = world.dhow(&["exec", "app", "env"]).ok();
    assert!(
        variables.contains("DATA_NAME=/app/data") && variables.contains("DATA_PORT_5432_TCP_PORT=5432"),
        "{variables}"
    );
    assert_eq!(world.inspect("app/data", "{{.Name}}"), "/db");
    world.docker(&["rm", "--link", "app/data"]).exits(0);
    assert_eq!(world.inspect("app", "{{json .HostConfig.Links}}"), "null");
}

#[test]
fn files_of_the_network_are_copied_from_containers_that_have_ended() {
    let world = busybox();
    world.dhow(&["run", "--name", "box", "-h", "ship", "--dns", "10.1.2.3", "busybox", "true"]).exits(0);
    for (file, words) in [("hostname", "ship"), ("hosts", "ip6-allnodes"), ("resolv.conf", "10.1.2.3")] {
        let copy = world.path().join(file).display().to_string();
        world.dhow(&["cp", &format!("box:/etc/{file}"), &copy]).exits(0);
        let text = std::fs::read_to_string(&copy).expect("copied");
        assert!(text.contains(words), "{file}: {text}");
    }
}

#[test]
fn a_folder_without_devices_is_no_device() {
    let world = busybox();
    let refused = world.docker(&["run", "--device", "/etc", "busybox", "true"]);
    refused.exits(125).says("\"/etc\": not a device node");
}

#[test]
fn an_mtu_that_is_too_small_for_ipv6_is_no_hindrance() {
    let world = busybox();
    let option = "com.docker.network.driver.mtu=1200";
    world.docker(&["network", "create", "-o", option, "small"]).exits(0);
    let link = told(&world, &["--network", "small"], "ip link show eth0");
    assert!(link.contains(" mtu 1200 "), "{link}");
}

#[test]
fn of_an_image_that_is_used_a_prune_leaves_the_name_that_is() {
    let world = busybox();
    for tag in ["a", "b", "z"] {
        world.dhow(&["tag", "busybox", &format!("busybox:{tag}")]).exits(0);
    }
    world.dhow(&["create", "--name", "box", "busybox:a"]).exits(0);
    let pruned = world.docker(&["image", "prune", "-a", "-f"]).ok();
    let untagged: Vec<&str> = pruned.lines().filter(|line| line.contains("tagged")).collect();
    assert_eq!(untagged, ["untagged: busybox:b", "untagged: busybox:latest", "untagged: busybox:z"]);
    assert!(!pruned.contains("deleted:"), "{pruned}");
    assert_eq!(world.dhow(&["images", "--format", "{{.Tag}}"]).ok(), "a");
    world.dhow(&["rm", "box"]).exits(0);
    world.dhow(&["tag", "busybox:a", "busybox:c"]).exits(0);
    let id = world.inspect("busybox:a", "{{.Id}}");
    world.dhow(&["create", "--name", "box", &id]).exits(0);
    world.docker(&["image", "prune", "-a", "-f"]).exits(0);
    assert_eq!(world.dhow(&["images", "--format", "{{.Tag}}"]).ok(), "c", "the last one, where none is used");
    world.dhow(&["rm", "box"]).exits(0);
    world.docker(&["image", "prune", "-a", "-f"]).exits(0);
    assert_eq!(world.dhow(&["images", "-q"]).ok(), "");
}

/// A client that only wants to know when it is done listens no further than to the answer's head.
#[test]
fn the_answer_to_a_quiet_load_begins_when_it_is_loaded() {
    let world = busybox();
    let archive = world.path().join("saved.tar").display().to_string();
    world.dhow(&["tag", "busybox", "other"]).exits(0);
    world.dhow(&["save", "-o", &archive, "other"]).exits(0);
    world.dhow(&["rmi", "other", "busybox"]).exits(0);
    let script = format!(
        "import http.client, socket
connection = http.client.HTTPConnection('x')
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect('{}')
connection.request('POST', '/images/load?quiet=1', open('{archive}', 'rb'))
print(connection.getresponse().status)
connection.close()",
        world.socket().display()
    );
    let outcome = finish(Command::new("python3").args(["-c", &script]));
    assert_eq!(outcome.stdout().trim(), "200", "{}", outcome.stderr());
    assert_eq!(world.dhow(&["images", "--format", "{{.Repository}}"]).ok(), "other");
}

#[test]
fn an_import_of_nothing_is_an_empty_image_and_only_for_linux() {
    let world = busybox();
    let made = asked(&world, "POST", "/images/create?fromSrc=-&repo=none", "");
    assert!(made.ends_with(" 200"), "{made}");
    assert_eq!(world.inspect("none", "{{len .RootFS.Layers}}"), "1");
    for (platform, words) in [
        ("macos", "operating system is not supported"),
        ("nintendo64", "unknown operating system or architecture"),
        ("a%20b", "is an invalid OS component"),
    ] {
        let refused = asked(&world, "POST", &format!("/images/create?fromSrc=-&platform={platform}"), "");
        assert!(refused.contains(words) && refused.ends_with(" 400"), "{refused}");
    }
}

#[test]
fn execs_that_nobody_started_end_with_their_container() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let make = || {
        let made = asked(&world, "POST", "/containers/box/exec", r#"{"Cmd":["true"]}"#);
        made.split('"').nth(3).expect("an id").to_owned()
    };
    let exec = make();
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    world.dhow(&["start", "box"]).exits(0);
    let start = |exec: &str| asked(&world, "POST", &format!("/exec/{exec}/start"), r#"{"Detach":true}"#);
    assert!(start(&exec).ends_with(" 404"), "{}", start(&exec));
    let exec = make();
    world.dhow(&["pause", "box"]).exits(0);
    assert!(start(&exec).ends_with(" 409"), "{}", start(&exec));
    let refused = world.docker(&["exec", "box", "true"]);
    refused.exits(1).says("Container box is paused, unpause the container before exec");
    world.dhow(&["unpause", "box"]).exits(0);
    assert!(start(&exec).ends_with(" 200"), "{}", start(&exec));
}

#[test]
fn a_container_may_be_let_write_to_its_cgroup() {
    let world = busybox();
    let access = "grep ' /sys/fs/cgroup ' /proc/mounts | cut -d' ' -f4 | cut -d, -f1 | sort -u";
    let plain = told(&world, &["--cgroupns", "private"], access);
    let writable = |option: &str| told(&world, &["--cgroupns", "private", "--security-opt", option], access);
    assert_eq!(writable("writable-cgroups=false"), plain);
    assert_ne!(writable("writable-cgroups=true"), plain);
    let refused = world.docker(&["create", "--security-opt", "writable-cgroups=potato", "busybox"]);
    refused.exits(1).says("invalid --security-opt 2: \"writable-cgroups=potato\"");
}

#[test]
fn the_engine_says_which_cgroup_namespace_containers_have() {
    for mode in ["host", "private"] {
        let world = World::with_flags(DHOW, &["--default-cgroupns-mode", mode]);
        world.import_busybox("busybox");
        world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
        assert_eq!(world.inspect("box", "{{.HostConfig.CgroupnsMode}}"), mode);
    }
}

#[test]
fn the_hosts_gateway_has_an_address_of_each_family() {
    let world = World::with_flags(DHOW, &["--ipv6", "--fixed-cidr-v6", "fd00:99::/64"]);
    world.import_busybox("busybox");
    let lines = told(&world, &["--add-host", "up:host-gateway"], "grep up$ /etc/hosts");
    assert!(lines.lines().count() == 2 && lines.contains("fd00:99::1\tup"), "{lines}");
}

#[test]
fn who_lives_in_the_namespace_of_one_that_has_ended_is_told_so() {
    let world = busybox();
    world.dhow(&["run", "--name", "peer", "busybox", "true"]).exits(0);
    for (flag, words) in [
        ("--pid", "failed to join PID namespace"),
        ("--network", "cannot join network namespace of a non running container: container peer is exited"),
    ] {
        let refused = world.docker(&["run", flag, "container:peer", "busybox", "true"]);
        refused.exits(125).says(words);
    }
}

#[test]
fn an_engine_that_is_given_an_address_without_a_scheme_listens_there() {
    let world = World::with_flags(DHOW, &["-H", "127.0.0.1:23756", "--insecure-tcp-on-loopback"]);
    let ping = || finish(Command::new("curl").args(["-s", "http://127.0.0.1:23756/_ping"]));
    eventually("it answers", || ping().stdout() == "OK");
    drop(world);
}
