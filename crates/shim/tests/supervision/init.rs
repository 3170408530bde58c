//! Our own init process in a container.

use dhow_shim::protocol::{Kill, Op};

use crate::Test;
use crate::world::{World, interactive, output, read_all, read_until, send};

pub(crate) const TESTS: &[Test] = &[
    ("init_ends_as_its_program_ends", init_ends_as_its_program_ends),
    ("init_passes_signals_on", init_passes_signals_on),
    ("init_loses_no_signal_that_comes_early", init_loses_no_signal_that_comes_early),
    ("init_reaps_orphans", init_reaps_orphans),
    ("init_gives_its_program_the_terminal", init_gives_its_program_the_terminal),
    ("init_says_what_it_cannot_run", init_says_what_it_cannot_run),
];

/// A container whose first process is this binary, bound to where Docker has it.
fn with_init(script: &str) -> World {
    let mut world = World::new(script);
    let mount = serde_json::json!({
        "destination": "/sbin/docker-init",
        "source": std::env::current_exe().unwrap(),
        "options": ["bind", "ro"],
    });
    world.launch.spec.mounts.push(serde_json::from_value(mount).unwrap());
    world.launch.init = true;
    let process = world.launch.spec.process.as_mut().unwrap();
    process.args.splice(0..0, ["/sbin/docker-init", "--"].map(str::to_owned));
    world
}

fn init_ends_as_its_program_ends() {
    let mut world = with_init("echo $$; exit 42");
    world.start().unwrap();
    let (exit, log) = world.end();
    assert_eq!((exit.code, log.as_str()), (42, "2\n"));
    let mut world = with_init("kill -6 $$");
    world.start().unwrap();
    assert_eq!(world.end().0.code, 134);
}

fn init_passes_signals_on() {
    let mut world = with_init("trap 'echo caught; exit 3' TERM; echo ready; while true; do sleep 0.01; done");
    let (mut client, _) = world.attach(output());
    world.start().unwrap();
    read_until(&mut client, "ready\n");
    world.call(Op::Kill(Kill { signal: 15, all: false })).unwrap();
    assert_eq!(read_all(client), "caught\n");
    assert_eq!(world.end().0.code, 3);
}

/// Process 1 ignores what comes before it has said what it wants.
fn init_loses_no_signal_that_comes_early() {
    for _ in 0..20 {
        let mut world = with_init("sleep 10");
        world.start().unwrap();
        world.call(Op::Kill(Kill { signal: 15, all: false })).unwrap();
        assert_eq!(world.end().0.code, 143);
    }
}

fn init_reaps_orphans() {
    let mut world =
        with_init("(true & true &); while ps | grep -v grep | grep -q 'Z\\|\\[true'; do sleep 0.01; done; echo clean");
    world.start().unwrap();
    assert_eq!(world.end().1, "clean\n");
}

fn init_gives_its_program_the_terminal() {
    let mut world = with_init("read line; echo \"got $line\"");
    (world.launch.tty, world.launch.stdin_open) = (true, true);
    let (mut client, _) = world.attach(interactive());
    world.start().unwrap();
    send(&mut client, "x\n");
    assert!(read_all(client).ends_with("got x\r\n"));
    world.end();
}

fn init_says_what_it_cannot_run() {
    let mut world = with_init("");
    world.launch.spec.process.as_mut().unwrap().args.truncate(2);
    world.launch.spec.process.as_mut().unwrap().args.push("nosuch".to_owned());
    world.start().unwrap();
    let (exit, log) = world.end();
    assert_eq!(exit.code, 127);
    assert!(log.contains("exec nosuch failed: No such file or directory"), "{log}");
}
