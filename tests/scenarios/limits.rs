//! Limits of memory, processors and processes, and what happens at them.

use crate::busybox;

/// The value of a limit as the container's own cgroup has it; the file's name differs between v1 and v2.
fn limit(world: &dhow_testkit::World, flags: &[&str], v1: &str, v2: &str) -> String {
    let script = format!("cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}");
    world.dhow(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", &script]].concat()).ok()
}

#[test]
fn limits_arrive_in_the_cgroup() {
    let world = busybox();
    assert_eq!(limit(&world, &["-m", "64m"], "memory/memory.limit_in_bytes", "memory.max"), "67108864");
    assert_eq!(limit(&world, &["--pids-limit", "33"], "pids/pids.max", "pids.max"), "33");
    let quota = limit(&world, &["--cpus", "0.5"], "cpu/cpu.cfs_quota_us", "cpu.max");
    assert!(["50000", "50000 100000"].contains(&quota.as_str()), "{quota}");
    assert_eq!(limit(&world, &["--cpuset-cpus", "0"], "cpuset/cpuset.cpus", "cpuset.cpus"), "0");
    let shares = limit(&world, &["--cpu-shares", "512"], "cpu/cpu.shares", "cpu.weight");
    assert!(["512", "20", "59"].contains(&shares.as_str()), "{shares}");
}

#[test]
fn a_process_over_its_memory_is_killed_and_inspect_says_why() {
    let world = busybox();
    let eat = "dd if=/dev/zero of=/dev/shm/x bs=1M count=100";
    world.dhow(&[
        "run",
        "--name",
        "eater",
        "-m",
        "20m",
        "--memory-swap",
        "20m",
        "--shm-size",
        "200m",
        "busybox",
        "sh",
        "-c",
        &format!("exec {eat}"),
    ]);
    assert_eq!(world.inspect("eater", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
}

#[test]
fn a_fork_bomb_stops_at_the_limit() {
    let world = busybox();
    let output = world.dhow(&[
        "run",
        "--rm",
        "--pids-limit",
        "8",
        "busybox",
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1 & done; wait",
    ]);
    assert!(output.stderr().contains("fork"), "{output:?}");
}

#[test]
fn the_size_of_shm_and_tmpfs() {
    let world = busybox();
    let df = |flags: &[&str], path: &str| {
        world
            .dhow(&[&["run", "--rm"], flags, &["busybox", "sh", "-c", &format!("df -k {path} | tail -1")]].concat())
            .ok()
    };
    assert!(df(&[], "/dev/shm").contains(" 65536 "));
    assert!(df(&["--shm-size", "1m"], "/dev/shm").contains(" 1024 "));
    assert!(df(&["--tmpfs", "/scratch:size=2m"], "/scratch").contains(" 2048 "));
}

#[test]
fn impossible_limits_are_refused_before_anything_is_made() {
    let world = busybox();
    world.dhow(&["run", "-m", "1m", "busybox"]).exits(125).says("Minimum memory limit allowed is 6MB");
    world.dhow(&["run", "--cpus", "1000", "busybox"]).exits(125).says("Range of CPUs is from 0.01 to");
    world
        .dhow(&["run", "--memory-swap", "10m", "-m", "20m", "busybox"])
        .exits(125)
        .says("should be larger than memory limit");
    world.dhow(&["run", "--cpuset-cpus", "999", "busybox"]).exits(125);
    world.dhow(&["run", "-m", "lots", "busybox"]).exits(125).says("invalid argument \"lots\"");
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}

#[test]
fn oom_score_can_be_raised() {
    let world = busybox();
    assert_eq!(
        world.dhow(&["run", "--rm", "--oom-score-adj", "500", "busybox", "cat", "/proc/self/oom_score_adj"]).ok(),
        "500"
    );
}
