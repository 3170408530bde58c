//! Further processes in a running container.

use std::io::Read;

use dhow_testkit::{Door, World, finish_with_input};

use crate::busybox;

fn running() -> World {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "-e", "FROM=run", "busybox", "sleep", "1000"]).exits(0);
    world
}

#[test]
fn exec_shares_the_container_and_reports_its_exit_code() {
    let world = running();
    assert_eq!(world.dhow(&["exec", "box", "hostname"]).ok(), world.inspect("box", "{{.Config.Hostname}}"));
    world.dhow(&["exec", "box", "sh", "-c", "echo data > /made"]).exits(0);
    assert_eq!(world.dhow(&["exec", "box", "cat", "/made"]).ok(), "data");
    world.dhow(&["exec", "box", "sh", "-c", "exit 19"]).exits(19);
    world.dhow(&["exec", "box", "sh", "-c", "kill -KILL $$"]).exits(137);
}

#[test]
fn exec_takes_environment_user_and_folder() {
    let world = running();
    let shown = world.dhow(&[
        "exec",
        "-e",
        "MORE=1",
        "-u",
        "alice",
        "-w",
        "/tmp",
        "box",
        "sh",
        "-c",
        "echo $FROM $MORE; id -un; pwd",
    ]);
    assert_eq!(shown.ok(), "run 1\nalice\n/tmp");
}

#[test]
fn exec_streams_are_clean_and_input_ends() {
    let world = running();
    let data: Vec<u8> = (0..500_000u32).map(|n| (n >> 3) as u8).collect();
    let output = finish_with_input(&mut world.command(&["exec", "-i", "box", "cat"]), data.clone());
    assert!(output.stdout_bytes() == data);
    let both = world.dhow(&["exec", "box", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((both.stdout().as_str(), both.stderr().as_str()), ("out\n", "err\n"));
}

#[test]
fn detached_exec_goes_on_alone() {
    let world = running();
    assert_eq!(world.dhow(&["exec", "-d", "box", "sh", "-c", "echo later > /later"]).ok(), "");
    dhow_testkit::eventually("the file is there", || {
        world.dhow(&["exec", "box", "cat", "/later"]).stdout() == "later\n"
    });
}

#[test]
fn what_cannot_be_executed_gives_dockers_exit_codes() {
    let world = running();
    // As with docker, the words come through the stream of the exec.
    let missing = world.dhow(&["exec", "box", "no-such-program"]);
    missing.exits(127);
    assert!(missing.stdout().contains("executable file not found in $PATH"), "{missing:?}");
    let not_executable = world.dhow(&["exec", "box", "/etc/passwd"]);
    not_executable.exits(126);
    assert!(not_executable.stdout().contains("permission denied"), "{not_executable:?}");
    world.dhow(&["exec", "nobody", "true"]).exits(1).says("No such container: nobody");
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    world.dhow(&["exec", "box", "true"]).exits(1).says("is not running");
}

/// Engines before Docker 28 told only that a program could not be started, and who speaks their API hears that.
#[test]
fn old_clients_hear_the_exit_code_of_old_engines() {
    let world = running();
    let exec = |version: &str, words: &[&str]| {
        let args = [&["exec", "box"], words].concat();
        dhow_testkit::finish(world.stock_command(&args).env("DOCKER_API_VERSION", version)).code()
    };
    assert_eq!(exec("1.47", &["no-such-program"]), 126);
    assert_eq!(exec("1.48", &["no-such-program"]), 127);
    assert_eq!(exec("1.47", &["sh", "-c", "exit 127"]), 127, "what ran says itself how it ended");
}

#[test]
fn privileged_exec_has_what_the_container_has_not() {
    let world = running();
    let caps =
        |flags: &[&str]| world.dhow(&[&["exec"], flags, &["box", "grep", "CapEff", "/proc/self/status"]].concat()).ok();
    assert_ne!(caps(&["--privileged"]), caps(&[]));
}

#[test]
fn many_at_once() {
    let world = running();
    let children: Vec<_> = (0..20)
        .map(|n| {
            let mut command = world.command(&["exec", "box", "echo", &n.to_string()]);
            (n, command.stdout(std::process::Stdio::piped()).spawn().expect("starts"))
        })
        .collect();
    for (n, child) in children {
        let output = child.wait_with_output().expect("ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), n.to_string());
    }
    let processes = world.dhow(&["exec", "box", "sh", "-c", "ls -d /proc/[0-9]* | wc -l"]).ok();
    assert!(processes.parse::<u32>().expect("a number") <= 4, "{processes} processes are left");
}

/// docker-py reads the answer's head through a buffer and the stream past that buffer: what comes with the head is lost.
#[test]
fn the_stream_begins_when_the_answer_was_read() {
    let world = running();
    let open = || Door::open(&world.socket()).expect("the engine runs");
    for upgrade in ["", "Connection: Upgrade\r\nUpgrade: tcp\r\n"].repeat(20) {
        let made = open().ask("POST", "/containers/box/exec", r#"{"AttachStdout":true,"Cmd":["echo","hello"]}"#);
        let made = made.expect("answered").body;
        let id = made.split('"').nth(3).expect("an id");
        let mut door = open();
        let head = format!("POST /exec/{id}/start HTTP/1.1\r\nHost: d\r\n{upgrade}Content-Type: application/json\r\n");
        door.send(head + "Content-Length: 2\r\n\r\n{}").expect("sent");
        door.head().expect("answered");
        let mut output = Vec::new();
        door.into_stream().read_to_end(&mut output).expect("ends");
        assert_eq!(output, b"\x01\0\0\0\0\0\0\x06hello\n");
    }
}

/// Who puts a whole script where the program's name belongs is told so, in a text that can be read.
#[test]
fn a_program_name_of_megabytes_is_refused_and_harms_nobody() {
    let world = running();
    let pid = world.inspect("box", "{{.State.Pid}}");
    for first in ["", "/"] {
        let mut door = Door::open(&world.socket()).expect("the engine runs");
        let body = format!(r#"{{"Cmd":["{first}{}"]}}"#, "echo hello; ".repeat(170_000));
        let made = door.ask("POST", "/containers/box/exec", &body).expect("answered");
        assert_eq!(made.status, 201, "{made:?}");
        let id = made.body.split('"').nth(3).expect("an id");
        let started = door.ask("POST", &format!("/exec/{id}/start"), r#"{"Detach":true}"#).expect("answered");
        assert!(started.status >= 400 && started.body.len() < 2000, "{started:?}");
        assert!(started.body.contains("echo hello; ") && started.body.contains('…'), "{}", started.body);
    }
    assert_eq!(world.dhow(&["exec", "box", "echo", "hello"]).ok(), "hello");
    assert_eq!(world.inspect("box", "{{.State.Pid}}"), pid);
}

/// A program that ends at once has begun nevertheless.
#[test]
fn the_end_of_an_exec_is_told_after_its_beginning() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).exits(0);
    for _ in 0..30 {
        world.dhow(&["exec", "box", "true"]).exits(0);
    }
    let format = "{{.Action}} {{.Actor.Attributes.execID}}";
    let told = world.dhow(&["events", "--since", "10m", "--until", "0s", "--format", format]).ok();
    let place = |what: &str, id: &str| told.lines().position(|line| line.starts_with(what) && line.ends_with(id));
    let ended: Vec<&str> = told.lines().filter_map(|line| line.strip_prefix("exec_die ")).collect();
    assert_eq!(ended.len(), 30, "{told}");
    assert!(ended.iter().all(|id| place("exec_start", id) < place("exec_die", id)), "{told}");
}

/// Before the connection is no HTTP connection any more, as long as the engine knows it then.
#[test]
fn an_exec_that_cannot_be_started_again_is_refused_with_a_status() {
    let world = running();
    let door = || Door::open(&world.socket()).expect("the engine runs");
    let create = || {
        let made = door().ask("POST", "/containers/box/exec", r#"{"AttachStdout":true,"Cmd":["sleep","1000"]}"#);
        made.expect("answered").body.split('"').nth(3).expect("an id").to_owned()
    };
    let start = |id: &str, body: &str| door().ask("POST", &format!("/exec/{id}/start"), body).expect("answered");
    let attach = |id: &str| {
        let head = format!("POST /exec/{id}/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n");
        let mut door = door();
        door.send(head + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}").expect("sent");
        door.answer().expect("answered")
    };
    let id = create();
    assert_eq!(start(&id, r#"{"Detach":true}"#).status, 200);
    let refused = attach(&id);
    assert_eq!(refused.status, 409, "{refused:?}");
    let text = format!(r#""message":"Error: Exec command {id} is already running""#);
    assert!(refused.body.contains(&text), "{refused:?}");
    let running = door().ask("GET", &format!("/exec/{id}/json"), "").expect("answered").body;
    assert!(running.contains(r#""Running":true"#), "{running}");
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    assert_eq!(attach(&id).status, 409);
}
