//! Containers outlive their engine: restart, crash, and what the next engine finds.

use std::io::{Read, Write};
use std::process::Stdio;

use dhow_testkit::{World, eventually, eventually_none};
use rustix::process::{Pid, Signal, kill_process};

use crate::{DHOW, busybox};

#[test]
fn containers_and_their_logs_survive_a_stop_and_a_crash() {
    let mut world = busybox();
    let script = "i=0; while [ $i -lt 400 ]; do echo $i; i=$((i+1)); sleep 0.01; done; sleep 1000";
    world.dhow(&["run", "-d", "--name", "writer", "busybox", "sh", "-c", script]).exits(0);
    let pid = world.inspect("writer", "{{.State.Pid}}");
    world.crash_engine();
    world.start_engine();
    world.stop_engine();
    world.start_engine();
    assert_eq!(world.inspect("writer", "{{.State.Running}} {{.State.Pid}}"), format!("true {pid}"));
    eventually("everything is written", || world.dhow(&["logs", "--tail", "1", "writer"]).ok() == "399");
    let expected: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    assert_eq!(world.dhow(&["logs", "writer"]).ok(), expected.join("\n"));
    assert_eq!(world.dhow(&["exec", "writer", "echo", "alive"]).ok(), "alive");
    world.dhow(&["stop", "-t", "0", "writer"]).exits(0);
    assert_eq!(world.inspect("writer", "{{.State.ExitCode}}"), "137");
}

#[test]
fn the_cgroup_of_all_containers_goes_with_the_engine_when_it_is_empty() {
    let mut world = busybox();
    let name = world.cgroup_parent().trim_matches('/').to_owned();
    let trees = || std::fs::read_dir("/sys/fs/cgroup").expect("there are cgroups").flatten();
    let is_there = || {
        let unified = std::path::Path::new("/sys/fs/cgroup").join(&name).is_dir();
        unified || trees().any(|tree| tree.path().join(&name).is_dir())
    };
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    world.stop_engine();
    assert!(is_there(), "it is used");
    world.start_engine();
    world.dhow(&["rm", "-f", "box"]).exits(0);
    assert!(is_there());
    world.stop_engine();
    assert!(!is_there());
    world.start_engine();
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
}

#[test]
fn an_exit_while_the_engine_is_away_is_known_afterwards() {
    let mut world = busybox();
    let gate = world.path().join("gate");
    std::fs::create_dir(&gate).expect("made");
    let volume = format!("{}:/gate", gate.display());
    let script = "while [ ! -e /gate/open ]; do sleep 0.02; done; echo last words; exit 23";
    world.dhow(&["run", "-d", "--name", "box", "-v", &volume, "busybox", "sh", "-c", script]).exits(0);
    let exit = world.data_root().join("containers").join(world.inspect("box", "{{.Id}}")).join("exit.json");
    world.crash_engine();
    std::fs::write(gate.join("open"), "").expect("written");
    eventually("the shim wrote the exit status", || exit.exists());
    world.start_engine();
    assert_eq!(world.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 23");
    assert_eq!(world.dhow(&["logs", "box"]).ok(), "last words");
    assert_eq!(world.dhow(&["wait", "box"]).ok(), "23");
}

/// containerd#6771: process 1 is killed while there is no engine; the helper stayed, and the state was wrong.
#[test]
fn containers_that_are_killed_while_the_engine_is_away_leave_no_shim() {
    let mut world = busybox();
    for (name, flag) in [("plain", "--init"), ("terminal", "-t"), ("gone", "--rm"), ("helpers", "--pid=host")] {
        let script = "sleep 1000 & exec sleep 1000";
        world.dhow(&["run", "-d", flag, "--name", name, "busybox", "sh", "-c", script]).exits(0);
    }
    let names = ["plain", "terminal", "gone", "helpers"];
    let pids = names.map(|name| world.inspect(name, "{{.State.Pid}}").parse().ok().and_then(Pid::from_raw));
    world.stop_engine();
    for pid in pids {
        kill_process(pid.expect("a pid"), Signal::KILL).expect("it is of this world");
    }
    eventually("no shim stays without an engine", || world.shims().is_empty());
    world.start_engine();
    for name in ["plain", "terminal", "helpers"] {
        assert_eq!(
            world.inspect(name, "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}"),
            "exited 137 ",
            "{name}"
        );
        assert_eq!(world.dhow(&["wait", name]).ok(), "137");
    }
    eventually("it is removed", || world.dhow(&["inspect", "gone"]).code() == 1);
    world.is_in_order();
    world.dhow(&["start", "plain"]).exits(0);
}

#[test]
fn an_attached_client_keeps_its_stream_over_a_crash() {
    let mut world = busybox();
    world.dhow(&["create", "-i", "--name", "cat", "busybox", "cat"]).exits(0);
    world.dhow(&["start", "cat"]).exits(0);
    let mut client = world
        .command(&["attach", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut input = client.stdin.take().expect("piped");
    let mut output = client.stdout.take().expect("piped");
    let mut echoed = |word: &[u8]| {
        input.write_all(word).expect("written");
        let mut back = vec![0; word.len()];
        output.read_exact(&mut back).expect("echoed");
        assert_eq!(back, word);
    };
    echoed(b"before\n");
    world.crash_engine();
    echoed(b"while it is away\n");
    world.start_engine();
    echoed(b"after\n");
    drop(input);
    client.wait().expect("ends");
    assert_eq!(world.dhow(&["wait", "cat"]).ok(), "0");
}

/// Who waits for a container, or reads its log, asks the next engine when one is killed: nothing is lost, nothing comes
/// twice, and the exit codes are those of the containers.
#[test]
fn clients_go_on_with_the_next_engine() {
    let mut world = busybox();
    let gate = world.path().join("gate");
    std::fs::create_dir(&gate).expect("made");
    let volume = format!("{}:/gate", gate.display());
    let script = |code: u8| {
        format!("echo one; echo two; while [ ! -e /gate/open ]; do sleep 0.02; done; echo three; exit {code}")
    };
    let started = |world: &World, args: &[&str]| {
        world.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().expect("starts")
    };
    let run = started(&world, &["run", "--name", "box", "-v", &volume, "busybox", "sh", "-c", &script(23)]);
    let gone = started(&world, &["run", "--rm", "--name", "gone", "-v", &volume, "busybox", "sh", "-c", &script(24)]);
    for name in ["box", "gone"] {
        eventually("it has begun", || world.dhow(&["logs", name]).stdout() == "one\ntwo\n");
    }
    let exit = world.data_root().join("containers").join(world.inspect("gone", "{{.Id}}")).join("exit.json");
    let mut logs = started(&world, &["logs", "-f", "box"]);
    let mut stamped = started(&world, &["logs", "-f", "-t", "--tail", "1", "box"]);
    // Both have got what there was.
    let mut begun = [0; 8];
    logs.stdout.as_mut().expect("piped").read_exact(&mut begun).expect("two lines");
    let mut line = [0; 35];
    stamped.stdout.as_mut().expect("piped").read_exact(&mut line).expect("a line with its time");
    world.crash_engine();
    std::fs::write(gate.join("open"), "").expect("written");
    eventually("the shim wrote the exit status", || exit.exists());
    world.start_engine();
    let ended = |child: std::process::Child| {
        let output = child.wait_with_output().expect("ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let all = "one\ntwo\nthree\n".to_owned();
    assert_eq!(ended(run), (Some(23), all.clone(), String::new()));
    assert_eq!(ended(gone), (Some(24), all, String::new()));
    assert_eq!(ended(logs), (Some(0), "three\n".to_owned(), String::new()));
    let (code, lines, _) = ended(stamped);
    let words: Vec<&str> = lines.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!((code, words), (Some(0), vec!["three"]), "{lines}");
    assert_eq!(world.dhow(&["ps", "-aq", "--filter", "name=gone"]).ok(), "");
}

/// Somebody restarts a container, and the engine dies before it has ended: it is started again all the same, whether it
/// ends before the next engine comes or after, and nothing is removed.
#[test]
fn a_restart_is_finished_by_the_next_engine() {
    let mut world = busybox();
    let gate = world.path().join("gate");
    std::fs::create_dir(&gate).expect("made");
    let volume = format!("{}:/gate", gate.display());
    let script = "trap 'touch /gate/asked-$0; while [ ! -e /gate/open-$0 ]; do sleep 0.02; done; exit 0' TERM; \
                  echo begun; touch /gate/begun-$0; while true; do sleep 0.05; done";
    let restarts: Vec<_> = ["before", "after"]
        .map(|name| {
            world
                .dhow(&["run", "-d", "--rm", "--name", name, "-v", &volume, "busybox", "sh", "-c", script, name])
                .exits(0);
            eventually("it has set its trap", || gate.join(format!("begun-{name}")).exists());
            let restart =
                world.command(&["restart", "-t", "1000", name]).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
            eventually("it has got its signal", || gate.join(format!("asked-{name}")).exists());
            restart.expect("starts")
        })
        .into();
    let exit = world.data_root().join("containers").join(world.inspect("before", "{{.Id}}")).join("exit.json");
    world.crash_engine();
    std::fs::write(gate.join("open-before"), "").expect("written");
    eventually("the shim wrote the exit status", || exit.exists());
    world.start_engine();
    std::fs::write(gate.join("open-after"), "").expect("written");
    for name in ["before", "after"] {
        eventually_none(&format!("{name} runs again"), || {
            let printed = world.dhow(&["logs", name]).ok();
            if printed == "begun\nbegun" { Vec::new() } else { vec![printed] }
        });
        assert_eq!(world.inspect(name, "{{.State.Status}}"), "running");
    }
    restarts.into_iter().for_each(|mut restart| drop(restart.wait()));
    // What somebody wanted once is done once.
    world.dhow(&["kill", "before"]).exits(0);
    world.dhow(&["stop", "-t", "0", "after"]).exits(0);
    eventually("they are removed", || world.dhow(&["ps", "-aq"]).ok().is_empty());
}

#[test]
fn names_images_and_stopped_containers_are_kept() {
    let mut world = busybox();
    world.dhow(&["run", "--name", "done", "-l", "k=v", "busybox", "sh", "-c", "echo kept; exit 4"]).exits(4);
    world.dhow(&["create", "--name", "fresh", "busybox"]).exits(0);
    let before = world.dhow(&["inspect", "done", "fresh"]).ok();
    world.crash_engine();
    world.start_engine();
    assert_eq!(world.dhow(&["inspect", "done", "fresh"]).ok(), before);
    assert_eq!(world.dhow(&["logs", "done"]).ok(), "kept");
    assert_eq!(world.dhow(&["images", "-q"]).ok().lines().count(), 1);
}

/// Killed at any moment of a busy life, the engine comes back with objects that can all be listed and removed.
#[test]
fn crashes_at_random_moments_leave_nothing_that_cannot_be_removed() {
    let mut world = busybox();
    for round in 0..6 {
        let mut children: Vec<_> = (0..6)
            .map(|n| {
                let name = format!("r{round}n{n}");
                let mut command = world.command(&["run", "--name", &name, "busybox", "sh", "-c", "sleep 0.02; exit 1"]);
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts")
            })
            .collect();
        // The moment is set by how far the work got, not by the clock.
        children.remove(0).wait().expect("ends");
        world.crash_engine();
        world.start_engine();
        // Those that wait for a container ask the new engine.
        children.into_iter().for_each(|mut child| drop(child.wait()));
        for id in world.dhow(&["ps", "-aq"]).ok().lines() {
            world.dhow(&["inspect", id]).exits(0);
            world.dhow(&["rm", "-f", id]).exits(0);
        }
        assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
    }
}

/// Its streams are with the shim, so it is the code that has to be found: with the engine that comes next.
#[test]
fn an_exec_that_ends_while_the_engine_is_away_has_its_code() {
    let mut world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let mut execs = Vec::new();
    for code in [7, 0] {
        let script = format!("echo ready; read line; echo $line; exit {code}");
        let mut child = world
            .command(&["exec", "-i", "box", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut ready = [0; 6];
        child.stdout.as_mut().expect("piped").read_exact(&mut ready).expect("it runs");
        execs.push((child, code));
    }
    world.crash_engine();
    // One ends without an engine, one with the next.
    execs[0].0.stdin.take().expect("piped").write_all(b"bye\n").expect("it reads");
    let mut said = [0; 4];
    execs[0].0.stdout.as_mut().expect("piped").read_exact(&mut said).expect("it writes");
    assert_eq!(&said, b"bye\n");
    world.start_engine();
    execs[1].0.stdin.take().expect("piped").write_all(b"bye\n").expect("it reads");
    for (mut child, code) in execs {
        assert_eq!(child.wait().expect("our child").code(), Some(code));
    }
}

#[test]
fn who_finds_a_root_taken_is_told_how_to_reach_its_engine() {
    let world = World::new(DHOW);
    let (data, other) = (world.data_root().display().to_string(), world.path().join("other").display().to_string());
    let second = ["daemon", "--data-root", &data, "--exec-root", &other, "--config-file", "/dev/null"];
    let told = format!("reach that engine with DOCKER_HOST={}", world.host());
    world.dhow(&second).exits(1).says("is in use by another engine").says(&told);
    let exec = world.exec_root().display().to_string();
    let third = ["daemon", "--data-root", &other, "--exec-root", &exec, "--pidfile", &format!("{other}/pid")];
    world.dhow(&[&third[..], &["--config-file", "/dev/null"]].concat()).exits(1).says("exec root").says(&told);
}
