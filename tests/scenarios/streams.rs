//! Bytes in and out: attached streams, half-close, terminals, detaching.

use std::io::{Read, Write};
use std::process::Stdio;

use dhow_testkit::{Door, eventually, finish_with_input};

use crate::busybox;

#[test]
fn stdout_and_stderr_stay_apart() {
    let world = busybox();
    let both = world.dhow(&["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((both.stdout().as_str(), both.stderr().as_str()), ("out\n", "err\n"));
}

#[test]
fn streams_are_binary_clean_and_end_of_input_arrives() {
    let world = busybox();
    let data: Vec<u8> = (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let echoed = finish_with_input(&mut world.command(&["run", "-i", "--rm", "busybox", "cat"]), data.clone());
    echoed.exits(0);
    assert!(echoed.stdout_bytes() == data, "{} bytes came back of {}", echoed.stdout_bytes().len(), data.len());
}

#[test]
fn without_interactive_the_input_is_empty() {
    let world = busybox();
    let output = finish_with_input(&mut world.command(&["run", "--rm", "busybox", "cat"]), b"ignored".to_vec());
    assert_eq!(output.ok(), "");
}

#[test]
fn output_of_a_short_program_is_never_lost() {
    let world = busybox();
    for _ in 0..20 {
        assert_eq!(world.dhow(&["run", "--rm", "busybox", "echo", "all of it"]).ok(), "all of it");
    }
}

#[test]
fn a_terminal_has_the_size_and_translates_newlines() {
    let world = busybox();
    world.dhow(&["run", "-d", "-t", "--name", "tty", "busybox", "sh", "-c", "tty; echo line; sleep 1000"]).exits(0);
    eventually("the line is there", || world.dhow(&["logs", "tty"]).ok().contains("line"));
    let logs = world.dhow(&["logs", "tty"]).stdout();
    assert!(logs.contains("/dev/pts/0\r\n") && logs.contains("line\r\n"), "{logs:?}");
    let piped = finish_with_input(&mut world.command(&["run", "-it", "--rm", "busybox", "true"]), Vec::new());
    piped.says("the input device is not a TTY");
}

#[test]
fn attach_detach_and_attach_again() {
    let world = busybox();
    world.dhow(&["run", "-dit", "--name", "shell", "busybox", "sh"]).exits(0);
    let mut attached = world
        .command(&["attach", "--detach-keys", "ctrl-a,d", "shell"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("attach starts");
    // Without a terminal on our side the command says so, as Docker's does, and the container goes on.
    attached.stdin.take().expect("piped").write_all(b"exit\n").ok();
    let mut said = String::new();
    attached.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    attached.wait().expect("attach ends");
    assert!(said.contains("not a TTY"), "{said}");
    assert_eq!(world.inspect("shell", "{{.State.Running}}"), "true");
}

#[test]
fn attach_to_a_container_without_terminal_gives_input_and_output() {
    let world = busybox();
    // Made with -i and not detached, so the end of the client's input is the end of the container's.
    world.dhow(&["create", "-i", "--name", "cat", "busybox", "cat"]).exits(0);
    world.dhow(&["start", "cat"]).exits(0);
    let output = finish_with_input(&mut world.command(&["attach", "cat"]), b"through attach\n".to_vec());
    assert_eq!(output.ok(), "through attach");
    assert_eq!(world.dhow(&["wait", "cat"]).ok(), "0");
    assert_eq!(world.dhow(&["logs", "cat"]).ok(), "through attach");
}

#[test]
fn start_attached_interactive() {
    let world = busybox();
    world.dhow(&["create", "-i", "--name", "box", "busybox", "sh", "-c", "cat; exit 4"]).exits(0);
    let output = finish_with_input(&mut world.command(&["start", "-ai", "box"]), b"hello\n".to_vec());
    output.exits(4);
    assert_eq!(output.stdout(), "hello\n");
}

#[test]
fn signals_to_the_client_reach_the_process() {
    let world = busybox();
    let script = "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut client = world
        .command(&["run", "--rm", "busybox", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run starts");
    let mut out = client.stdout.take().expect("piped");
    let mut ready = [0; 6];
    out.read_exact(&mut ready).expect("the trap is set");
    rustix::process::kill_process(rustix::process::Pid::from_child(&client), rustix::process::Signal::TERM)
        .expect("ours");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "got it\n");
    assert_eq!(client.wait().expect("ends").code(), Some(3));
}

/// Whoever reads to the end and asks then learns how the program has ended.
#[test]
fn the_end_of_the_streams_comes_when_the_exit_code_is_known() {
    let world = busybox();
    for round in 0..20 {
        let name = format!("box{round}");
        world.dhow(&["create", "--name", &name, "busybox", "sh", "-c", "echo out; exit 3"]).exits(0);
        let mut attached = Door::open(&world.socket()).expect("the engine listens");
        let request = format!(
            "POST /containers/{name}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
             Upgrade: tcp\r\n\r\n"
        );
        attached.send(request).expect("sent");
        attached.head().expect("an answer");
        let mut door = Door::open(&world.socket()).expect("the engine listens");
        assert_eq!(door.ask("POST", &format!("/containers/{name}/start"), "").expect("an answer").status, 204);
        let mut output = Vec::new();
        attached.into_stream().read_to_end(&mut output).expect("read");
        assert!(output.ends_with(b"out\n"), "{output:?}");
        let shown = door.ask("GET", &format!("/containers/{name}/json"), "").expect("an answer").body;
        assert!(shown.contains("\"Status\":\"exited\"") && shown.contains("\"ExitCode\":3"), "{shown}");
    }
}
