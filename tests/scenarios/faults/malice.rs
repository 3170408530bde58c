//! What nobody sends in good faith. It is refused in words, costs little, and hurts nobody else.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use dhow_testkit::{Door, World, peak_memory};

use super::containers::door;
use crate::busybox;

/// Memory an engine may take at most while it refuses, in KiB: some copies of the largest body that it reads.
const BOUND: u64 = 200 << 10;

/// Sends bytes and takes the answer's status; 0 when the connection is closed without one.
fn status(world: &World, bytes: impl AsRef<[u8]>) -> u16 {
    let mut door = door(&world.socket());
    // It may close before everything is sent; what it said before is still to be read then.
    let _ = door.send(bytes);
    door.answer().map_or(0, |answer| answer.status)
}

fn is_alive(world: &World, after: &str) {
    let answer = door(&world.socket()).ask("GET", "/_ping", "").expect("answered");
    assert_eq!(answer.body, "OK", "{after}");
    let most = peak_memory(world.engine_pid().expect("it runs"));
    assert!(most < BOUND, "{after}: {most} KiB");
}

fn create(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         \r\n{body}"
    )
}

#[test]
fn bodies_that_are_deep_or_huge_are_refused() {
    let world = busybox();
    let deep = |open: &str, close: &str| format!("{{\"X\":{}1{}}}", open.repeat(200_000), close.repeat(200_000));
    for (what, body) in [
        ("nested lists", deep("[", "]")),
        ("nested objects", deep("{\"a\":", "}")),
        ("lists that do not end", format!("{{\"Image\":\"busybox\",\"Cmd\":{}", "[".repeat(1_000_000))),
        ("a long string", format!("{{\"Image\":\"{}\"}}", "a".repeat(20 << 20))),
        ("a number without end", format!("{{\"StopTimeout\":{}}}", "9".repeat(1 << 20))),
        ("an exponent", "{\"HostConfig\":{\"Memory\":1e999999999}}".to_owned()),
        ("no UTF-8", "{\"Image\":\"\u{fffd}\\ud800\"}".to_owned()),
    ] {
        let code = status(&world, create(&body));
        assert!(code == 0 || (400..500).contains(&code), "{what}: {code}");
        is_alive(&world, what);
    }
    let filters = format!("GET /containers/json?filters={} HTTP/1.1\r\nHost: d\r\n\r\n", "%7B%22a%22%3A".repeat(5000));
    assert_eq!(status(&world, filters), 400);
}

#[test]
fn heads_that_lie_or_do_not_end_are_refused() {
    let world = busybox();
    let post = |head: &str| format!("POST /containers/create HTTP/1.1\r\nHost: d\r\n{head}\r\n\r\n{{}}");
    let endless: String = (0..100_000).map(|number| format!("X{number}: y\r\n")).collect();
    for (what, bytes) in [
        ("headers without end", format!("GET /_ping HTTP/1.1\r\n{endless}\r\n")),
        ("a header without end", format!("GET /_ping HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(4 << 20))),
        ("a path without end", format!("GET /{} HTTP/1.1\r\nHost: d\r\n\r\n", "a/".repeat(1 << 20))),
        ("a negative length", post("Content-Length: -1")),
        ("two lengths", post("Content-Length: 2\r\nContent-Length: 3")),
        ("a length beyond numbers", post("Content-Length: 99999999999999999999999999")),
        ("a length and chunks", post("Content-Length: 2\r\nTransfer-Encoding: chunked")),
        ("a chunk beyond numbers", post("Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n")),
        ("a line within a header", post("X: a\r\n b: c\r\nContent-Length: 2")),
        ("a zero byte in the path", "GET /containers/a\0b/json HTTP/1.1\r\nHost: d\r\n\r\n".to_owned()),
        ("no HTTP", "\u{16}\u{3}\u{1}\u{2}hello\r\n\r\n".to_owned()),
        ("HTTP 2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned()),
    ] {
        let code = status(&world, bytes);
        assert!(code == 0 || (400..600).contains(&code), "{what}: {code}");
        is_alive(&world, what);
    }
}

/// What is announced and does not come holds nobody up, and is not paid for before it comes.
#[test]
fn bodies_that_do_not_come_cost_nothing() {
    let world = busybox();
    let mut waiting = Vec::new();
    for head in [
        "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 16000000\r\n\r\n{",
        "POST /containers/x/attach HTTP/1.1\r\nHost: d\r\nContent-Length: 60000\r\n\r\n{",
        "POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 999999999999999\r\n\r\n",
        "POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{",
    ] {
        for _ in 0..30 {
            let mut door = door(&world.socket());
            door.send(head).expect("sent");
            waiting.push(door);
        }
        is_alive(&world, head);
    }
    drop(waiting);
    is_alive(&world, "they left");
}

/// Names lead to objects, never to files: neither in a path nor in a body.
#[test]
fn names_that_are_paths_are_names_of_nothing() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
    let mut door = door(&world.socket());
    for name in
        ["..", "%2e%2e", "..%2f..%2fetc", "a%00b", "a%0ab", "%ff", "-x", ".", "%2fetc%2fpasswd", "box%00", "box%2f.."]
    {
        for (method, path) in [
            ("GET", format!("/containers/{name}/json")),
            ("POST", format!("/containers/{name}/start")),
            ("DELETE", format!("/containers/{name}?force=1")),
            ("GET", format!("/containers/{name}/logs?stdout=1")),
            ("GET", format!("/exec/{name}/json")),
            ("GET", format!("/images/{name}/json")),
            ("DELETE", format!("/images/{name}?force=1")),
        ] {
            let answer = door.ask(method, &path, "").expect("answered");
            assert!((400..500).contains(&answer.status), "{method} {path}: {}", answer.status);
        }
        let path = format!("/containers/create?name={name}");
        let answer = door.ask("POST", &path, r#"{"Image":"busybox"}"#).expect("answered");
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    }
    world.dhow(&["inspect", "box"]).exits(0);
    assert_eq!(world.dhow(&["ps", "-aq"]).ok().lines().count(), 1);
}

/// Bytes that are no text are read as Go reads them.
#[test]
fn what_is_no_unicode_is_replaced_and_not_passed_over() {
    let world = busybox();
    let mut door = door(&world.socket());
    let body = r#"{"Image":"busybox","Labels":{"half":"a\ud800b","pair":"\ud83d\ude00"}}"#;
    let answer = door.ask("POST", "/containers/create?name=box", body).expect("answered");
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(world.inspect("box", "{{.Config.Labels.half}} {{.Config.Labels.pair}}"), "a\u{fffd}b \u{1f600}");
    let head = "POST /containers/create?name=raw HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n";
    let body = b"{\"Image\":\"busybox\",\"Env\":[\"A=\xff\xe2\x82\"]}";
    door.send([format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()).expect("sent");
    assert_eq!(door.answer().expect("answered").status, 201);
    assert_eq!(world.inspect("raw", "{{json .Config.Env}}"), "[\"A=\u{fffd}\u{fffd}\u{fffd}\"]");
    for platform in ["linux/%ff", "linux/a%20b", "li%ffnux/amd64"] {
        let path = format!("/containers/create?platform={platform}");
        let answer = door.ask("POST", &path, r#"{"Image":"busybox"}"#).expect("answered");
        assert_eq!(answer.status, 400, "{}", answer.body);
        assert!(
            answer.body.contains("component must match") && answer.body.contains(": invalid argument"),
            "{}",
            answer.body
        );
    }
}

/// Who attaches has the connection to himself, and is refused in plain text on it, as dockerd does.
#[test]
fn a_failure_to_attach_is_plain_text() {
    let world = busybox();
    for upgrade in ["", "Connection: Upgrade\r\nUpgrade: tcp\r\n"] {
        for query in ["stream=1&stdout=1", "stream=1&stdin=1&stdout=1"] {
            let mut stream = UnixStream::connect(world.socket()).expect("it listens");
            let path = format!("/v1.41/containers/nosuch/attach?{query}");
            write!(stream, "POST {path} HTTP/1.1\r\nHost: d\r\n{upgrade}\r\n").expect("sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("it is closed");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
            let kind = "content-type: application/vnd.docker.raw-stream";
            assert!(head.lines().any(|line| line.eq_ignore_ascii_case(kind)), "{head}");
            assert_eq!(body, "No such container: nosuch\r\n");
        }
    }
}

/// Zero bytes and newlines end strings and lines elsewhere; here they are refused, or stay what they are.
#[test]
fn zero_bytes_and_newlines_are_no_way_out() {
    let world = busybox();
    let mut door = door(&world.socket());
    let secret = world.path().join("secret");
    std::fs::create_dir(&secret).expect("made");
    let binds = |text: &str| format!(r#""HostConfig":{{"Binds":["{}{text}:/x"]}}"#, secret.display());
    for (what, field) in [
        ("environment", r#""Env":["A=b\u0000c"]"#.to_owned()),
        ("argument", r#""Cmd":["echo","b\u0000c"]"#.to_owned()),
        ("working directory", r#""WorkingDir":"/a\u0000b""#.to_owned()),
        ("user", r#""User":"root\u0000b""#.to_owned()),
        ("host name", r#""Hostname":"a\u0000b""#.to_owned()),
        ("source of a mount", binds("\\u0000y")),
        ("target of a tmpfs", r#""HostConfig":{"Tmpfs":{"/a\u0000b":""}}"#.to_owned()),
        ("sysctl", r#""HostConfig":{"Sysctls":{"kernel.msgmax\u0000":"1"}}"#.to_owned()),
        ("path of a sysctl", r#""HostConfig":{"Sysctls":{"net/../kernel/core_pattern":"x"}}"#.to_owned()),
        ("line of a cgroup", r#""HostConfig":{"CgroupParent":"a\nb"}"#.to_owned()),
        ("volume", r#""HostConfig":{"Binds":["../../etc:/x"]}"#.to_owned()),
        (
            "device",
            r#""HostConfig":{"Devices":[{"PathOnHost":"/dev/../etc/passwd","PathInContainer":"/x"}]}"#.to_owned(),
        ),
    ] {
        let has_command = field.contains("Cmd");
        let command = if has_command { "" } else { r#","Cmd":["true"]"# };
        let body = format!(r#"{{"Image":"busybox"{command},{field}}}"#);
        let made = door.ask("POST", "/containers/create?name=bad", &body).expect("answered");
        if made.status == 201 {
            let started = door.ask("POST", "/containers/bad/start", "").expect("answered");
            assert!((400..500).contains(&started.status), "{what}: {} {}", started.status, started.body);
            assert_eq!(door.ask("GET", "/containers/bad/json", "").expect("answered").status, 200, "{what}");
            assert_eq!(door.ask("DELETE", "/containers/bad?force=1", "").expect("answered").status, 204, "{what}");
        } else {
            assert!((400..500).contains(&made.status), "{what}: {} {}", made.status, made.body);
        }
    }
    // In labels everything is allowed, and comes back as it was.
    let body = r#"{"Image":"busybox","Labels":{"a\nb\u0000":"c\nd\u0000"}}"#;
    let made = door.ask("POST", "/containers/create?name=labels", body).expect("answered");
    assert_eq!(made.status, 201, "{}", made.body);
    let text = door.ask("GET", "/containers/labels/json", "").expect("answered").body;
    assert!(text.contains(r#""a\nb\u0000":"c\nd\u0000""#), "{text}");
    world.dhow(&["ps", "--all"]).exits(0);
    world.is_in_order();
}

/// A line break in a name of a host is not another line of the container's files.
#[test]
fn lines_cannot_be_smuggled_into_hosts_and_resolv_conf() {
    let world = busybox();
    let mut door: Door = door(&world.socket());
    for field in [
        r#""HostConfig":{"ExtraHosts":["a:1.2.3.4\n6.6.6.6 bank"]}"#,
        r#""HostConfig":{"Dns":["1.2.3.4\nnameserver 6.6.6.6"]}"#,
        r#""HostConfig":{"DnsSearch":["a\nnameserver 6.6.6.6"]}"#,
        r#""HostConfig":{"DnsOptions":["a\nnameserver 6.6.6.6"]}"#,
        r#""Hostname":"a\nb""#,
    ] {
        let body = format!(r#"{{"Image":"busybox","Cmd":["true"],{field}}}"#);
        let made = door.ask("POST", "/containers/create", &body).expect("answered");
        assert_eq!(made.status, 400, "{field}: {}", made.body);
    }
}

/// As many variables as a body can hold are put in order in no time.
#[test]
fn a_hundred_thousand_variables_are_no_work() {
    let world = busybox();
    let mut door = door(&world.socket());
    let variables: Vec<String> = (0..60_000).map(|number| format!("\"A{number}=b\"")).collect();
    let body = format!(r#"{{"Image":"busybox","Cmd":["true"],"Env":[{}]}}"#, variables.join(","));
    let made = door.ask("POST", "/containers/create?name=box", &body).expect("answered");
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(door.ask("POST", "/containers/box/start", "").expect("answered").status, 204);
    assert_eq!(world.dhow(&["wait", "box"]).ok(), "0");
}

/// A container leaves links in its volume; another one mounts what they lead to (moby's CVE-2024-23651 and Kubernetes'
/// CVE-2017-1002101 were of that kind).
#[test]
fn a_path_below_a_volume_stays_below_it() {
    let world = busybox();
    let script = "mkdir -p /v/in/side; echo inside > /v/in/side/file; ln -s in /v/near; ln -s /etc /v/host; \
                  ln -s ../../../../../../../../etc /v/up; ln -s /proc/self/root /v/magic";
    world.dhow(&["run", "--rm", "-v", "links:/v", "busybox", "sh", "-c", script]).exits(0);
    let below = |path: &str| format!("type=volume,src=links,dst=/x,volume-subpath={path}");
    let list = |path: &str| world.dhow(&["run", "--rm", "--mount", &below(path), "busybox", "ls", "/x"]);
    assert_eq!(list("in/side").ok(), "file");
    assert_eq!(list("near/side").ok(), "file", "links inside are as good as folders");
    for path in ["host", "up", "magic", "magic/etc", "up/ssl"] {
        let refused = list(path);
        assert_ne!(refused.code(), 0, "{path}");
        assert_eq!(refused.stdout(), "", "{path}");
    }
    list("host").says("escapes the base directory");
}

/// Volumes and mounts at places that the image made links to the host of.
/// A container that has the whole volume puts a link to the host where another has a part of it: a copy goes nowhere.
#[test]
fn a_copy_through_a_part_of_a_volume_stays_in_the_volume() {
    let world = busybox();
    let host = tempfile::tempdir().expect("a folder");
    std::fs::write(host.path().join("secret"), "of the host").expect("written");
    world.dhow(&["run", "--rm", "-v", "shared:/v", "busybox", "mkdir", "/v/part"]).exits(0);
    world
        .dhow(&["create", "--name", "victim", "--mount", "src=shared,dst=/mnt,volume-subpath=part", "busybox"])
        .exits(0);
    let link = format!("rmdir /v/part && ln -s {} /v/part", host.path().display());
    world.dhow(&["run", "--rm", "-v", "shared:/v", "busybox", "sh", "-c", &link]).exits(0);
    let read = world.dhow(&["cp", "victim:/mnt/secret", "-"]);
    assert!(read.code() != 0 && !read.stdout().contains("of the host"), "{}", read.stdout());
    let file = world.path().join("file");
    std::fs::write(&file, "planted").expect("written");
    world.dhow(&["cp", &file.display().to_string(), "victim:/mnt/planted"]);
    assert!(!host.path().join("planted").exists());
}

#[test]
fn links_of_an_image_do_not_lead_to_the_host() {
    let world = busybox();
    let tree = world.path().join("tree");
    dhow_testkit::busybox_rootfs(&tree);
    for (name, to) in [("up", "../../../../../../../../etc"), ("abs", "/etc"), ("magic", "/proc/self/root/etc")] {
        std::os::unix::fs::symlink(to, tree.join(name)).expect("made");
    }
    let archive = world.path().join("links.tar");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-C").arg(&tree).arg("-cf").arg(&archive).arg(".");
    dhow_testkit::finish(&mut tar).exits(0);
    world.dhow(&["import", &archive.display().to_string(), "links"]).exits(0);
    let host = world.path().join("host");
    std::fs::create_dir(&host).expect("made");
    std::fs::write(host.join("mark"), "").expect("written");
    for name in ["up", "abs", "magic"] {
        // What is in the container's /etc, never what is in the host's.
        let copied = world.dhow(&["run", "--rm", "-v", &format!("/{name}"), "links", "ls", &format!("/{name}/")]);
        assert!(!copied.stdout().contains("shadow") && !copied.stdout().contains("debian_version"), "{copied:?}");
        let mount = format!("{}:/{name}/x", host.display());
        let bound = world.dhow(&["run", "--rm", "-v", &mount, "links", "ls", "/etc/x"]);
        assert!(bound.code() != 0 || bound.stdout() == "mark\n", "{bound:?}");
        assert!(!std::path::Path::new("/etc/x").exists(), "made on the host");
    }
}

/// A container makes folders in folders: no path is long enough for them, no stack deep enough.
#[test]
fn trees_of_any_depth_can_be_measured_and_removed() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "-v", "/vol", "busybox", "true"]).exits(0);
    world.dhow(&["start", "--attach", "box"]).exits(0);
    let id = world.inspect("box", "{{.Id}}");
    let upper = world.data_root().join("containers").join(&id).join("upper");
    let places = [upper, world.inspect("box", "{{(index .Mounts 0).Source}}").into()];
    places.iter().for_each(|place| dig(place));
    world.dhow(&["ps", "--all", "--size"]).exits(0);
    world.dhow(&["inspect", "--size", "box"]).exits(0);
    world.dhow(&["rm", "--volumes", "box"]).exits(0);
    world.is_in_order();
    assert!(places.iter().all(|place| !place.exists()));
}

fn dig(place: &std::path::Path) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let mut folder = openat(CWD, place, flags, Mode::empty()).expect("it is there");
    for _ in 0..15_000 {
        mkdirat(&folder, "a", Mode::RWXU).expect("made");
        folder = openat(&folder, "a", flags, Mode::empty()).expect("just made");
    }
}
