//! Removing always ends, whatever state things are in.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use dhow_testkit::{World, eventually};

use crate::busybox;

#[test]
fn a_running_container_needs_force() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["rm", "box"]).exits(1).says("stop the container before");
    world.dhow(&["rm", "-f", "box"]).exits(0);
    assert_eq!(world.dhow(&["rm", "-f", "box"]).code(), 0, "as with docker, forced removal of nothing is no error");
}

#[test]
fn ps_shows_whose_shim_it_is() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let line = fs::read(format!("/proc/{}/cmdline", world.shim_of("box"))).expect("it runs");
    assert!(String::from_utf8_lossy(&line).contains(&world.inspect("box", "{{.Id}}")));
}

#[test]
fn a_dead_shim_blocks_nothing() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    kill_process(world.shim_of("box"), Signal::KILL).expect("the shim is this world's");
    eventually("the engine notices", || world.inspect("box", "{{.State.Running}}") == "false");
    world.dhow(&["logs", "box"]).exits(0);
    world.dhow(&["start", "box"]).exits(0);
    world.dhow(&["rm", "-f", "box"]).exits(0);
}

#[test]
fn a_spare_shim_may_die_and_ends_with_its_engine() {
    let mut world = busybox();
    assert!(world.spare_shims().is_empty(), "an engine that has started nothing has none");
    world.dhow(&["run", "-d", "--name", "first", "busybox", "sleep", "1000"]).exits(0);
    let one = |world: &World| {
        eventually("there is a spare", || world.spare_shims().len() == 1);
        Pid::from_raw(world.spare_shims()[0]).expect("not 0")
    };
    let spare = one(&world);
    world.dhow(&["run", "-d", "--name", "second", "busybox", "sleep", "1000"]).exits(0);
    assert_eq!(world.shim_of("second"), spare, "the start has taken it");
    kill_process(one(&world), Signal::KILL).expect("it is this world's");
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    one(&world);
    world.crash_engine();
    eventually("it ends with the engine", || world.spare_shims().is_empty());
}

#[test]
fn a_spare_shim_that_does_not_answer_holds_no_start_up() {
    let world = busybox();
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    eventually("there is a spare", || world.spare_shims().len() == 1);
    let spare = world.spare_shims()[0];
    kill_process(Pid::from_raw(spare).expect("not 0"), Signal::STOP).expect("it is this world's");
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    eventually("another one is the spare", || world.spare_shims().iter().any(|other| *other != spare));
    assert!(!world.spare_shims().contains(&spare), "it is ended");
}

#[test]
fn a_stopped_shim_blocks_nothing() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    kill_process(world.shim_of("box"), Signal::STOP).expect("the shim is this world's");
    world.dhow(&["inspect", "box"]).exits(0);
    world.dhow(&["ps", "-a"]).exits(0);
    world.dhow(&["rm", "-f", "box"]).exits(0);
}

#[test]
fn helpers_that_outlive_process_one_are_ended_with_it() {
    let world = busybox();
    let script = "sleep 1000 & sleep 1000 & exit 6";
    world.dhow(&["run", "--name", "box", "--pid", "host", "busybox", "sh", "-c", script]).exits(6);
    world.dhow(&["rm", "box"]).exits(0);
}

#[test]
fn a_container_whose_folder_vanished_can_be_removed() {
    let mut world = busybox();
    world.dhow(&["run", "--name", "box", "busybox", "true"]).exits(0);
    let id = world.inspect("box", "{{.Id}}");
    world.crash_engine();
    fs::remove_dir_all(world.data_root().join("containers").join(&id)).expect("it was there");
    world.start_engine();
    world.dhow(&["inspect", "box"]).exits(0);
    world.dhow(&["rm", "box"]).exits(0);
}

#[test]
fn a_mount_held_elsewhere_blocks_nothing() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let pid = world.inspect("box", "{{.State.Pid}}");
    // Another process keeps the container's root file system busy from its own mount namespace.
    let root = fs::File::open(format!("/proc/{pid}/root")).expect("it runs");
    world.dhow(&["rm", "-f", "box"]).exits(0);
    drop(root);
}
