//! Removing always ends, whatever state things are in.

use std::fs;
use std::os::fd::AsFd;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use dhow_sys::namespace;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space};

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

/// A copy of a process' mounts, in a mount namespace of its own, until this is dropped: they stay although their owner has
/// gone, as with a service that was started with private mounts meanwhile.
struct HeldMounts {
    release: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HeldMounts {
    fn of(pid: &str) -> Self {
        let namespace = fs::File::open(format!("/proc/{pid}/ns/mnt")).expect("it runs");
        let (held, holds) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            namespace::unshare_directories().expect("memory");
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount)).expect("root may");
            namespace::unshare(ThreadNameSpaceType::MOUNT).expect("root may");
            drop(namespace);
            held.send(()).expect("somebody waits");
            // Ends with an error when the other end is dropped.
            let _ = released.recv();
        });
        holds.recv().expect("the mounts are held");
        Self { release: Some(release), thread: Some(thread) }
    }
}

impl Drop for HeldMounts {
    fn drop(&mut self) {
        drop(self.release.take());
        self.thread.take().map(JoinHandle::join).transpose().expect("no panic");
    }
}

/// moby#22260, for-linux#124: "device or resource busy".
#[test]
fn a_mount_held_elsewhere_blocks_nothing() {
    let world = busybox();
    world.dhow(&["volume", "create", "data"]).exits(0);
    let run = || {
        let flags = ["run", "-d", "--name", "box", "--ipc", "shareable", "--tmpfs", "/t", "-v", "data:/d"];
        world.dhow(&[&flags[..], &["busybox", "sleep", "1000"]].concat()).exits(0);
        world.inspect("box", "{{.State.Pid}}")
    };
    let pid = run();
    // All mounts of the container, a file in its root, and all mounts of the host.
    let held = (HeldMounts::of(&pid), fs::File::open(format!("/proc/{pid}/root")).expect("it runs"));
    let host = HeldMounts::of("self");
    world.dhow(&["restart", "-t", "0", "box"]).exits(0);
    world.dhow(&["exec", "box", "touch", "/file", "/d/file"]).exits(0);
    world.dhow(&["rm", "-f", "box"]).exits(0);
    world.dhow(&["volume", "rm", "data"]).exits(0);
    world.is_in_order();
    run();
    world.dhow(&["exec", "box", "ls", "/file", "/d/file"]).exits(1);
    world.dhow(&["rm", "-f", "box"]).exits(0);
    drop((held, host));
    world.is_in_order();
}
