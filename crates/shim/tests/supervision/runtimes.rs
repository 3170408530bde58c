//! Other runtimes, where they are installed.

use std::path::Path;

use dhow_errdefs::Class;
use dhow_shim::protocol::{Kill, Op};

use crate::Test;
use crate::world::{World, interactive, output, read_all, read_until, send};

pub(crate) const TESTS: &[Test] = &[
    ("runc_runs_a_container", || runs_a_container("runc")),
    ("crun_runs_a_container", || runs_a_container("crun")),
    ("runc_gives_a_terminal", || gives_a_terminal("runc")),
    ("crun_gives_a_terminal", || gives_a_terminal("crun")),
    ("runc_gives_the_streams_to_the_user", || gives_the_streams_to_the_user("runc")),
    ("runc_fails_in_its_own_words", || fails_in_its_own_words("runc")),
];

/// A world for that runtime, if it is installed.
fn world(runtime: &str, script: &str) -> Option<World> {
    let path = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(|directory| Path::new(directory).join(runtime));
    let Some(path) = path.into_iter().find(|path| path.exists()) else {
        println!("SKIPPED: {runtime} is not installed");
        return None;
    };
    let mut world = World::new(script);
    world.launch.external_runtime = Some(path);
    Some(world)
}

/// Starts it; `false`: the runtime says that it does not work on such a host at all.
fn starts(world: &mut World) -> bool {
    match world.start() {
        Ok(_) => true,
        Err(error) if error.to_string().contains("hybrid mode not supported") => {
            println!("SKIPPED: {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn runs_a_container(runtime: &str) {
    let Some(mut world) = world(runtime, "echo hello; cat; sleep 1000 & exit 6") else { return };
    (world.launch.stdin_open, world.launch.stdin_once) = (true, true);
    let (mut client, _) = world.attach(interactive());
    if !starts(&mut world) {
        return world.reap();
    }
    assert_eq!(read_until(&mut client, "\n"), "hello\n");
    let (_, exec) = world.exec("e", "hostname; exit 3", Some(output())).unwrap();
    assert_eq!(read_all(exec), "test\n");
    assert_eq!(world.exec_exit("e"), 3);
    send(&mut client, "bye");
    crate::world::half_close(&client);
    assert_eq!(read_all(client), "bye");
    let (exit, log) = world.end();
    assert_eq!((exit.code, log.as_str()), (6, "hello\nbye"));
}

fn gives_a_terminal(runtime: &str) {
    let Some(mut world) = world(runtime, "tty; read line; exec sleep 1000") else { return };
    (world.launch.tty, world.launch.stdin_open) = (true, true);
    let (mut client, _) = world.attach(interactive());
    if !starts(&mut world) {
        return world.reap();
    }
    assert!(read_until(&mut client, "\r\n").starts_with("/dev/pts/"));
    send(&mut client, "x\n");
    world.call(Op::Kill(Kill { signal: 9, all: false })).unwrap();
    assert_eq!(world.end().0.code, 137);
}

fn gives_the_streams_to_the_user(runtime: &str) {
    let Some(mut world) = world(runtime, "echo again > /proc/self/fd/1") else { return };
    let process = world.launch.spec.process.as_mut().unwrap();
    (process.user.uid, process.user.gid) = (1000, 1000);
    if starts(&mut world) {
        assert_eq!(world.end().1, "again\n");
    }
}

fn fails_in_its_own_words(runtime: &str) {
    let Some(mut world) = world(runtime, "") else { return };
    world.launch.spec.process.as_mut().unwrap().args = vec!["nosuch".to_owned()];
    let error = world.start().unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
    assert!(error.to_string().contains("exec: \"nosuch\": executable file not found in $PATH"), "{error}");
    while world.engine.next_event().unwrap().is_some() {}
    world.assert_nothing_left();
    world.reap();
}
