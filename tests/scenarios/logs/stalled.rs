//! Readers and servers that do not get on, and logs that are too long to be read whole.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::process::Stdio;

use dhow_testkit::{Footprint, eventually};

use super::drivers::{CLIENTS, Start};
use crate::busybox;
use dhow_testkit::World;

/// moby#34582.
#[test]
fn a_paused_log_server_stops_nobody() {
    let world = busybox();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("syslog-address=tcp://{}", listener.local_addr().expect("an address"));
    let driver = ["--log-driver", "syslog", "--log-opt", &address];
    let script = "seq 600000; echo done > /done; sleep 1000";
    world.dhow(&[&["run", "-d", "--name", "writer"], &driver[..], &["busybox", "sh", "-c", script]].concat()).exits(0);
    for client in CLIENTS {
        assert_eq!(client(&world, &["ps", "--format", "{{.Names}}"]).ok(), "writer");
        assert_eq!(client(&world, &["inspect", "--format", "{{.State.Running}}", "writer"]).ok(), "true");
        assert_eq!(client(&world, &["exec", "writer", "echo", "hi"]).ok(), "hi");
        assert!(!client(&world, &["logs", "--tail", "1", "writer"]).ok().is_empty());
    }
    eventually("the container goes on", || world.dhow(&["exec", "writer", "cat", "/done"]).code() == 0);
    let lost = || world.inspect("writer", "{{.LogLosses.Remote}}").parse::<u64>().expect("a number");
    eventually("what was lost is shown", || lost() > 0);
    let logs = world.dhow(&["logs", "writer"]);
    assert_eq!(logs.stdout().lines().count(), 600_000);
    assert!(logs.stderr().contains("takes no more"), "{}", logs.stderr());
    world.dhow(&["kill", "writer"]).exits(0);
    assert_eq!(world.dhow(&["wait", "writer"]).ok(), "137");
    assert!(lost() > 0);
    drop(listener);
}

/// moby#48890, moby#39369, moby#22502.
#[test]
fn a_client_that_does_not_read_stops_nobody() {
    let world = busybox();
    for (name, client) in [("ours", World::command as Start), ("stock", World::stock_command as Start)] {
        let script = "seq 600000; echo done > /done; exec sleep 1000";
        let mut run = client(&world, &["run", "--name", name, "busybox", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        eventually("it wrote everything", || world.dhow(&["exec", name, "cat", "/done"]).code() == 0);
        let mut logs = client(&world, &["logs", "-f", name]).stdout(Stdio::piped()).spawn().expect("starts");
        assert_eq!(world.dhow(&["exec", name, "echo", "hi"]).ok(), "hi");
        world.dhow(&["kill", name]).exits(0);
        // Nobody has read yet, and nothing is missing.
        for child in [&mut run, &mut logs] {
            let mut text = String::new();
            child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
            assert_eq!(text.lines().count(), 600_000);
            child.wait().expect("ends");
        }
    }
}

/// moby#48890, moby#39369, moby#22502: everybody who might read is stalled at once, and what is written never comes to the end
/// of a line.
#[test]
fn a_line_without_end_stops_nobody_and_is_kept_in_no_memory() {
    const SIZE: usize = 48 << 20;
    /// What a shim may need for it at the worst, in KiB.
    const ROOM: u64 = 8 << 10;
    let world = busybox();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("syslog-address=tcp://{}", listener.local_addr().expect("an address"));
    let script = format!("read go; head -c {SIZE} /dev/zero | tr '\\0' x; echo done > /done; exec sleep 1000");
    let flags = ["create", "-i", "--name", "writer", "--log-driver", "syslog", "--log-opt", &address];
    world.dhow(&[&flags[..], &["busybox", "sh", "-c", &script]].concat()).exits(0);
    let mut run = world.command(&["start", "-a", "-i", "writer"]);
    let mut run = run.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    eventually("it runs", || world.inspect("writer", "{{.State.Running}}") == "true");
    let mut logs = world.command(&["logs", "-f", "writer"]).stdout(Stdio::piped()).spawn().expect("starts");
    let shim = u32::try_from(world.shim_of("writer").as_raw_nonzero().get()).expect("a pid");
    let before = Footprint::of(shim);
    std::io::Write::write_all(&mut run.stdin.take().expect("piped"), b"go\n").expect("it reads");
    eventually("it wrote everything", || world.dhow(&["exec", "writer", "cat", "/done"]).code() == 0);
    let after = Footprint::of(shim);
    assert!(after.memory <= before.memory + ROOM, "from {before:?} to {after:?}");
    world.dhow(&["ps"]).exits(0);
    world.dhow(&["kill", "writer"]).exits(0);
    for child in [&mut run, &mut logs] {
        let mut text = Vec::new();
        child.stdout.take().expect("piped").read_to_end(&mut text).expect("read");
        assert_eq!(text.len(), SIZE);
        child.wait().expect("ends");
    }
    assert_eq!(world.dhow(&["logs", "writer"]).stdout_bytes().len(), SIZE);
    drop(listener);
}

/// moby#21265: the tail of a log of 50 GB was found from its beginning. Time says nothing of that, bytes do.
#[test]
fn the_tail_of_a_long_log_is_read_and_no_more() {
    const LINES: usize = 400_000;
    let world = busybox();
    let read = || -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", world.engine_pid().expect("it runs"))).expect("it runs");
        let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
        read.expect("the kernel counts (proc_pid_io(5))")
    };
    for driver in ["local", "json-file"] {
        let script = format!("seq {LINES}; exec sleep 1000");
        let flags = ["run", "-d", "--name", driver, "--log-driver", driver, "--log-opt", "max-size=1g"];
        world.dhow(&[&flags[..], &["busybox", "sh", "-c", &script]].concat()).exits(0);
        let last = LINES.to_string();
        eventually("it is written", || world.dhow(&["logs", "--tail", "1", driver]).ok() == last);
        let before = read();
        for (number, client) in [World::command as Start, World::stock_command as Start].into_iter().enumerate() {
            let mut logs = client(&world, &["logs", "--tail", "100", "-f", driver]);
            let mut logs = logs.stdout(Stdio::piped()).spawn().expect("starts");
            let mut text = vec![0; 700];
            logs.stdout.as_mut().expect("piped").read_exact(&mut text).expect("a hundred lines");
            assert!(text.starts_with(b"399901\n") && text.ends_with(b"400000\n"));
            logs.kill().expect("our child");
            logs.wait().expect("our child");
            let bytes = read() - before;
            assert!(bytes >= text.len() as u64, "{driver}: somebody else has read the log");
            assert!(bytes < (number as u64 + 1) << 19, "{driver}: {bytes} bytes were read for some kilobytes");
        }
        world.dhow(&["rm", "-f", driver]).exits(0);
    }
}
