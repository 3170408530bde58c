//! SIGKILL before each single step of create, start, exec, stop and rm: not at random moments, but at every call that changes
//! something, one life of a container for each. On an ordinary day some of them, picked by chance; with
//! `DHOW_FAULT_ROUNDS=20` all.

use std::io;
use std::path::PathBuf;

use dhow_testkit::{Door, World, eventually};

use super::containers::{body, create, door, exec, post, remove};
use super::strace::{Step, Strace, steps};
use super::{chance, rounds};
use crate::busybox;

/// What changes files, processes and what others know: an engine that dies between two of these calls leaves the same as
/// before the second.
const OF_AN_ENGINE: &str = "mkdirat,rename,renameat,renameat2,unlink,unlinkat,linkat,symlinkat,umount2,pwrite64,fdatasync,\
    write,sendmsg,clone3";

/// Those of a shim and of the process that becomes the container's first.
const OF_A_SHIM: &str = "mkdirat,mkdir,renameat,rename,unlink,umount2,mount,open_tree,move_mount,mount_setattr,fsconfig,\
    fsmount,pivot_root,clone,clone3,unshare,setns,write,sendmsg,fchdir,chdir,setgroups,capset,seccomp,execve";

/// A container's whole life, until somebody does not answer. Says whether all of it went as it should.
fn life(door: &mut Door) -> io::Result<bool> {
    create(door, "box", &body("exec sleep 1000", ""))?.expect("created");
    let started = post(door, "box", "start")?;
    exec(door, "box")?;
    let stopped = post(door, "box", "stop?t=0")?;
    Ok([started, stopped, remove(door, "box")?] == [204; 3])
}

/// Whatever became of the container, it is in one of the states that a person knows, and can be used and removed; its name
/// is free then. moby#23371: one that was half removed kept it for ever.
fn is_whole(world: &World, step: &Step) {
    world.is_in_order();
    let state = world.dhow(&["ps", "--all", "--format", "{{.State}}"]).ok();
    assert!(["", "created", "running", "exited"].contains(&state.as_str()), "{state} after {step:?}");
    if !state.is_empty() {
        world.dhow(&["start", "box"]).exits(0);
        world.dhow(&["exec", "box", "true"]).exits(0);
    }
    world.dhow(&["rm", "--force", "box"]).exits(0);
    world.dhow(&["run", "--name", "box", "--network", "none", "busybox", "true"]).exits(0);
    world.dhow(&["rm", "box"]).exits(0);
    world.is_in_order();
    assert_eq!(world.shims(), [0; 0], "after {step:?}");
}

/// So many of the steps that there are, each once.
fn some(mut steps: Vec<Step>, usual: usize) -> Vec<Step> {
    assert!(steps.len() > usual, "a life has more steps: {steps:?}");
    chance().shuffle(&mut steps);
    steps.truncate(rounds(usual));
    steps
}

fn record(world: &World) -> PathBuf {
    world.path().join("calls")
}

fn engine(world: &World) -> u32 {
    world.engine_pid().expect("it runs")
}

/// The shim that the next start takes.
fn spare(world: &World) -> u32 {
    eventually("there is a spare", || world.spare_shims().len() == 1);
    u32::try_from(world.spare_shims()[0]).expect("a pid")
}

/// Some steps that a process takes in a life in which nobody is killed.
fn steps_of(world: &World, pid: u32, kinds: &str) -> Vec<Step> {
    let recording = Strace::record(pid, kinds, &record(world));
    life(&mut door(&world.socket())).expect("nobody is killed yet");
    drop(recording);
    some(steps(&record(world)), 10)
}

/// containerd#6860, moby#23371: what was half made leaked, and what was half removed kept its name.
#[test]
fn an_engine_that_dies_before_any_step_leaves_nothing_half_done() {
    let mut world = busybox();
    assert!(life(&mut door(&world.socket())).expect("nobody is killed yet"));
    // As fresh as in each of the following lives.
    world.crash_engine();
    world.start_engine();
    let steps = steps_of(&world, engine(&world), OF_AN_ENGINE);
    let mut cut = 0;
    let count = steps.len();
    for step in steps {
        world.crash_engine();
        world.start_engine();
        let killing = Strace::kill_at(engine(&world), &step);
        // Which of its threads do what differs from life to life: it may be over before one of them comes that far.
        cut += usize::from(life(&mut door(&world.socket())).is_err());
        drop(killing);
        world.crash_engine();
        world.start_engine();
        is_whole(&world, &step);
    }
    // How many is chance, too: usually more than half. None at all says that nothing is killed any more.
    assert!(cut > 0, "no life of {count} was cut off");
}

/// The same of the one who makes the container: the engine lives, answers, and takes away what is left.
#[test]
fn a_shim_that_dies_before_any_step_leaves_nothing_half_done() {
    let world = busybox();
    world.dhow(&["run", "--rm", "--network", "none", "busybox", "true"]).exits(0);
    let steps = steps_of(&world, spare(&world), OF_A_SHIM);
    let mut cut = 0;
    let count = steps.len();
    for step in steps {
        let killing = Strace::kill_at(spare(&world), &step);
        cut += usize::from(!life(&mut door(&world.socket())).expect("the engine answers"));
        drop(killing);
        is_whole(&world, &step);
    }
    assert!(cut > count / 2, "{cut} lives of {count} were cut off");
}
