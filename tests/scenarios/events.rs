//! Events: what happens, in Docker's order and words, live and afterwards.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{SystemTime, UNIX_EPOCH};

use dhow_testkit::{World, eventually};
use rustix::process::{Pid, Signal, kill_process};

use crate::busybox;

/// What happened so far, told again: kind and action, of a container its name.
fn told(world: &World, filters: &[&str]) -> Vec<String> {
    let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}";
    let fixed = ["events", "--since", "1h", "--until", &now(), "--format", format];
    world.dhow(&[&fixed, filters].concat()).ok().lines().map(str::to_owned).collect()
}

/// The time for `--until`, as both clients take it. What the stock one makes of `0s` has no fraction.
pub(crate) fn now() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

/// As the stock engine does it: 0 is the beginning of 1970, whence nothing is limited, and nothing waited for.
#[test]
fn the_year_1970_is_over() {
    let world = busybox();
    for told in [world.dhow(&["events", "--until", "0"]), world.docker(&["events", "--until", "0"])] {
        assert!(told.ok().contains("image import"), "{told:?}");
    }
    let refused = "`since` time (1) cannot be after `until` time (0)";
    world.docker(&["events", "--since", "1", "--until", "0"]).exits(1).says(refused);
}

#[test]
fn a_containers_life_is_told_in_dockers_order() {
    let world = busybox();
    world
        .dhow(&["run", "--name", "box", "--label", "tier=web", "-v", "data:/data", "busybox", "sh", "-c", "exit 3"])
        .exits(3);
    world.dhow(&["rm", "box"]).exits(0);
    assert_eq!(
        told(&world, &[]),
        [
            "image tag busybox:latest",
            "image import ID",
            "volume create <no value>",
            "container create box",
            "container attach box",
            "network connect bridge",
            "volume mount <no value>",
            "container start box",
            "container die box",
            "network disconnect bridge",
            "volume unmount <no value>",
            "container destroy box",
        ]
        .map(|line| line.replace("ID", &world.inspect("busybox", "{{.Id}}"))),
    );
    let die = world.dhow(&["events", "--since", "1h", "--until", &now(), "--filter", "event=die"]).ok();
    for part in [" container die ", "exitCode=3", "execDuration=0", "image=busybox", "name=box", "tier=web"] {
        assert!(die.contains(part), "{part} in {die}");
    }
}

#[test]
fn operations_are_told_with_their_attributes() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["exec", "box", "echo", "hi"]).exits(0);
    world.dhow(&["top", "box"]).exits(0);
    world.dhow(&["pause", "box"]).exits(0);
    world.dhow(&["unpause", "box"]).exits(0);
    world.dhow(&["rename", "box", "case"]).exits(0);
    world.docker(&["update", "--restart", "no", "case"]).exits(0);
    world.dhow(&["restart", "-t", "0", "case"]).exits(0);
    world.dhow(&["kill", "case"]).exits(0);
    let actions: Vec<String> = told(&world, &["--filter", "type=container"])
        .iter()
        .map(|line| line.trim_start_matches("container ").rsplit_once(' ').expect("a name").0.to_owned())
        .collect();
    let expected = [
        "create",
        "start",
        "exec_create: echo hi",
        "exec_start: echo hi",
        "exec_die",
        "top",
        "pause",
        "unpause",
        "rename",
        "update",
        "kill",
        "kill",
        "die",
        "stop",
        "start",
        "restart",
        "kill",
        "die",
    ];
    assert_eq!(actions, expected);
    let attribute = |event: &str, name: &str| {
        let format = format!("{{{{.Actor.Attributes.{name}}}}}");
        let event = format!("event={event}");
        world.dhow(&["events", "--since", "1h", "--until", &now(), "--filter", &event, "--format", &format]).ok()
    };
    assert_eq!(attribute("rename", "oldName"), "/box");
    assert_eq!(attribute("kill", "signal"), "15\n9\n9");
    assert_eq!(attribute("exec_die", "exitCode"), "0");
    assert_eq!(attribute("exec_die", "execID").len(), 64);
}

#[test]
fn a_configuration_that_is_read_again_is_told() {
    let world = busybox();
    let pid = i32::try_from(world.engine_pid().expect("it runs")).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::HUP).expect("our engine");
    let id = world.docker(&["info", "--format", "{{.ID}}"]).ok();
    let heard = || told(&world, &["--filter", &format!("daemon={id}")]);
    let name = world.docker(&["info", "--format", "{{.Name}}"]).ok();
    eventually("it is told", || heard() == [format!("daemon reload {name}")]);
    assert!(told(&world, &["--filter", "type=daemon", "--filter", "daemon=another"]).is_empty());
}

#[test]
fn images_are_told() {
    let world = busybox();
    let id = world.inspect("busybox", "{{.Id}}");
    world.dhow(&["tag", "busybox", "other:1"]).exits(0);
    let archive = world.path().join("archive.tar").display().to_string();
    world.dhow(&["save", "-o", &archive, "other:1"]).exits(0);
    world.dhow(&["rmi", "other:1"]).exits(0);
    world.dhow(&["rmi", "busybox"]).exits(0);
    world.dhow(&["load", "-i", &archive]).exits(0);
    world.docker(&["image", "prune", "-f"]).exits(0);
    let expected = [
        "image tag busybox:latest",
        "image import ID",
        "image tag other:1",
        "image save ID",
        "image untag ID",
        "image untag ID",
        "image delete ID",
        "image load ID",
        "image prune <no value>",
    ];
    assert_eq!(told(&world, &["--filter", "type=image"]), expected.map(|line| line.replace("ID", &id)));
}

#[test]
fn filters_choose_and_both_clients_print_the_same() {
    let world = busybox();
    world.dhow(&["run", "--name", "web1", "--label", "a=b", "busybox", "true"]).exits(0);
    world.dhow(&["run", "--name", "db", "busybox", "true"]).exits(0);
    let count = |filters: &[&str]| told(&world, filters).len();
    assert_eq!(told(&world, &["--filter", "container=web", "--filter", "event=start"]), ["container start web1"]);
    assert_eq!(count(&["--filter", "event=create"]), 2);
    assert_eq!(count(&["--filter", "event=create", "--filter", "event=start"]), 4);
    assert_eq!(count(&["--filter", "label=a=b", "--filter", "event=die"]), 1);
    assert_eq!(count(&["--filter", "image=busybox", "--filter", "event=die"]), 2);
    assert_eq!(count(&["--filter", "network=bridge"]), 4);
    assert_eq!(count(&["--filter", "type=volume"]), 0);
    assert_eq!(count(&["--filter", "scope=swarm"]), 0);
    assert!(count(&["--filter", "nonsense=1"]) > 8, "as in Docker");
    let until = now();
    for format in ["", "json", "{{json .}}", "{{.Status}} {{.ID}} {{.From}} {{.Time}} {{.TimeNano}} {{.Scope}}"] {
        let args = ["events", "--since", "1h", "--until", &until, "--format", format];
        assert_eq!(world.dhow(&args).ok(), world.docker(&args).ok(), "{format:?}");
    }
    let late = world.dhow(&["events", "--since", "1m", "--until", "1h"]);
    late.exits(1).says("cannot be after `until` time");
}

#[test]
fn history_outlives_the_engine_and_goes_on_live() {
    let mut world = busybox();
    world.dhow(&["create", "--name", "before", "busybox"]).exits(0);
    world.crash_engine();
    world.start_engine();
    world.dhow(&["create", "--name", "after", "busybox"]).exits(0);
    let args = ["events", "--since", "1h", "--filter", "event=create", "--format", "{{.Actor.Attributes.name}}"];
    let mut listening = world.command(&args).stdout(Stdio::piped()).spawn().expect("events starts");
    let mut lines = BufReader::new(listening.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("text");
    assert_eq!([next(), next()], ["before", "after"]);
    world.docker(&["create", "--name", "live", "busybox"]).exits(0);
    assert_eq!(next(), "live");
    listening.kill().expect("it runs");
    listening.wait().expect("our child");
    eventually("nobody listens", || world.dhow(&["info", "--format", "{{.NEventsListener}}"]).ok() == "0");
}

/// Something cheap that is an event.
fn tag(world: &World) {
    let mut stream = UnixStream::connect(world.socket()).expect("the engine answers");
    let request = b"POST /images/busybox/tag?repo=other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// Bytes that the engine alone has in memory.
fn memory(world: &World) -> u64 {
    let pid = world.engine_pid().expect("the engine runs");
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the engine is ours");
    let line = text.lines().find(|line| line.starts_with("Private_Dirty:")).expect("the kernel tells");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("a number") << 10
}

/// moby#32711, smaller: listeners that go away are forgotten, and such as do not read are bounded.
#[test]
fn abandoned_listeners_cost_nothing() {
    let world = busybox();
    let listen = || {
        let mut stream = UnixStream::connect(world.socket()).expect("the engine answers");
        stream.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head, b"HTTP/1.1 200");
        stream
    };
    let listeners = || world.dhow(&["info", "--format", "{{.NEventsListener}}"]).ok();
    drop((0..300).map(|_| listen()).collect::<Vec<_>>());
    eventually("they are forgotten", || listeners() == "0");
    let before = memory(&world);
    let deaf: Vec<UnixStream> = (0..100).map(|_| listen()).collect();
    for _ in 0..1000 {
        tag(&world);
    }
    let grown = memory(&world).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes for a hundred who do not read");
    drop(deaf);
    eventually("they are forgotten, too", || listeners() == "0");
}
