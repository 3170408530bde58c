//! Engines come and go, containers stay.

use std::fs;

use dhow_engine::{LogOptions, Status};
use dhow_store::{Document, Store};

use crate::Test;
use crate::world::{World, command, sh};

pub(crate) const TESTS: &[Test] = &[
    ("a_running_container_is_adopted", a_running_container_is_adopted),
    ("an_end_while_nobody_was_there_is_learned", an_end_while_nobody_was_there_is_learned),
    ("a_shim_that_was_killed_is_noticed", a_shim_that_was_killed_is_noticed),
    ("a_container_that_cannot_be_read_is_dead_and_can_be_removed", a_container_that_cannot_be_read_is_dead),
];

fn a_running_container_is_adopted() {
    let mut world = World::new();
    let id = world.run(sh("trap 'echo bye; exit 6' TERM; echo up; while true; do sleep 1 & wait; done"));
    let pid = world.state(&id).pid;
    world.crash();
    let state = world.state(&id);
    assert_eq!((state.status, state.pid), (Status::Running, pid));
    world.wait_for(world.engine().stop(&id, None, None)).unwrap();
    assert_eq!(world.state(&id).exit_code, 6);
    let out = LogOptions { stdout: true, ..LogOptions::default() };
    assert_eq!(world.logs(&id, out), "up\nbye\n");
    world.wait_for(world.engine().start(&id)).unwrap();
}

fn an_end_while_nobody_was_there_is_learned() {
    let mut world = World::new();
    let id = world.run(sh("while [ ! -e /tmp/go ]; do sleep 0.05; done; exit 8"));
    let pid = world.state(&id).pid;
    let exit = world.folder.path().join("data/containers").join(&id).join("exit.json");
    world.crash_while(|| {
        fs::write(format!("/proc/{pid}/root/tmp/go"), "").unwrap();
        dhow_testkit::eventually("the shim writes the end down", || exit.exists());
    });
    assert_eq!(world.ended(&id), 8);
    assert_eq!(world.state(&id).status, Status::Exited);
}

fn a_shim_that_was_killed_is_noticed() {
    let world = World::new();
    let id = world.run(command(&["sleep", "1000"]));
    let pid = world.state(&id).pid;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let shim: i32 = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(shim).unwrap(), rustix::process::Signal::KILL)
        .unwrap();
    assert_eq!(world.ended(&id), 137);
    assert!(world.state(&id).error.contains("shim"), "{:?}", world.state(&id));
    world.wait_for(world.engine().start(&id)).unwrap();
}

/// Also one that runs: it ends with its record.
fn a_container_that_cannot_be_read_is_dead() {
    let mut world = World::new();
    let (idle, running) = (world.create(sh("true")), world.run(command(&["sleep", "1000"])));
    let pid = world.state(&running).pid;
    let names = world.list().into_iter().map(|container| container.name).collect::<Vec<_>>();
    let data = world.folder.path().join("data");
    let later = Document { format: 99, json: "{}".to_owned() };
    world.crash_while(|| {
        let store = Store::open(&data).unwrap();
        store.metadata().set_container_state(&idle, &Document { format: 1, json: "{".to_owned() }).unwrap();
        store.metadata().set_container_spec(&running, &later).unwrap();
    });
    world.crash();
    assert_eq!(world.list().into_iter().map(|container| container.name).collect::<Vec<_>>(), names);
    for id in [&idle, &running] {
        let state = world.state(id);
        assert_eq!(state.status, Status::Dead);
        assert!(state.error.contains("cannot be read"), "{}", state.error);
    }
    world.crash_while(|| {
        let record = Store::open(&data).unwrap().metadata().container(&running).unwrap().unwrap();
        assert_eq!(record.spec, later, "nobody wrote over it");
    });
    world.remove(&idle).unwrap();
    world.remove(&running).unwrap();
    // Whoever inherits orphans here may take its time to reap them (proc_pid_stat(5): `Z`).
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "what ran is ended: {stat}");
    world.crash();
    assert!(world.list().is_empty());
}
