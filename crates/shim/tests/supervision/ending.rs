//! Ends that are not ordinary.

use dhow_shim::protocol::Event;

use crate::Test;
use crate::world::{World, output, read_all};

pub(crate) const TESTS: &[Test] = &[
    ("a_child_that_keeps_the_pipe_does_not_delay_the_end", a_child_that_keeps_the_pipe_does_not_delay_the_end),
    ("others_in_the_hosts_process_namespace_end_too", others_in_the_hosts_process_namespace_end_too),
    ("the_record_is_written_before_the_event", the_record_is_written_before_the_event),
    ("a_client_that_reads_late_gets_all", a_client_that_reads_late_gets_all),
    ("a_container_without_a_cgroup_ends_whole", a_container_without_a_cgroup_ends_whole),
];

fn a_child_that_keeps_the_pipe_does_not_delay_the_end() {
    let (exit, log) = World::running("sleep 1000 & sleep 1000 & echo done; exit 5").end();
    assert_eq!((exit.code, log.as_str()), (5, "done\n"));
}

/// The container shares the host's process namespace, so the kernel ends nobody with its first process.
fn in_the_hosts_process_namespace(script: &str) -> World {
    let mut world = World::new(script);
    let linux = world.launch.spec.linux.as_mut().unwrap();
    let namespaces = serde_json::to_value(&linux.namespaces).unwrap();
    let kept = namespaces.as_array().unwrap().iter().filter(|namespace| namespace["type"] != "pid");
    linux.namespaces = serde_json::from_value(kept.cloned().collect()).unwrap();
    world
}

fn others_in_the_hosts_process_namespace_end_too() {
    let mut world = in_the_hosts_process_namespace("(sleep 1000; echo late) & sleep 1000 & echo done");
    world.start().unwrap();
    let (exit, log) = world.end();
    assert_eq!((exit.code, log.as_str()), (0, "done\n"));
}

fn a_container_without_a_cgroup_ends_whole() {
    let mut world = in_the_hosts_process_namespace("sh -c 'sleep 1000 & sleep 1000' & echo $$");
    world.launch.cgroup = None;
    let pid = world.start().unwrap();
    assert_eq!(world.exit().code, 0);
    while world.engine.next_event().unwrap().unwrap() != Event::Gone {}
    assert_eq!(world.log(), format!("{pid}\n"));
    world.reap();
}

fn the_record_is_written_before_the_event() {
    // `exit` reads the record after the event, with nothing between that could give the shim time.
    let mut world = World::running("exit 9");
    assert_eq!(world.exit().code, 9);
    world.gone();
    world.reap();
}

fn a_client_that_reads_late_gets_all() {
    let mut world = World::new("seq 100000");
    let (client, seq) = world.attach(output());
    world.start().unwrap();
    assert_eq!(world.exit().code, 0);
    world.gone();
    // Everything is undone, and the shim is still there for its client.
    let log = world.log();
    assert_eq!(read_all(client), log);
    assert!(!world.detached(seq));
    world.reap();
}
