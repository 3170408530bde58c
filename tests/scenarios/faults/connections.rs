//! Connections between the engine and its shims that end before either of them does.

use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;

use dhow_testkit::{World, eventually};
use rustix::net::{AddressFamily, Shutdown, shutdown, sockopt};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};

use crate::busybox;

/// Cuts the engine's connection to a shim that it has found; the engine knows nothing of it before.
fn cut(world: &World, shim: Pid) {
    let engine = Pid::from_raw(world.engine_pid().expect("it runs").cast_signed()).expect("not 0");
    let pidfd = pidfd_open(engine, PidfdFlags::empty()).expect("it runs");
    let folder = std::fs::read_dir(format!("/proc/{}/fd", engine.as_raw_pid())).expect("it runs");
    let numbers = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let copies = numbers.filter_map(|number| pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).ok());
    let leads_there = |socket: &OwnedFd| {
        sockopt::socket_domain(socket).is_ok_and(|domain| domain == AddressFamily::UNIX)
            && sockopt::socket_peercred(socket).is_ok_and(|peer| peer.pid == shim)
    };
    let found: Vec<OwnedFd> = copies.filter(leads_there).collect();
    assert!(!found.is_empty(), "the engine has no connection to {}", shim.as_raw_pid());
    for socket in found {
        shutdown(&socket, Shutdown::Both).unwrap_or_else(|error| panic!("{}: {error}", socket.as_raw_fd()));
    }
}

/// A container whose shim was found by an engine: only then the kernel tells who is at the other end.
fn found_by_an_engine(world: &mut World, flags: &[&str]) -> (Pid, String) {
    world.dhow(&[&["run", "-d", "--name", "box"], flags, &["busybox", "sleep", "1000"]].concat()).exits(0);
    world.crash_engine();
    world.start_engine();
    (world.shim_of("box"), world.inspect("box", "{{.State.Pid}} {{.State.StartedAt}}"))
}

/// The shim of a container that was found, stopped before its connection is cut.
fn cut_while_stopped(world: &mut World) -> Pid {
    let (shim, _) = found_by_an_engine(world, &[]);
    kill_process(shim, Signal::STOP).expect("the shim is this world's");
    cut(world, shim);
    shim
}

fn is_back(world: &World) {
    eventually("the engine has its shim again", || world.dhow(&["exec", "box", "true"]).code() == 0);
}

#[test]
fn a_lost_connection_costs_a_container_nothing() {
    let mut world = busybox();
    let (shim, run) = found_by_an_engine(&mut world, &["--health-cmd", "true", "--health-interval", "1s"]);
    for _ in 0..3 {
        cut(&world, shim);
        is_back(&world);
        assert_eq!(world.inspect("box", "{{.State.Pid}} {{.State.StartedAt}}"), run, "the same run");
    }
    eventually("it is looked after", || world.inspect("box", "{{.State.Health.Status}}") == "healthy");
    world.dhow(&["pause", "box"]).exits(0);
    cut(&world, shim);
    eventually("it can be let go on", || world.dhow(&["unpause", "box"]).code() == 0);
    is_back(&world);
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    assert_eq!(world.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
}

/// Whoever needs the shim just then waits for it, and is not taken for somebody who wants force.
#[test]
fn a_stop_amid_the_search_is_as_gentle_as_ever() {
    let mut world = busybox();
    let script = "trap 'exit 7' TERM; while :; do sleep 0.1; done";
    for round in 0..5 {
        let name = format!("box{round}");
        world.dhow(&["run", "-d", "--name", &name, "busybox", "sh", "-c", script]).exits(0);
        world.crash_engine();
        world.start_engine();
        cut(&world, world.shim_of(&name));
        world.dhow(&["stop", &name]).exits(0);
        assert_eq!(world.inspect(&name, "{{.State.ExitCode}}"), "7", "{round}");
    }
}

/// Whoever stops a container and has signalled it goes on over the next connection.
#[test]
fn a_stop_that_waits_goes_on_over_the_next_connection() {
    let mut world = busybox();
    let (shim, _) = found_by_an_engine(&mut world, &[]);
    let stop = thread::scope(|scope| {
        // Process 1 takes no notice of a signal that it has no handler for.
        let stop = scope.spawn(|| world.dhow(&["stop", "-t", "2", "box"]));
        let told = ["events", "--since", "1", "--until", "0s", "--filter", "event=kill", "--format", "{{.Action}}"];
        eventually("it is signalled", || !world.dhow(&told).ok().is_empty());
        cut(&world, shim);
        stop.join().expect("it ended")
    });
    stop.exits(0);
    assert_eq!(
        world.inspect("box", "{{.State.ExitCode}} {{.State.Error}}"),
        "137 ",
        "ended by the signal, not with its shim"
    );
}

/// What was to stand still for a moment only goes on though it could not be told at once.
#[test]
fn a_container_that_is_copied_amid_the_search_is_not_left_paused() {
    let mut world = busybox();
    let (shim, _) = found_by_an_engine(&mut world, &[]);
    world.dhow(&["exec", "box", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=64"]).exits(0);
    for _ in 0..3 {
        thread::scope(|scope| {
            let commit = scope.spawn(|| world.dhow(&["commit", "box", "copy"]));
            eventually("it stands still, or it was too quick", || {
                commit.is_finished() || world.inspect("box", "{{.State.Paused}}") == "true"
            });
            cut(&world, shim);
            commit.join().expect("it ended");
        });
        is_back(&world);
        assert_eq!(world.inspect("box", "{{.State.Status}}"), "running");
    }
}

#[test]
fn a_container_whose_shim_is_sought_in_vain_can_be_ended() {
    let mut world = busybox();
    cut_while_stopped(&mut world);
    eventually("it is known", || world.dhow(&["exec", "box", "true"]).code() != 0);
    assert_eq!(world.dhow(&["ps", "-q", "--no-trunc"]).ok().lines().count(), 1, "it is alive");
    world.dhow(&["rm", "-f", "box"]).exits(0);
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}

#[test]
fn what_ended_while_nobody_was_connected_is_learned() {
    let mut world = busybox();
    let shim = cut_while_stopped(&mut world);
    let first = world.inspect("box", "{{.State.Pid}}").parse().ok().and_then(Pid::from_raw).expect("it runs");
    kill_process(first, Signal::KILL).expect("it is this world's");
    kill_process(shim, Signal::CONT).expect("the shim is this world's");
    assert_eq!(world.dhow(&["wait", "box"]).ok(), "137");
    world.dhow(&["start", "box"]).exits(0);
    world.dhow(&["rm", "-f", "box"]).exits(0);
}
