//! File descriptors: the shim takes what it may, what it starts gets what was set, and who finds no room is told so.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use dhow_errdefs::Class;
use dhow_oci::runtime::Hook;
use dhow_shim::Connection;
use dhow_shim::protocol::{Answer, Kill, Op};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::Test;
use crate::world::{World, output, read_all, read_until};

pub(crate) const TESTS: &[Test] = &[
    ("more_clients_than_the_usual_limit", more_clients_than_the_usual_limit),
    ("what_is_started_has_the_limit_that_was_set", what_is_started_has_the_limit_that_was_set),
    ("a_client_without_room_is_refused_and_nothing_else", a_client_without_room_is_refused_and_nothing_else),
    ("the_last_descriptors_are_no_clients", the_last_descriptors_are_no_clients),
];

const SCRIPT: &str = "ulimit -Sn; ulimit -Hn; echo ready; exec sleep 1000";

/// Sets the shim's limit of open files. Before its engine's first word that is what the shim found.
fn limit(world: &World, soft: u64, hard: u64) {
    let limits = Rlimit { current: Some(soft), maximum: Some(hard) };
    prlimit(Pid::from_raw(world.spawned.pid), Resource::Nofile, limits).unwrap();
}

fn limited(soft: u64, hard: u64) -> World {
    let world = World::new(SCRIPT);
    limit(&world, soft, hard);
    world
}

fn kill(mut world: World) -> String {
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    let (exit, log) = world.end();
    assert_eq!(exit.code, 137);
    log
}

fn attach(world: &mut World, count: usize) -> Vec<(UnixStream, u64)> {
    (0..count).map(|_| world.attach(output())).collect()
}

fn open_files(world: &World) -> usize {
    fs::read_dir(Path::new("/proc").join(world.spawned.pid.to_string()).join("fd")).unwrap().count()
}

fn more_clients_than_the_usual_limit() {
    let mut world = limited(40, 400);
    world.start().unwrap();
    let clients = attach(&mut world, 200);
    assert!(matches!(world.call(Op::State).unwrap(), Answer::State(_)));
    assert!(open_files(&world) > 200);
    let (_, exec) = world.exec("e", "echo hello", Some(output())).unwrap();
    assert_eq!(read_all(exec), "hello\n");
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    for (client, seq) in clients {
        assert!(!world.detached(seq));
        read_all(client);
    }
    world.end();
}

fn what_is_started_has_the_limit_that_was_set() {
    let mut world = limited(77, 888);
    let file = world.dir.path().join("hooks");
    let hook = |name: &str| Hook {
        path: "/bin/sh".into(),
        args: ["sh", "-c", &format!("echo {name} $(ulimit -Sn) $(ulimit -Hn) >> {}", file.display())]
            .map(str::to_owned)
            .into(),
        ..Hook::default()
    };
    let hooks = world.launch.spec.hooks.get_or_insert_default();
    (hooks.prestart, hooks.create_container) = (vec![hook("prestart")], vec![hook("createContainer")]);
    hooks.poststop = vec![hook("poststop")];
    world.start().unwrap();
    let (_, exec) = world.exec("e", "ulimit -Sn; ulimit -Hn", Some(output())).unwrap();
    assert_eq!(read_all(exec), "77\n888\n");
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    world.exit();
    world.gone();
    assert_eq!(world.log(), "77\n888\nready\n");
    let hooks = fs::read_to_string(&file).unwrap();
    assert_eq!(hooks, "prestart 77 888\ncreateContainer 77 888\npoststop 77 888\n");
    world.reap();
}

fn a_client_without_room_is_refused_and_nothing_else() {
    let mut world = limited(40, 400);
    world.start().unwrap();
    let (mut before, _) = world.attach(output());
    // Whatever is open stays so, and nothing is added.
    limit(&world, 3, 400);
    let (client, seq) = world.attach(output());
    let error = world.engine.answer_to(seq).unwrap_err();
    assert_eq!(error.class(), Class::ResourceExhausted);
    assert!(error.hint().is_some_and(|hint| hint.contains("LimitNOFILE")), "{error:?}");
    assert_eq!(read_all(client), "");
    let error = world.exec("e", "true", Some(output())).unwrap_err();
    assert_eq!(error.class(), Class::ResourceExhausted);
    limit(&world, 400, 400);
    let (_, mut exec) = world.exec("e", "echo again; exec sleep 1000", Some(output())).unwrap();
    read_until(&mut exec, "again\n");
    world.call(Op::CloseStdin).unwrap();
    kill(world);
    std::io::Read::read_to_end(&mut before, &mut Vec::new()).unwrap();
}

fn the_last_descriptors_are_no_clients() {
    let mut world = limited(40, 200);
    world.start().unwrap();
    let clients = attach(&mut world, 300);
    let error = world.engine.answer_to(clients.last().unwrap().1).unwrap_err();
    assert_eq!(error.class(), Class::ResourceExhausted);
    let (engine, state) = Connection::adopt(&world.launch.run_dir).unwrap();
    assert_eq!(state.id, world.launch.id);
    drop(engine);
    assert!(kill(world).ends_with("ready\n"));
}
