//! Restart policies: after an end, after the engine, after the host; and whoever was stopped stays so.

use std::net::TcpListener;
use std::process::Stdio;

use dhow_testkit::{World, eventually};

use crate::busybox;

fn run(world: &World, name: &str, policy: &str, script: &str) {
    world.dhow(&["run", "-d", "--name", name, "--restart", policy, "busybox", "sh", "-c", script]).exits(0);
}

fn state(world: &World, name: &str) -> String {
    world.inspect(name, "{{.State.Status}} {{.RestartCount}}")
}

/// What the next engine takes for a boot of the host since the last one ran.
fn pretend_reboot(world: &World) {
    std::fs::write(world.data_root().join("boot"), "another boot\n").expect("the data root is ours");
}

#[test]
fn failures_are_retried_so_often() {
    let world = busybox();
    run(&world, "fails", "on-failure:2", "exit 4");
    run(&world, "succeeds", "on-failure", "exit 0");
    eventually("it gives up", || state(&world, "fails") == "exited 2");
    assert_eq!(world.inspect("fails", "{{.State.ExitCode}}"), "4");
    eventually("it ends", || state(&world, "succeeds") == "exited 0");
    let starts = ["events", "--since", "1h", "--until", "0s", "--filter", "container=fails", "--filter", "event=start"];
    assert_eq!(world.dhow(&starts).ok().lines().count(), 3);
    world.docker(&["run", "-d", "--restart", "foo", "busybox"]).exits(125).says("invalid restart policy");
    world.docker(&["run", "-d", "--restart", "always:3", "busybox"]).exits(125).says("maximum retry count");
}

#[test]
fn stop_and_kill_end_the_retries() {
    let world = busybox();
    for (name, how) in [("stopped", "stop"), ("killed", "kill")] {
        run(&world, name, "always", "exit 1");
        eventually("it waits for its turn", || world.inspect(name, "{{.State.Restarting}}") == "true");
        // A kill may meet the moment in which it runs; then it is the end of that run.
        world.dhow(&[how, name]).exits(0);
        eventually("it stays down", || world.inspect(name, "{{.State.Status}}") == "exited");
        let before = state(&world, name);
        world.dhow(&["wait", name]).exits(0);
        assert_eq!(state(&world, name), before);
    }
    world.dhow(&["start", "stopped"]).exits(0);
    eventually("a start by hand begins anew", || world.inspect("stopped", "{{.RestartCount}}") != "0");
    world.dhow(&["rm", "-f", "stopped", "killed"]).exits(0);
}

/// nerdctl#5153: also with the engine killed at the very moment.
#[test]
fn who_was_stopped_stays_stopped_when_the_engine_starts_again() {
    let mut world = busybox();
    for (name, policy) in [("always", "always"), ("unless", "unless-stopped"), ("failure", "on-failure")] {
        run(&world, name, policy, "exec sleep 1000");
        world.dhow(&["stop", "-t", "0", name]).exits(0);
    }
    // Stopped, and not ended yet when the engine dies.
    run(&world, "stubborn", "always", "trap '' TERM; echo ready; while :; do sleep 0.1; done");
    eventually("it is stubborn", || world.dhow(&["logs", "stubborn"]).ok() == "ready");
    let mut stopping =
        world.command(&["stop", "-t", "100", "stubborn"]).stderr(Stdio::null()).spawn().expect("stop starts");
    let told = ["events", "--since", "1h", "--until", "0s", "--filter", "container=stubborn", "--filter", "event=kill"];
    eventually("it is asked to end", || world.dhow(&told).ok().contains("signal=15"));
    let pid: i32 = world.inspect("stubborn", "{{.State.Pid}}").parse().expect("a pid");
    world.crash_engine();
    stopping.wait().expect("our child");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is of this world");
    world.start_engine();
    for name in ["always", "unless", "failure", "stubborn"] {
        eventually("it has ended", || world.inspect(name, "{{.State.Status}}") == "exited");
        assert_eq!(world.inspect(name, "{{.RestartCount}}"), "0", "{name}");
    }
}

/// moby#11777.
#[test]
fn after_a_boot_of_the_host_policies_decide() {
    let mut world = busybox();
    let policies = [("no", "no"), ("always", "always"), ("unless", "unless-stopped"), ("failure", "on-failure")];
    for (name, policy) in policies {
        run(&world, name, policy, "exec sleep 1000");
        run(&world, &format!("{name}-stopped"), policy, "exec sleep 1000");
        world.dhow(&["stop", "-t", "0", &format!("{name}-stopped")]).exits(0);
    }
    end_all(&mut world, &policies.map(|(name, _)| name));
    pretend_reboot(&world);
    world.start_engine();
    for name in ["always", "unless", "failure", "always-stopped"] {
        eventually(&format!("{name} runs"), || world.inspect(name, "{{.State.Status}}") == "running");
    }
    for name in ["no", "no-stopped", "unless-stopped", "failure-stopped"] {
        assert_eq!(world.inspect(name, "{{.State.Status}}"), "exited", "{name}");
    }
    // Only once: an engine that starts again lets be what is stopped now.
    world.dhow(&["stop", "-t", "0", "always-stopped"]).exits(0);
    world.crash_engine();
    world.start_engine();
    assert_eq!(world.inspect("always-stopped", "{{.State.Status}}"), "exited");
}

/// moby#11777: what a restart needs may come later.
#[test]
fn a_restart_that_fails_is_tried_again() {
    let mut world = busybox();
    run(&world, "first", "unless-stopped", "exec sleep 1000");
    let joined = [
        "run",
        "-d",
        "--name",
        "second",
        "--restart",
        "always",
        "--network",
        "container:first",
        "busybox",
        "sleep",
        "1000",
    ];
    world.dhow(&joined).exits(0);
    end_all(&mut world, &["first", "second"]);
    world.start_engine();
    for name in ["first", "second"] {
        eventually(&format!("{name} runs"), || world.inspect(name, "{{.State.Status}}") == "running");
    }
}

/// moby#31971, moby#11777: after a boot of the host, containers come in no order: those that live in the network of another
/// before that one, and all before the server that takes their logs.
#[test]
fn after_a_boot_of_the_host_each_waits_for_what_it_needs() {
    let mut world = busybox();
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = server.local_addr().expect("an address");
    let address = format!("syslog-address=tcp://{place}");
    let told = ["--log-driver", "syslog", "--log-opt", &address];
    let mut names = Vec::new();
    // By name the last comes first, by age the first.
    for (name, network) in [("z-base", "bridge"), ("m-middle", "container:z-base"), ("a-top", "container:m-middle")] {
        let flags = ["run", "-d", "--name", name, "--restart", "always", "--network", network];
        world.dhow(&[&flags[..], &told, &["busybox", "sleep", "1000"]].concat()).exits(0);
        names.push(name);
    }
    end_all(&mut world, &names);
    drop(server);
    pretend_reboot(&world);
    world.start_engine();
    eventually("each was tried in vain", || {
        names.iter().all(|name| world.inspect(name, "{{.State.Status}}") == "restarting")
    });
    let server = TcpListener::bind(place).expect("the port is free");
    for name in &names {
        eventually(&format!("{name} runs"), || world.inspect(name, "{{.State.Status}}") == "running");
    }
    let network = |name: &str| {
        let pid = world.inspect(name, "{{.State.Pid}}");
        std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("it runs")
    };
    assert!(names.iter().all(|name| network(name) == network("z-base")), "they are in one network");
    drop(server);
}

/// The engine is killed, and all of these with it.
fn end_all(world: &mut World, names: &[&str]) {
    let pids: Vec<String> = names.iter().map(|name| world.inspect(name, "{{.State.Pid}}")).collect();
    world.crash_engine();
    for pid in pids {
        let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is of this world");
    }
}

#[test]
fn every_wait_is_answered() {
    let world = busybox();
    let wait = |names: &[&str]| {
        let mut command = world.stock_command(&[&["wait"], names].concat());
        command.stdout(Stdio::piped()).spawn().expect("wait starts")
    };
    let text = |waiting: std::process::Child| {
        String::from_utf8(waiting.wait_with_output().expect("wait ends").stdout).expect("text")
    };
    for (name, code) in [("one", "3"), ("two", "4")] {
        let script = format!("read x; exit {code}");
        world.dhow(&["run", "-di", "--name", name, "busybox", "sh", "-c", &script]).exits(0);
    }
    let many: Vec<_> = (0..8).map(|_| wait(&["one", "two"])).collect();
    world.dhow(&["kill", "two"]).exits(0);
    world.dhow(&["kill", "one"]).exits(0);
    for waiting in many {
        assert_eq!(text(waiting), "137\n137\n");
    }
    // Of one that removes itself, and of one that is started again and again: the end of a run.
    world.dhow(&["run", "-di", "--rm", "--name", "gone", "busybox", "cat"]).exits(0);
    let removed = world.command(&["run", "--rm", "busybox", "sh", "-c", "exit 9"]).status().expect("run ends");
    assert_eq!(removed.code(), Some(9));
    world.dhow(&["stop", "-t", "0", "gone"]).exits(0);
    eventually("it is gone", || world.dhow(&["inspect", "gone"]).code() == 1);
    run(&world, "again", "always", "sleep 0.2; exit 7");
    assert_eq!(world.docker(&["wait", "again"]).ok(), "7");
    world.dhow(&["rm", "-f", "again"]).exits(0);
}
