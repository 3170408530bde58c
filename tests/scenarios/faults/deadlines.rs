//! Every call ends, whatever it has to do with: that it ends is what is tested, not when.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use dhow_testkit::{World, busybox_tar, eventually, finish_with_input};
use rustix::process::{Pid, Signal, kill_process};

use super::hung_mount::HungMount;
use crate::{busybox, cgroups};

/// Starts commands side by side, so that they can be waited for together.
fn begin(world: &World, commands: &[&[&str]]) -> Vec<(String, Child)> {
    let start = |args: &&[&str]| {
        let mut command = world.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        (args.join(" "), command.spawn().expect("starts"))
    };
    commands.iter().map(start).collect()
}

fn all_end(children: Vec<(String, Child)>) {
    for (line, mut child) in children {
        eventually(&format!("`dhow {line}` ends"), || child.try_wait().expect("our child").is_some());
    }
}

fn end(world: &World, commands: &[&[&str]]) {
    all_end(begin(world, commands));
}

fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).expect("not 0"), signal).expect("it is this world's");
}

#[test]
fn a_process_that_no_signal_ends_holds_no_call_up() {
    let mut world = busybox();
    let hung = HungMount::at(&world.path().join("hung"));
    let volume = format!("{}:/hung", world.path().join("hung").display());
    let parent = format!("dhow-removed-{}", std::process::id());
    let flags = ["run", "-d", "--name", "box", "--cgroup-parent", &parent, "-v", &volume];
    world.dhow(&[&flags[..], &["busybox", "cat", "/hung/file"]].concat()).exits(0);
    let id = world.inspect("box", "{{.Id}}");
    let pid = world.inspect("box", "{{.State.Pid}}");
    eventually("it waits for its file server", || hung.has_questions());
    let looking: [&[&str]; 4] = [&["ps", "--all", "--size"], &["inspect", "box"], &["logs", "box"], &["top", "box"]];
    let ending: [&[&str]; 3] = [&["stop", "-t", "0", "box"], &["kill", "box"], &["restart", "-t", "0", "box"]];
    all_end([begin(&world, &ending), begin(&world, &looking)].into_iter().flatten().collect());
    end(&world, &[&["rm", "--force", "box"]]);
    assert_eq!(world.dhow(&["ps", "--all", "--quiet"]).ok(), "", "it is removed");
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    drop(hung);
    // What could not be taken away is taken away by the next engine.
    eventually("its process has ended", || !fs::exists(format!("/proc/{pid}")).unwrap_or_default());
    world.crash_engine();
    world.start_engine();
    world.is_in_order();
    // Wherever it is: nobody but what its shim wrote down says that any more.
    eventually("its cgroup is gone", || cgroups(&format!("{parent}/{id}")).is_empty());
    cgroups(&parent).iter().for_each(|left| fs::remove_dir(left).expect("it is this test's, and empty"));
}

#[test]
fn a_source_of_a_mount_that_does_not_answer_holds_no_call_up() {
    let world = busybox();
    let hung = HungMount::at(&world.path().join("hung"));
    let below = world.path().join("hung/below");
    let volume = format!("{}:/below", world.path().join("hung").display());
    world.dhow(&["create", "--name", "top", "-v", &volume, "busybox", "sleep", "1000"]).exits(0);
    hung.die();
    // The folder itself need not be asked for anything.
    world.dhow(&["start", "top"]).exits(0);
    world.dhow(&["create", "--name", "box", "busybox"]).exits(0);
    let volume = format!("{}:/below", below.display());
    let creation = begin(&world, &[&["create", "--name", "below", "-v", &volume, "busybox"]]);
    end(&world, &[&["ps", "--all", "--size"], &["inspect", "top"], &["logs", "top"], &["exec", "top", "true"]]);
    end(&world, &[&["stop", "-t", "0", "top"], &["rm", "--force", "box"]]);
    end(&world, &[&["rm", "--force", "top"]]);
    drop(hung);
    all_end(creation);
}

/// As a health check does whose container works in a folder on a dead file server.
#[test]
fn an_exec_that_finds_no_way_to_its_program_holds_nothing_else_up() {
    let world = busybox();
    let hung = HungMount::at(&world.path().join("hung"));
    let volume = format!("{}:/hung", world.path().join("hung").display());
    let script = "while true; do echo alive; sleep 0.1; done";
    world.dhow(&["run", "-d", "--name", "box", "-v", &volume, "busybox", "sh", "-c", script]).exits(0);
    let execs =
        begin(&world, &[&["exec", "-w", "/hung/folder", "box", "true"], &["exec", "-e", "PATH=/hung", "box", "x"]]);
    eventually("it waits for its file server", || hung.has_questions());
    assert_eq!(world.dhow(&["exec", "box", "echo", "here"]).ok(), "here");
    let lines = || world.dhow(&["logs", "box"]).ok().lines().count();
    let before = lines();
    eventually("its output is read", || lines() > before + 5);
    // The kernel lets no first process go before all others of its namespace have gone.
    let killing = begin(&world, &[&["kill", "box"]]);
    drop(hung);
    all_end(killing);
    assert_eq!(world.dhow(&["wait", "box"]).ok(), "137");
    assert_eq!(world.inspect("box", "{{.State.Error}}"), "", "it did not end with its shim");
    all_end(execs);
    world.is_in_order();
}

/// Who a further process runs as is read in the container, whose own /etc may lie anywhere.
#[test]
fn a_container_whose_users_cannot_be_read_takes_no_threads_from_others() {
    let world = busybox();
    let hung = HungMount::at(&world.path().join("hung"));
    let volume = format!("{}:/hung", world.path().join("hung").display());
    let check = ["--health-cmd", "true", "--health-interval", "5ms", "--health-timeout", "5ms"];
    let flags = [&["run", "-d", "--name", "box", "-v", &volume], &check[..], &["busybox", "sleep", "1000"]].concat();
    world.dhow(&flags).exits(0);
    world.dhow(&["exec", "box", "ln", "-sf", "/hung/passwd", "/etc/passwd"]).exits(0);
    eventually("it waits for its file server", || hung.has_questions());
    // More than the engine has threads to wait with.
    let failures = || world.inspect("box", "{{.State.Health.FailingStreak}}").parse::<u32>().expect("a number");
    let before = failures();
    eventually("many probes have failed", || failures() > before + 600);
    let refused = world.dhow(&["exec", "box", "true"]);
    refused.exits(126);
    assert!(refused.stdout().contains("/etc/passwd"), "{refused:?}");
    let looking = fs::read_dir(format!("/proc/{}/task", world.engine_pid().expect("it runs"))).expect("it runs");
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    assert_eq!(looking.flatten().map(name).filter(|name| name == "user\n").count(), 1);
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    drop(hung);
    // What it says now is the file system's own word.
    eventually("its users are asked for again", || !world.dhow(&["exec", "box", "true"]).stdout().contains("answer"));
}

#[test]
fn a_stopped_shim_holds_no_call_up() {
    let world = busybox();
    let names = ["stop", "kill", "restart", "pause", "rm"];
    for name in names {
        world.dhow(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]).exits(0);
    }
    world.shims().into_iter().for_each(|pid| signal(pid, Signal::STOP));
    let looking: [&[&str]; 4] = [&["ps", "--all"], &["inspect", "stop"], &["logs", "kill"], &["top", "pause"]];
    let acting: [&[&str]; 5] = [
        &["stop", "-t", "0", "stop"],
        &["kill", "kill"],
        &["restart", "-t", "0", "restart"],
        &["pause", "pause"],
        &["rm", "--force", "rm"],
    ];
    all_end([begin(&world, &acting), begin(&world, &looking)].into_iter().flatten().collect());
    let state = |name: &str| world.inspect(name, "{{.State.Status}}");
    assert_eq!([state("stop"), state("kill"), state("restart")], ["exited", "exited", "running"]);
    end(&world, &[&["rm", "--force", "pause"]]);
    world.is_in_order();
}

/// Who was told that nothing comes of an exec relies on that, also when the shim goes on later.
#[test]
fn an_exec_that_was_given_up_does_not_run_later() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let shim = world.shim_of("box").as_raw_nonzero().get();
    signal(shim, Signal::STOP);
    let given_up = world.dhow(&["exec", "box", "touch", "/late"]);
    assert!(given_up.stdout().contains("does not answer"), "{given_up:?}");
    signal(shim, Signal::CONT);
    // The shim does one thing after the other.
    world.dhow(&["exec", "box", "ls", "/late"]).exits(1);
}

/// Somebody writes into a container that does not run, slowly. That is no reason to give its start up.
#[test]
fn a_start_waits_for_a_copy_however_long_that_takes() {
    let world = busybox();
    world.dhow(&["create", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let folder = world.data_root().join("containers").join(world.inspect("box", "{{.Id}}"));
    let mut copy = world.command(&["cp", "-", "box:/"]).stdin(Stdio::piped()).spawn().expect("starts");
    let mut input = copy.stdin.take().expect("piped");
    let archive = busybox_tar();
    input.write_all(&archive[..archive.len() / 2]).expect("written");
    eventually("it writes", || fs::read_dir(folder.join("upper")).is_ok_and(|mut files| files.next().is_some()));
    let start = begin(&world, &[&["start", "box"]]);
    // Longer than anything else of a start may take.
    thread::sleep(Duration::from_secs(62));
    input.write_all(&archive[archive.len() / 2..]).expect("written");
    drop(input);
    assert!(copy.wait().expect("our child").success());
    all_end(start);
    assert_eq!(world.inspect("box", "{{.State.Status}} {{.State.Error}}"), "running ");
    world.is_in_order();
}

/// A runtime that never comes back, as one that waits for a dead disk.
#[test]
fn a_start_that_does_not_end_holds_no_call_up() {
    let mut world = busybox();
    world.stop_engine();
    let (runtime, gate) = (world.path().join("runtime"), world.path().join("gate"));
    fs::write(&gate, "").expect("written");
    let script = format!("#!/bin/sh\nwhile [ -e {} ]; do sleep 0.1; done\n", gate.display());
    fs::write(&runtime, script).expect("written");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).expect("executable");
    let table = format!("[runtimes.stuck]\npath = \"{}\"\n", runtime.display());
    fs::write(world.path().join("daemon.toml"), table).expect("written");
    world.start_engine();
    for name in ["stop", "kill", "rm"] {
        world.dhow(&["create", "--name", name, "--runtime", "stuck", "busybox"]).exits(0);
    }
    let starts = begin(&world, &[&["start", "stop"], &["start", "kill"], &["start", "rm"]]);
    eventually("the shims are at it", || world.shims().len() == 3);
    end(&world, &[&["stop", "stop"], &["kill", "kill"], &["rm", "--force", "rm"], &["ps", "--all"], &["logs", "stop"]]);
    all_end(starts);
    end(&world, &[&["rm", "--force", "stop", "kill"]]);
    fs::remove_file(gate).expect("it was there");
    world.is_in_order();
}

/// A volume whose mount does not come back: the start is given up, and what it would have taken later is given back.
#[test]
fn a_start_that_waits_for_a_volume_holds_no_call_up() {
    let world = busybox();
    let hung = HungMount::at(&world.path().join("hung"));
    let device = format!("device={}", world.path().join("hung/below").display());
    world.dhow(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "far"]).exits(0);
    for name in ["stop", "rm"] {
        world.dhow(&["create", "--name", name, "-v", "far:/far:nocopy", "busybox"]).exits(0);
    }
    let starts = begin(&world, &[&["start", "stop"], &["start", "rm"]]);
    eventually("they wait for the file server", || hung.has_questions());
    end(&world, &[&["stop", "stop"], &["rm", "--force", "rm"], &["ps", "--all"], &["inspect", "stop"]]);
    all_end(starts);
    assert_eq!(world.dhow(&["ps", "--all", "--format", "{{.Names}} {{.Status}}"]).ok(), "stop Created");
    drop(hung);
    world.dhow(&["rm", "stop"]).exits(0);
    world.dhow(&["volume", "rm", "far"]).exits(0);
    world.is_in_order();
}

/// Shims that were stopped before the engine began: that they do not answer is no reason to end what they have under their
/// hands. A person may, and the next engine tries again.
#[test]
fn a_stopped_shim_holds_no_engine_up_and_keeps_its_container() {
    let mut world = busybox();
    for name in ["kept", "stop", "rm", "killed"] {
        world.dhow(&["run", "-d", "--name", name, "busybox", "sleep", "1000"]).exits(0);
    }
    let (pid, shims) = (world.inspect("kept", "{{.State.Pid}}"), world.shims());
    let killed = world.shim_of("killed").as_raw_nonzero().get();
    world.crash_engine();
    shims.iter().for_each(|shim| signal(*shim, Signal::STOP));
    world.start_engine();
    let state = world.inspect("kept", "{{.State.Status}} {{.State.Error}}");
    assert!(state.starts_with("running the container runs on, but the engine cannot reach its shim: "), "{state}");
    let exec = world.dhow(&["exec", "kept", "true"]);
    assert!(exec.code() == 126 && exec.stdout().contains("cannot be reached by this engine"), "{exec:?}");
    world.dhow(&["kill", "-s", "HUP", "kept"]).exits(1).says("cannot be reached by this engine");
    world.dhow(&["stop", "stop"]).exits(0);
    world.dhow(&["start", "stop"]).exits(0);
    world.dhow(&["rm", "--force", "rm"]).exits(0);
    signal(killed, Signal::KILL);
    assert_eq!(world.dhow(&["wait", "killed"]).ok(), "137");
    world.is_in_order();
    world.crash_engine();
    shims.iter().filter(|shim| world.shims().contains(shim)).for_each(|shim| signal(*shim, Signal::CONT));
    world.start_engine();
    assert_eq!(world.inspect("kept", "{{.State.Status}} {{.State.Pid}} {{.State.Error}}"), format!("running {pid} "));
    world.dhow(&["exec", "kept", "true"]).exits(0);
    world.is_in_order();
}

/// containerd#13849: process 1 is killed for lack of memory while others of its cgroup live on, or are dead and not buried,
/// and its shim never came to an end.
#[test]
fn process_one_is_killed_for_lack_of_memory_and_its_children_end_too() {
    let world = busybox();
    let dead = "i=0; while [ $i -lt 30 ]; do true & i=$((i+1)); done";
    let script = format!("{dead}; sleep 1000 & sleep 1000 & echo made; read line; exec tail /dev/zero");
    for mode in [&["--pid", "host"][..], &[]] {
        let flags =
            ["run", "-d", "-i", "--name", "box", "--memory", "16m", "--memory-swap", "16m", "--oom-score-adj", "1000"];
        world.dhow(&[&flags[..], mode, &["busybox", "sh", "-c", &script]].concat()).exits(0);
        eventually("its children are there", || world.dhow(&["logs", "box"]).ok() == "made");
        let waiting = begin(&world, &[&["wait", "box"], &["exec", "box", "sleep", "1000"]]);
        finish_with_input(&mut world.command(&["attach", "box"]), b"go\n".to_vec());
        let calls: [&[&str]; 5] =
            [&["inspect", "box"], &["logs", "box"], &["top", "box"], &["kill", "box"], &["stop", "-t", "0", "box"]];
        all_end([waiting, begin(&world, &calls)].into_iter().flatten().collect());
        eventually("it has ended", || world.inspect("box", "{{.State.Status}}") == "exited");
        assert_eq!(world.inspect("box", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
        world.is_in_order();
        end(&world, &[&["rm", "box"]]);
        world.is_in_order();
    }
}

#[test]
fn a_cgroup_full_of_zombies_ends() {
    let world = busybox();
    let script = "i=0; while [ $i -lt 100 ]; do true & i=$((i+1)); done; echo made; exec sleep 1000";
    for mode in [&["--pid", "host"][..], &[]] {
        let run = [&["run", "-d", "--name", "box"][..], mode, &["busybox", "sh", "-c", script]].concat();
        world.dhow(&run).exits(0);
        eventually("its children have ended", || world.dhow(&["logs", "box"]).ok() == "made");
        end(&world, &[&["top", "box"], &["exec", "box", "true"]]);
        end(&world, &[&["stop", "-t", "0", "box"]]);
        end(&world, &[&["rm", "box"]]);
        world.is_in_order();
    }
}

/// Processes that beget others faster than they can be listed.
#[test]
fn a_container_that_forks_without_end_ends() {
    let world = busybox();
    let script = "while true; do (while true; do true & done) & true & done; exit 0";
    for mode in [&["--pid", "host"][..], &[]] {
        let flags = ["run", "-d", "--name", "box", "--pids-limit", "60", "--cpus", "0.3"];
        world.dhow(&[&flags[..], mode, &["busybox", "sh", "-c", script]].concat()).exits(0);
        end(&world, &[&["ps", "--all"], &["inspect", "box"]]);
        end(&world, &[&["kill", "box"]]);
        end(&world, &[&["rm", "--force", "box"]]);
        world.is_in_order();
    }
}

/// Who pauses a container while the engine has it frozen for a copy means longer than that.
#[test]
fn a_container_that_is_paused_while_something_is_copied_stays_paused() {
    let world = World::with_flags(crate::DHOW, &["--plugin-deadline", "10"]);
    world.import_busybox("busybox");
    let hung = HungMount::at(&world.path().join("hung"));
    let device = format!("device={}", world.path().join("hung").display());
    world.dhow(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "stuck"]).exits(0);
    for name in ["paused", "runs", "both"] {
        world.dhow(&["run", "-d", "--name", name, "-v", "stuck:/x:nocopy", "busybox", "sleep", "1000"]).exits(0);
    }
    let state = |name: &str| world.inspect(name, "{{.State.Status}}");
    world.dhow(&["pause", "both"]).exits(0);
    let snapshot = begin(&world, &[&["volume", "snapshot", "stuck"]]);
    eventually("all are frozen for it", || ["paused", "runs"].iter().all(|name| state(name) == "paused"));
    world.dhow(&["pause", "paused"]).exits(0);
    world.dhow(&["pause", "paused"]).exits(1).says("already paused");
    // It goes on when the copy does not need it any more, and that is waited for.
    world.dhow(&["unpause", "runs"]).exits(0);
    assert_eq!(state("runs"), "running");
    all_end(snapshot);
    assert_eq!([state("paused"), state("both")], ["paused", "paused"]);
    for name in ["paused", "both"] {
        world.dhow(&["unpause", name]).exits(0);
        assert_eq!(state(name), "running");
    }
    world.dhow(&["rm", "-f", "paused", "runs", "both"]).exits(0);
    drop(hung);
    eventually("nobody uses it any more", || world.dhow(&["volume", "rm", "stuck"]).code() == 0);
    world.is_in_order();
}

/// A shim that is killed takes its container along, whoever of it lives.
#[test]
fn a_killed_shim_leaves_no_process() {
    let world = busybox();
    for flags in [&["--pid", "host"][..], &["--init"], &["-t"], &["--restart", "always"]] {
        let script = "sleep 1000 & exec sleep 1000";
        let run = [&["run", "-d", "--name", "box"][..], flags, &["busybox", "sh", "-c", script]].concat();
        world.dhow(&run).exits(0);
        let (first, killed) = (world.inspect("box", "{{.State.Pid}}"), world.shim_of("box").as_raw_nonzero().get());
        signal(killed, Signal::KILL);
        eventually("its process has ended", || !fs::exists(format!("/proc/{first}")).unwrap_or_default());
        end(&world, &[&["logs", "box"], &["ps", "--all"], &["rm", "--force", "box"]]);
        world.is_in_order();
    }
}

/// containerd#13849: a create waits for a volume whose file server is dead.
#[test]
fn a_volume_that_does_not_answer_holds_no_call_up_and_no_other_volume() {
    let world = World::with_flags(crate::DHOW, &["--plugin-deadline", "2"]);
    world.import_busybox("busybox");
    let hung = HungMount::at(&world.path().join("hung"));
    let device = format!("device={}", world.path().join("hung").display());
    world.dhow(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "stuck"]).exits(0);
    world.dhow(&["run", "-d", "--name", "user", "-v", "stuck:/x:nocopy", "busybox", "sleep", "1000"]).exits(0);
    let creation = begin(&world, &[&["create", "--name", "new", "-v", "stuck:/etc", "busybox"]]);
    eventually("it waits for the file server", || hung.has_questions());
    end(&world, &[&["volume", "ls"], &["volume", "inspect", "stuck"], &["volume", "rm", "-f", "stuck"], &["ps", "-a"]]);
    world.dhow(&["run", "--rm", "-v", "other:/etc", "busybox", "true"]).exits(0);
    all_end(creation);
    // Its name is free, and who comes next hears why it is not made.
    world.dhow(&["create", "--name", "new", "busybox"]).exits(0);
    let busy = world.dhow(&["create", "-v", "stuck:/etc", "busybox"]);
    busy.exits(1).says("volume stuck is busy");
    // Nobody stays frozen for a copy that does not get on.
    for verb in ["snapshot", "backup"] {
        world.dhow(&["volume", verb, "stuck"]).exits(1).says("volume stuck is busy");
        assert_eq!(world.inspect("user", "{{.State.Status}}"), "running");
    }
    assert_eq!(world.dhow(&["ps", "-a", "--format", "{{.Names}}"]).ok(), "new\nuser");
    world.dhow(&["rm", "-f", "user", "new"]).exits(0);
    drop(hung);
    let volumes = world.data_root().join("volumes");
    let half = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    eventually("nothing half-made is left", || !fs::read_dir(&volumes).expect("it is there").flatten().any(half));
    eventually("nobody uses it any more", || world.dhow(&["volume", "rm", "stuck"]).code() == 0);
    world.is_in_order();
}
