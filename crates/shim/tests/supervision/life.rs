//! The ordinary life of a container.

use std::fs;
use std::thread;
use std::time::Duration;

use dhow_shim::foresee;
use dhow_shim::protocol::{Answer, Kill, Op, Resize, State, Status};

use crate::Test;
use crate::world::{World, interactive, output, read_all, read_until, send};

pub(crate) const TESTS: &[Test] = &[
    ("output_is_logged_and_the_code_is_told", output_is_logged_and_the_code_is_told),
    ("a_large_output_is_complete", a_large_output_is_complete),
    ("a_signal_is_128_more", a_signal_is_128_more),
    ("a_terminal_has_a_size", a_terminal_has_a_size),
    ("pausing_stops_and_killing_wakes", pausing_stops_and_killing_wakes),
    ("memory_that_runs_out_is_told", memory_that_runs_out_is_told),
    ("a_network_namespace_made_ahead_is_the_containers", a_network_namespace_made_ahead_is_the_containers),
    ("what_was_made_ahead_and_not_used_is_let_go", what_was_made_ahead_and_not_used_is_let_go),
    ("devices_of_streams_can_be_opened_again", devices_of_streams_can_be_opened_again),
];

fn output_is_logged_and_the_code_is_told() {
    let (exit, log) = World::running("echo out; echo err >&2; printf rest; exit 7").end();
    assert_eq!((exit.code, exit.oom_killed, exit.error.as_str()), (7, false, ""));
    assert!(exit.started_at < exit.finished_at);
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.concat().len(), "outerrrest".len(), "{log:?}");
}

fn a_large_output_is_complete() {
    let (_, log) = World::running("seq 100000").end();
    let wanted: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    assert!(log == wanted, "{} of {} bytes", log.len(), wanted.len());
}

fn a_signal_is_128_more() {
    let mut world = World::running("echo ready; exec sleep 1000");
    let signal = |signal| Op::Kill(Kill { signal, all: false });
    world.call(signal(9)).unwrap();
    let (exit, _) = world.end();
    assert_eq!(exit.code, 137);
}

fn a_terminal_has_a_size() {
    let mut world = World::new("read line; stty size; tty; echo \"got $line\"");
    (world.launch.tty, world.launch.stdin_open) = (true, true);
    world.launch.spec.process.as_mut().unwrap().terminal = true;
    let (mut client, _) = world.attach(interactive());
    world.start().unwrap();
    world.call(Op::Resize(Resize { exec: None, rows: 33, cols: 77 })).unwrap();
    send(&mut client, "hello\n");
    let text = read_all(client);
    assert!(
        text.contains("33 77\r\n") && text.contains("/dev/pts/0\r\n") && text.ends_with("got hello\r\n"),
        "{text:?}"
    );
    let (_, log) = world.end();
    assert_eq!(log, text);
}

fn pausing_stops_and_killing_wakes() {
    let mut world = World::running("exec sleep 1000");
    world.call(Op::Pause).unwrap();
    let state = |world: &mut World| match world.call(Op::State).unwrap() {
        Answer::State(State { status, .. }) => status,
        answer => panic!("{answer:?}"),
    };
    assert_eq!(state(&mut world), Status::Paused);
    let refused = world.exec("e", "true", Some(output())).unwrap_err();
    assert!(refused.to_string().contains("is paused"), "{refused}");
    world.call(Op::Resume).unwrap();
    assert_eq!(state(&mut world), Status::Running);
    world.call(Op::Pause).unwrap();
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    assert_eq!(world.end().0.code, 137);
}

fn memory_that_runs_out_is_told() {
    let mut world = World::new("exec awk 'BEGIN { x = \"aaaaaaaaaaaaaaaa\"; while (1) x = x x }'");
    let limit = 32 << 20;
    let linux = world.launch.spec.linux.as_mut().unwrap();
    linux.resources =
        Some(serde_json::from_value(serde_json::json!({ "memory": { "limit": limit, "swap": limit } })).unwrap());
    world.start().unwrap();
    let (exit, _) = world.end();
    assert_eq!((exit.code, exit.oom_killed), (137, true));
}

fn devices_of_streams_can_be_opened_again() {
    let mut world = World::new("ln -s /proc/self/fd/1 /tmp/out; echo again > /tmp/out");
    let process = world.launch.spec.process.as_mut().unwrap();
    (process.user.uid, process.user.gid) = (1000, 1000);
    let (mut client, _) = world.attach(output());
    world.start().unwrap();
    assert_eq!(read_until(&mut client, "\n"), "again\n");
    assert_eq!(world.end().0.code, 0);
}

fn a_network_namespace_made_ahead_is_the_containers() {
    let mut world = World::new("busybox ip -o link show up; exec sleep 1000");
    let ahead = made_ahead(&world).expect("it was foreseen");
    let (mut client, _) = world.attach(output());
    let pid = world.start().unwrap();
    assert_eq!(network_of(pid).as_ref(), Some(&ahead));
    assert_ne!(network_of(world.spawned.pid), Some(ahead), "the shim stays in its engine's");
    let interfaces = read_until(&mut client, "\n");
    assert!(interfaces.contains("lo: <LOOPBACK,UP"), "{interfaces:?}");
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    world.end();
}

fn what_was_made_ahead_and_not_used_is_let_go() {
    let mut world = World::new("true");
    let ahead = made_ahead(&world).expect("it was foreseen");
    while held(&world).is_some() {
        thread::sleep(Duration::from_millis(50));
    }
    let pid = world.start().unwrap();
    assert_ne!(network_of(pid), Some(ahead));
    assert_eq!(world.end().0.code, 0);
}

/// Tells the shim, and waits until it has done it.
fn made_ahead(world: &World) -> Option<String> {
    foresee(&world.spawned.control).unwrap();
    let found = (0..500).find_map(|_| held(world).or_else(|| (thread::sleep(Duration::from_millis(2)), None).1));
    world.spawned.control.set_nonblocking(false).unwrap();
    found
}

/// The network namespace that the shim holds.
fn held(world: &World) -> Option<String> {
    let folder = format!("/proc/{}/fd", world.spawned.pid);
    let links = fs::read_dir(folder).unwrap().filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter_map(|link| link.into_os_string().into_string().ok()).find(|link| link.starts_with("net:["))
}

fn network_of(pid: i32) -> Option<String> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()?.into_os_string().into_string().ok()
}
