//! A container's life: create, start, stop, restart, kill, wait, remove, list.

use dhow_testkit::{World, eventually};

use crate::{DHOW, busybox};

/// The first thing a person does: the image comes out of the binary, without network, and the text explains itself.
#[test]
fn hello_world_runs_from_the_embedded_image() {
    let world = World::new(DHOW);
    let hello = world.dhow(&["run", "--rm", "hello-world"]);
    assert!(hello.ok().contains("Hello from dhow!"));
    let again = world.dhow(&["run", "--rm", "hello-world"]);
    again.exits(0);
    assert_eq!(again.stderr(), "", "the image is there the second time");
    assert_eq!(world.dhow(&["ps", "--all", "--quiet"]).ok(), "");
}

#[test]
fn the_exit_code_is_the_programs() {
    let world = busybox();
    for code in [0, 1, 42, 255] {
        world.dhow(&["run", "--rm", "busybox", "sh", "-c", &format!("exit {code}")]).exits(code);
    }
    world.dhow(&["run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -KILL $$'; exit $?"]).exits(137);
}

#[test]
fn what_cannot_be_started_gives_dockers_exit_codes() {
    let world = busybox();
    world.dhow(&["run", "--rm", "busybox", "/no/such/program"]).exits(127).says("no such file or directory");
    world.dhow(&["run", "--rm", "busybox", "no-such-program"]).exits(127).says("executable file not found in $PATH");
    world.dhow(&["run", "--rm", "busybox", "/etc/passwd"]).exits(126).says("permission denied");
    world.dhow(&["run", "--no-such-flag", "busybox"]).exits(125).says("unknown flag: --no-such-flag");
    world.dhow(&["run", "--rm", "no-such-image-here"]).exits(125);
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "", "a container that never started is removed with --rm");
}

#[test]
fn created_started_stopped_restarted_killed_removed() {
    let world = busybox();
    let id = world.dhow(&["create", "--name", "box", "busybox", "sleep", "1000"]).ok();
    assert_eq!(id.len(), 64);
    assert_eq!(world.inspect("box", "{{.State.Status}}"), "created");
    assert_eq!(world.dhow(&["start", "box"]).ok(), "box");
    assert_eq!(world.inspect("box", "{{.State.Status}} {{.State.Running}}"), "running true");
    let pid = world.inspect("box", "{{.State.Pid}}");
    world.dhow(&["restart", "--timeout", "0", "box"]).exits(0);
    assert_ne!(world.inspect("box", "{{.State.Pid}}"), pid);
    assert_eq!(world.dhow(&["stop", "--timeout", "0", "box"]).ok(), "box");
    assert_eq!(world.inspect("box", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    world.dhow(&["start", "box"]).exits(0);
    world.dhow(&["kill", "--signal", "KILL", "box"]).exits(0);
    assert_eq!(world.dhow(&["wait", "box"]).ok(), "137");
    world.dhow(&["rm", "box"]).exits(0);
    world.dhow(&["inspect", "box"]).exits(1).says("No such object: box");
}

/// The kernel writes a file system out before an overlay on it goes, unless the overlay is `volatile`.
#[test]
fn only_what_removes_itself_does_not_wait_for_the_disk() {
    let world = busybox();
    for (flag, volatile) in [("--rm", true), ("--init", false)] {
        world.dhow(&["run", "-d", flag, "--name", "box", "busybox", "sleep", "1000"]).exits(0);
        let mounts = world.dhow(&["exec", "box", "grep", " / overlay ", "/proc/mounts"]).ok();
        assert_eq!(mounts.contains("volatile"), volatile, "{mounts}");
        world.dhow(&["rm", "-f", "box"]).exits(0);
    }
}

#[test]
fn a_restart_is_no_end_for_what_removes_itself() {
    let world = busybox();
    world
        .dhow(&["run", "-d", "--rm", "--name", "box", "busybox", "sh", "-c", "echo x >> /kept; exec sleep 1000"])
        .exits(0);
    eventually("it writes", || world.dhow(&["exec", "box", "cat", "/kept"]).stdout() == "x\n");
    assert_eq!(world.dhow(&["restart", "-t", "0", "box"]).ok(), "box");
    eventually("it writes again", || world.dhow(&["exec", "box", "cat", "/kept"]).stdout() == "x\nx\n");
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    eventually("it is removed", || world.dhow(&["ps", "-aq"]).ok().is_empty());
}

#[test]
fn a_paused_container_stands_still() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sh", "-c", "while :; do :; done"]).exits(0);
    let pid = world.inspect("box", "{{.State.Pid}}");
    // Ticks of processor time in user mode (proc_pid_stat(5)).
    let worked = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        stat.split(' ').nth(13).and_then(|ticks| ticks.parse().ok()).expect("a number")
    };
    eventually("it works", || worked() > 0);
    assert_eq!(world.dhow(&["pause", "box"]).ok(), "box");
    assert_eq!(world.inspect("box", "{{.State.Status}} {{.State.Paused}}"), "paused true");
    let before = worked();
    world.dhow(&["run", "--rm", "busybox", "sleep", "0.5"]).exits(0);
    assert_eq!(worked(), before);
    assert_eq!(world.dhow(&["unpause", "box"]).ok(), "box");
    assert_eq!(world.inspect("box", "{{.State.Status}}"), "running");
    eventually("it works again", || worked() > before);
}

#[test]
fn stop_sends_the_stop_signal_first() {
    let world = busybox();
    let script = "trap 'echo ended politely; exit 7' USR1; echo ready; while :; do sleep 0.05; done";
    world.dhow(&["run", "-d", "--name", "polite", "--stop-signal", "USR1", "busybox", "sh", "-c", script]).exits(0);
    eventually("the trap is set", || world.dhow(&["logs", "polite"]).ok().contains("ready"));
    world.dhow(&["stop", "polite"]).exits(0);
    assert_eq!(world.inspect("polite", "{{.State.ExitCode}}"), "7");
    assert!(world.dhow(&["logs", "polite"]).ok().contains("ended politely"));
}

#[test]
fn files_stay_over_stop_and_start_and_go_with_the_container() {
    let world = busybox();
    world.dhow(&["run", "--name", "note", "busybox", "sh", "-c", "cat /note 2>/dev/null; echo kept > /note"]).exits(0);
    assert_eq!(world.dhow(&["start", "--attach", "note"]).ok(), "kept");
    world.dhow(&["rm", "note"]).exits(0);
    assert_eq!(world.dhow(&["run", "--rm", "busybox", "ls", "/note"]).code(), 1);
}

#[test]
fn default_names_are_adjective_and_surname() {
    let world = busybox();
    let id = world.dhow(&["create", "busybox"]).ok();
    let name = world.inspect(&id, "{{.Name}}");
    let (adjective, surname) = name.trim_start_matches('/').split_once('_').expect("two words");
    assert!(!adjective.is_empty() && !surname.is_empty());
    assert_eq!(world.dhow(&["ps", "--all", "--format", "{{.Names}}"]).ok(), name.trim_start_matches('/'));
}

#[test]
fn containers_are_found_by_name_id_and_unambiguous_prefix() {
    let world = busybox();
    let ids: Vec<String> = (0..17).map(|_| world.dhow(&["create", "busybox"]).ok()).collect();
    assert_eq!(world.inspect(&ids[0], "{{.Id}}"), ids[0]);
    assert_eq!(world.inspect(&ids[0][..12], "{{.Id}}"), ids[0]);
    // 17 identifiers in hexadecimal: two of them begin with the same digit.
    let first = |id: &String| id[..1].to_owned();
    let doubled = ids.iter().map(first).find(|c| ids.iter().filter(|id| first(id) == *c).count() > 1);
    let prefix = doubled.expect("pigeonhole");
    world.dhow(&["start", &prefix]).exits(1).says(&format!("multiple IDs found with provided prefix: {prefix}"));
}

#[test]
fn ps_lists_filters_and_formats() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "up", "--label", "tier=web", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["run", "--name", "down", "--label", "tier=db", "busybox", "sh", "-c", "exit 3"]).exits(3);
    let names = |args: &[&str]| world.dhow(&[&["ps", "--format", "{{.Names}}"], args].concat()).ok();
    assert_eq!(names(&[]), "up");
    assert_eq!(names(&["--all"]), "down\nup", "newest first");
    assert_eq!(names(&["--latest"]), "down");
    assert_eq!(names(&["--last", "1"]), "down");
    assert_eq!(names(&["-a", "--filter", "status=exited"]), "down");
    assert_eq!(names(&["-a", "--filter", "exited=3"]), "down");
    assert_eq!(names(&["-a", "--filter", "label=tier=web"]), "up");
    assert_eq!(names(&["-a", "--filter", "label=tier"]), "down\nup");
    assert_eq!(names(&["-a", "--filter", "name=ow"]), "down");
    assert_eq!(names(&["-a", "--filter", "ancestor=busybox"]), "down\nup");
    assert_eq!(names(&["-a", "--filter", "before=down"]), "up");
    assert_eq!(names(&["-a", "--filter", "since=up"]), "down");
    let table = world.dhow(&["ps", "-a"]).ok();
    assert!(table.starts_with("CONTAINER ID   IMAGE     COMMAND"), "{table}");
    assert!(table.contains("Exited (3)"), "{table}");
    let sized = world.dhow(&["ps", "-a", "-s", "--format", "{{.Size}}"]).ok();
    assert!(sized.contains("(virtual "), "{sized}");
    let id = world.dhow(&["ps", "-q"]).ok();
    assert_eq!(id.len(), 12);
    assert_eq!(world.dhow(&["ps", "-q", "--no-trunc"]).ok().len(), 64);
    world.dhow(&["ps", "--filter", "nonsense=1"]).exits(1).says("invalid filter");
}

#[test]
fn cidfile_holds_the_id_and_is_never_overwritten() {
    let world = busybox();
    let file = world.path().join("cid");
    let flag = format!("--cidfile={}", file.display());
    world.dhow(&["run", "--name", "filed", &flag, "busybox", "true"]).exits(0);
    assert_eq!(std::fs::read_to_string(&file).expect("written"), world.inspect("filed", "{{.Id}}"));
    world.dhow(&["run", &flag, "busybox", "true"]).exits(125).says("container ID file found");
}

#[test]
fn wait_answers_for_containers_that_end_later_and_that_ended_before() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "later", "-i", "busybox", "sh", "-c", "read x; exit 5"]).exits(0);
    let waiting = world.command(&["wait", "later"]).stdout(std::process::Stdio::piped()).spawn().expect("wait starts");
    world.dhow(&["stop", "-t", "0", "later"]).exits(0);
    let output = waiting.wait_with_output().expect("wait ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "137");
    assert_eq!(world.dhow(&["wait", "later"]).ok(), "137");
}

/// It is let go on so that it can take notice; from then on it runs, however long it takes to end.
#[test]
fn a_paused_container_that_is_stopped_is_paused_no_more() {
    let world = busybox();
    let stubborn = "trap '' TERM; while true; do sleep 0.1; done";
    world.dhow(&["run", "-d", "--name", "box", "--network", "none", "busybox", "sh", "-c", stubborn]).exits(0);
    world.dhow(&["pause", "box"]).exits(0);
    let mut stop = world.command(&["stop", "-t", "1000", "box"]).spawn().expect("starts");
    eventually("it runs", || world.inspect("box", "{{.State.Status}}") == "running");
    let told = world.dhow(&["events", "--since", "10m", "--until", "0s", "--format", "{{.Action}}"]).ok();
    assert!(told.ends_with("unpause"), "{told}");
    world.dhow(&["pause", "box"]).exits(0);
    world.dhow(&["unpause", "box"]).exits(0);
    world.dhow(&["kill", "box"]).exits(0);
    assert!(stop.wait().expect("our child").success());
}

/// Images of systemd are stopped with `SIGRTMIN+3`.
#[test]
fn real_time_signals_arrive() {
    let world = busybox();
    let script = "trap 'echo three; exit 3' 37; trap 'echo four' 38; echo ready; while true; do sleep 0.05; done";
    for (name, init) in [("plain", &[][..]), ("init", &["--init"])] {
        let flags = ["run", "-d", "--name", name, "--stop-signal", "SIGRTMIN+3", "--stop-timeout", "1000"];
        world.dhow(&[&flags[..], init, &["busybox", "sh", "-c", script]].concat()).exits(0);
        eventually("it is ready", || world.dhow(&["logs", name]).ok() == "ready");
        world.dhow(&["kill", "-s", "RTMIN+4", name]).exits(0);
        eventually("it was told", || world.dhow(&["logs", name]).ok() == "ready\nfour");
        world.dhow(&["stop", name]).exits(0);
        assert_eq!(world.inspect(name, "{{.State.ExitCode}}"), "3");
        assert_eq!(world.dhow(&["logs", name]).ok(), "ready\nfour\nthree");
    }
}
