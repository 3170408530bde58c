//! Engines that come and go.

use std::fs;
use std::os::unix::net::UnixStream;

use dhow_shim::Connection;
use dhow_shim::protocol::{Event, Exit, Kill, Op, Status};

use crate::Test;
use crate::world::{World, interactive, output, read_until, send};

pub(crate) const TESTS: &[Test] = &[
    ("a_shim_that_was_told_nothing_ends_with_its_engine", a_shim_that_was_told_nothing_ends_with_its_engine),
    ("a_container_survives_its_engine", a_container_survives_its_engine),
    ("the_next_engine_is_told_the_state", the_next_engine_is_told_the_state),
    ("without_an_engine_the_record_is_the_truth", without_an_engine_the_record_is_the_truth),
    ("an_engine_that_reads_nothing_stops_nobody", an_engine_that_reads_nothing_stops_nobody),
    ("an_attached_client_survives_the_engine", an_attached_client_survives_the_engine),
    ("a_shim_keeps_nothing_open_of_who_started_it", a_shim_keeps_nothing_open_of_who_started_it),
    ("signals_do_not_stop_a_shim", signals_do_not_stop_a_shim),
];

/// The engine dies: every descriptor it had is closed.
fn lose_engine(world: World) -> (tempfile::TempDir, dhow_shim::protocol::Launch, std::os::fd::OwnedFd) {
    (world.dir, world.launch, world.spawned.pidfd)
}

fn a_shim_that_was_told_nothing_ends_with_its_engine() {
    let mut world = World::new("true");
    let (client, _) = world.attach(output());
    let (_dir, _launch, pidfd) = lose_engine(world);
    dhow_shim::reap(&pidfd).unwrap();
    drop(client);
}

fn a_container_survives_its_engine() {
    let world = World::running("exec sleep 1000");
    let (_dir, launch, pidfd) = lose_engine(world);
    let (mut engine, state) = Connection::adopt(&launch.run_dir).unwrap();
    assert_eq!((state.status, state.id.as_str()), (Status::Running, launch.id.as_str()));
    assert!(state.pid.is_some() && state.started_at.is_some());
    engine.call(Op::Kill(Kill { signal: 9, all: false }), &[]).unwrap();
    let mut events = std::iter::from_fn(|| engine.next_event().unwrap());
    assert!(matches!(events.next(), Some(Event::Exited(Exit { code: 137, .. }))));
    assert_eq!(events.next(), Some(Event::Gone));
    assert_eq!(events.next(), None);
    dhow_shim::reap(&pidfd).unwrap();
}

fn the_next_engine_is_told_the_state() {
    let mut world = World::running("exec sleep 1000");
    let exec = world.exec("e", "exec sleep 1000", None).unwrap().0;
    world.call(Op::Pause).unwrap();
    let (_dir, launch, pidfd) = lose_engine(world);
    let (mut engine, state) = Connection::adopt(&launch.run_dir).unwrap();
    assert_eq!(state.status, Status::Paused);
    assert_eq!(state.execs.iter().map(|exec| (exec.id.as_str(), exec.pid)).collect::<Vec<_>>(), [("e", exec)]);
    engine.call(Op::Kill(Kill { signal: 9, all: true }), &[]).unwrap();
    dhow_shim::reap(&pidfd).unwrap();
}

fn without_an_engine_the_record_is_the_truth() {
    let mut world = World::new("read line; exit 4");
    world.launch.stdin_open = true;
    let (mut client, _) = world.attach(interactive());
    world.start().unwrap();
    let (dir, launch, pidfd) = lose_engine(world);
    send(&mut client, "go\n");
    dhow_shim::reap(&pidfd).unwrap();
    let exit: Exit = serde_json::from_slice(&fs::read(dir.path().join("exit.json")).unwrap()).unwrap();
    assert_eq!(exit.code, 4);
    assert!(!launch.run_dir.exists());
    assert!(Connection::adopt(&launch.run_dir).is_err());
}

fn an_engine_that_reads_nothing_stops_nobody() {
    let mut world = World::running("exec sleep 1000");
    // Answers pile up until the shim cuts this one off.
    let (mut stalled, _) = Connection::adopt(&world.launch.run_dir).unwrap();
    while stalled.send(Op::State, &[]).is_ok() {}
    world.call(Op::State).unwrap();
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    world.end();
}

fn an_attached_client_survives_the_engine() {
    let mut world = World::new("cat");
    (world.launch.stdin_open, world.launch.stdin_once) = (true, true);
    let (mut client, _) = world.attach(interactive());
    world.start().unwrap();
    send(&mut client, "before\n");
    read_until(&mut client, "before\n");
    let (_dir, _launch, pidfd) = lose_engine(world);
    send(&mut client, "after\n");
    read_until(&mut client, "after\n");
    let client: UnixStream = client;
    client.shutdown(std::net::Shutdown::Write).unwrap();
    dhow_shim::reap(&pidfd).unwrap();
}

fn a_shim_keeps_nothing_open_of_who_started_it() {
    // Without close-on-exec, as a careless caller of the engine has it.
    let (near, far) = UnixStream::pair().unwrap();
    rustix::io::fcntl_setfd(&far, rustix::io::FdFlags::empty()).unwrap();
    let mut world = World::running("exec sleep 1000");
    drop(far);
    assert_eq!(crate::world::read_all(near), "");
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    world.end();
}

fn signals_do_not_stop_a_shim() {
    let mut world = World::running("exec sleep 1000");
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP] {
        rustix::process::pidfd_send_signal(&world.spawned.pidfd, signal).unwrap();
    }
    world.call(Op::State).unwrap();
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    world.end();
}
