//! Attached clients.

use dhow_engine::{AttachOptions, Status};

use crate::Test;
use crate::world::{World, command, demultiplexed, sh};

pub(crate) const TESTS: &[Test] = &[
    ("what_is_typed_arrives_and_the_end_of_it_too", what_is_typed_arrives_and_the_end_of_it_too),
    ("a_terminal_detaches_and_goes_on", a_terminal_detaches_and_goes_on),
    ("a_late_client_can_have_what_was_written_before", a_late_client_can_have_what_was_written_before),
];

fn everything() -> AttachOptions {
    AttachOptions { stream: true, stdin: true, stdout: true, stderr: true, ..AttachOptions::default() }
}

fn what_is_typed_arrives_and_the_end_of_it_too() {
    let world = World::new();
    let mut spec = command(&["cat"]);
    spec.open_stdin = true;
    spec.stdin_once = true;
    let id = world.create(spec);
    let client = world.attach(&id, everything());
    world.wait_for(world.engine().start(&id)).unwrap();
    client.send("hello\n");
    client.close_input();
    assert_eq!(demultiplexed(&client.rest()), "hello\n");
    assert_eq!(world.ended(&id), 0);
}

fn a_terminal_detaches_and_goes_on() {
    let world = World::new();
    let mut spec = sh("stty size; cat");
    (spec.tty, spec.open_stdin) = (true, true);
    spec.host.console_size = [24, 80];
    let id = world.create(spec);
    assert!(world.wait_for(world.engine().attach_ready(&id, &everything())).unwrap());
    let client = world.attach(&id, everything());
    world.wait_for(world.engine().start(&id)).unwrap();
    client.until("24 80\r\n");
    client.send("\x10\x11");
    client.rest();
    assert_eq!(world.state(&id).status, Status::Running);
    world.wait_for(world.engine().resize(&id, 30, 100)).unwrap();
}

fn a_late_client_can_have_what_was_written_before() {
    let world = World::new();
    let mut spec = sh("echo before; read x; echo after $x");
    spec.open_stdin = true;
    let id = world.run(spec);
    let early = world.attach(&id, AttachOptions { logs: true, ..everything() });
    early.send("now\n");
    let text = demultiplexed(&early.rest());
    assert!(text.ends_with("after now\n"), "{text}");
}
