//! Other limits for containers that are there already.

use std::fs;
use std::path::{Path, PathBuf};

use dhow_testkit::{World, eventually};

use crate::busybox;

/// The file of a limit in the host's cgroup tree: v1 keeps each controller in a tree of its own.
fn place(world: &World, name: &str, v1: &str, v2: &str) -> PathBuf {
    let (id, parent) = (world.inspect(name, "{{.Id}}"), world.cgroup_parent().trim_matches('/'));
    let (tree, file) = v1.split_once('/').expect("tree and file");
    let old = PathBuf::from(format!("/sys/fs/cgroup/{tree}/{parent}/{id}/{file}"));
    if old.exists() { old } else { format!("/sys/fs/cgroup/{parent}/{id}/{v2}").into() }
}

fn content(place: &Path) -> String {
    let text = fs::read_to_string(place);
    text.unwrap_or_else(|error| panic!("{}: {error}", place.display())).trim().to_owned()
}

fn limit(world: &World, name: &str, v1: &str, v2: &str) -> String {
    content(&place(world, name, v1, v2))
}

fn memory(world: &World, name: &str) -> String {
    limit(world, name, "memory/memory.limit_in_bytes", "memory.max")
}

#[test]
fn limits_of_running_paused_and_stopped_containers_change() {
    let world = busybox();
    for name in ["running", "paused", "stopped"] {
        world.dhow(&["run", "-d", "--name", name, "-m", "64m", "busybox", "sleep", "1000"]).exits(0);
    }
    world.dhow(&["pause", "paused"]).exits(0);
    world.dhow(&["kill", "stopped"]).exits(0);
    let flags = ["-m", "48m", "--memory-reservation", "32m", "--pids-limit", "40"];
    let update = [&["update"][..], &flags, &["running", "paused", "stopped"]].concat();
    assert_eq!(world.dhow(&update).ok(), "running\npaused\nstopped");
    world.dhow(&["unpause", "paused"]).exits(0);
    world.dhow(&["start", "stopped"]).exits(0);
    for name in ["running", "paused", "stopped"] {
        assert_eq!(memory(&world, name), "50331648", "{name}");
        assert_eq!(limit(&world, name, "pids/pids.max", "pids.max"), "40", "{name}");
        let shown = world.inspect(name, "{{.HostConfig.Memory}} {{.HostConfig.MemoryReservation}}");
        assert_eq!(shown, "50331648 33554432", "{name}");
    }
}

#[test]
fn processors_and_shares_change_live_with_both_clients() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "--pids-limit", "30", "busybox", "sleep", "1000"]).exits(0);
    world.docker(&["update", "--cpus", "0.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "box"]).exits(0);
    let quota = limit(&world, "box", "cpu/cpu.cfs_quota_us", "cpu.max");
    assert!(["50000", "50000 100000"].contains(&quota.as_str()), "{quota}");
    assert_eq!(limit(&world, "box", "cpuset/cpuset.cpus", "cpuset.cpus"), "0");
    world.dhow(&["update", "--pids-limit", "-1", "box"]).exits(0);
    assert_eq!(limit(&world, "box", "pids/pids.max", "pids.max"), "max");
    world.dhow(&["update", "--restart", "on-failure:4", "box"]).exits(0);
    let policy = "{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}";
    assert_eq!(world.inspect("box", policy), "on-failure:4");
    assert_eq!(world.inspect("box", "{{.HostConfig.NanoCpus}} {{.HostConfig.CpuShares}}"), "500000000 512");
}

/// Whoever is killed between writing a limit down and setting it leaves it to the next engine.
#[test]
fn limits_that_are_written_down_are_set_by_the_next_engine() {
    let mut world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "--pids-limit", "40", "busybox", "sleep", "1000"]).exits(0);
    let place = place(&world, "box", "pids/pids.max", "pids.max");
    assert_eq!(content(&place), "40");
    world.crash_engine();
    fs::write(&place, "30").expect("the test's own");
    world.start_engine();
    eventually("it is set", || content(&place) == "40");
}

#[test]
fn refusals_are_dockers_and_change_nothing() {
    let world = busybox();
    world
        .dhow(&["run", "-d", "--rm", "--name", "box", "-m", "64m", "--cpus", "1", "busybox", "sleep", "1000"])
        .exits(0);
    for (flags, words) in [
        (&["-m", "200m"][..], "update the memoryswap at the same time"),
        (&["--cpu-quota", "50000"], "CPU Quota cannot be updated as NanoCPUs has already been set"),
        (&["--cpu-period", "50000"], "CPU Period cannot be updated as NanoCPUs has already been set"),
        (&["--restart", "always"], "Restart policy cannot be updated because AutoRemove is enabled"),
    ] {
        for outcome in [
            world.dhow(&[&["update"], flags, &["box"]].concat()),
            world.docker(&[&["update"], flags, &["box"]].concat()),
        ] {
            outcome.exits(1).says("Cannot update container").says(words);
        }
    }
    world.dhow(&["update", "-m", "1m", "box"]).exits(1).says("daemon: Minimum memory limit allowed is 6MB");
    world.dhow(&["update", "--cpus", "1000", "box"]).exits(1).says("Range of CPUs is from 0.01 to");
    world.dhow(&["update", "box"]).exits(1).says("you must provide one or more flags when using this command");
    world.dhow(&["update", "-m", "10m", "nothing", "box"]).exits(1).says("No such container: nothing");
    assert_eq!(world.inspect("box", "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}"), "10485760 no");
}
