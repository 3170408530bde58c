//! The cases.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::fake::{Fake, exits, frame, hijacks, nothing, says};
use crate::{HIDDEN, command, finish, run, run_with_input};

type Case = (&'static str, fn());

/// Every case by its name.
pub(crate) const ALL: &[Case] = &[
    ("run_attaches_and_waits_before_it_starts", run_attaches_and_waits_before_it_starts),
    ("an_older_engine_is_asked_again_in_its_version", an_older_engine_is_asked_again_in_its_version),
    ("the_end_of_input_reaches_the_container", the_end_of_input_reaches_the_container),
    ("a_program_that_is_not_there_is_127", a_program_that_is_not_there_is_127),
    ("exec_ends_with_the_commands_code", exec_ends_with_the_commands_code),
    ("signals_reach_the_container", signals_reach_the_container),
    ("a_reader_that_goes_away_ends_us_like_sigpipe", a_reader_that_goes_away_ends_us_like_sigpipe),
    ("an_engine_is_started_on_demand", an_engine_is_started_on_demand),
    ("nobody_there_is_said_in_dockers_words", nobody_there_is_said_in_dockers_words),
    ("uploads_ask_for_the_version_first", uploads_ask_for_the_version_first),
    ("logs_come_apart_again", logs_come_apart_again),
    ("starting_what_runs_is_no_failure", starting_what_runs_is_no_failure),
    ("several_are_stopped_at_once_and_told_in_order", several_are_stopped_at_once_and_told_in_order),
    ("detached_prints_the_id_even_if_the_start_fails", detached_prints_the_id_even_if_the_start_fails),
    ("a_stream_that_is_cut_is_said_in_gos_words", a_stream_that_is_cut_is_said_in_gos_words),
    ("a_wait_is_asked_again_after_the_engine", a_wait_is_asked_again_after_the_engine),
];

const CREATED: &str = r#"{"Id":"abc123","Warnings":[]}"#;

fn run_attaches_and_waits_before_it_starts() {
    let fake = Fake::start(
        "1.51",
        vec![
            ("POST /containers/create", says(201, r#"{"Id":"abc123","Warnings":["mind the gap"]}"#)),
            (
                "POST /containers/abc123/attach",
                hijacks(|fake, stream| {
                    fake.until("POST /containers/abc123/start");
                    stream.write_all(&frame(1, b"out\xff\0"))?;
                    stream.write_all(&frame(2, b"err"))
                }),
            ),
            ("POST /containers/abc123/wait", exits(7, "POST /containers/abc123/start")),
            ("POST /containers/abc123/start", nothing(204)),
        ],
    );
    let ended = run(&fake, &["run", "--rm", "busybox", "x"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(7), "out\u{fffd}\0"));
    assert_eq!(ended.err, "WARNING: mind the gap\nerr");
    let lines = fake.lines();
    assert_eq!(lines.last().map(String::as_str), Some("POST /containers/abc123/start"), "{lines:?}");
    assert!(lines.iter().any(|line| line == "POST /containers/abc123/wait?condition=removed"), "{lines:?}");
    assert!(lines.iter().any(|line| line == "POST /containers/abc123/attach?stream=1&stdout=1&stderr=1"), "{lines:?}");
}

fn an_older_engine_is_asked_again_in_its_version() {
    let fake = Fake::start("1.41", vec![("GET /containers/json", says(200, "[]"))]);
    let ended = run(&fake, &["ps"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let requests = fake.requests();
    assert_eq!((requests.len(), requests[0].version.as_str(), fake.connections()), (1, "1.41", 1));
}

fn the_end_of_input_reaches_the_container() {
    let fake = Fake::start(
        "1.51",
        vec![
            ("POST /containers/create", says(201, CREATED)),
            (
                "POST /containers/abc123/attach",
                hijacks(|_, stream| {
                    let mut input = Vec::new();
                    stream.read_to_end(&mut input)?;
                    stream.write_all(&frame(1, &input))
                }),
            ),
            ("POST /containers/abc123/wait", exits(0, "POST /containers/abc123/start")),
            ("POST /containers/abc123/start", nothing(204)),
        ],
    );
    let ended = run_with_input(&fake, &["run", "-i", "busybox", "cat"], b"hello\n");
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "hello\n"), "{}", ended.err);
}

fn a_program_that_is_not_there_is_127() {
    let fake = Fake::start(
        "1.51",
        vec![
            ("POST /containers/create", says(201, CREATED)),
            ("POST /containers/abc123/attach", hijacks(|_, stream| stream.read_to_end(&mut Vec::new()).map(drop))),
            ("POST /containers/abc123/wait", exits(127, "POST /containers/abc123/start")),
            (
                "POST /containers/abc123/start",
                says(400, r#"{"message":"exec: \"x\": executable file not found in $PATH"}"#),
            ),
        ],
    );
    let ended = run(&fake, &["run", "busybox", "x"]);
    assert_eq!(ended.code, Some(127));
    assert_eq!(
        ended.err,
        "dhow: Error response from daemon: exec: \"x\": executable file not found in $PATH\n\nRun 'dhow run --help' for more information\n"
    );
}

fn exec_ends_with_the_commands_code() {
    let fake = Fake::start(
        "1.51",
        vec![
            ("POST /containers/c/exec", says(201, r#"{"Id":"e1"}"#)),
            ("POST /exec/e1/start", hijacks(|_, stream| stream.write_all(&frame(1, b"done\n")))),
            ("GET /exec/e1/json", says(200, r#"{"ID":"e1","Running":false,"ExitCode":3}"#)),
        ],
    );
    let ended = run(&fake, &["exec", "-e", "A=1", "-w", "/tmp", "c", "sh", "-c", "x"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(3), "done\n"), "{}", ended.err);
    // That the engine knows the flags is asked first.
    let requests = fake.requests();
    assert_eq!(requests[0].line, "HEAD /_ping");
    let body = String::from_utf8(requests[1].body.clone()).expect("JSON is text");
    assert!(body.contains(r#""Env":["A=1"]"#) && body.contains(r#""Cmd":["sh","-c","x"]"#), "{body}");
}

fn signals_reach_the_container() {
    let fake = Fake::start(
        "1.51",
        vec![
            ("POST /containers/create", says(201, CREATED)),
            (
                "POST /containers/abc123/attach",
                hijacks(|fake, _| {
                    fake.until("POST /containers/abc123/kill");
                    Ok(())
                }),
            ),
            ("POST /containers/abc123/wait", exits(5, "POST /containers/abc123/kill")),
            ("POST /containers/abc123/start", nothing(204)),
            ("POST /containers/abc123/kill", nothing(204)),
        ],
    );
    let child = command(&fake, &["run", "busybox", "x"]).spawn().expect("the client starts");
    fake.until("POST /containers/abc123/start");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let ended = finish(child);
    assert_eq!(ended.code, Some(5), "{}", ended.err);
    assert!(fake.lines().contains(&"POST /containers/abc123/kill?signal=TERM".to_owned()));
}

fn a_reader_that_goes_away_ends_us_like_sigpipe() {
    let fake = Fake::start(
        "1.51",
        vec![
            ("POST /containers/create", says(201, CREATED)),
            (
                "POST /containers/abc123/attach",
                hijacks(|_, stream| {
                    while stream.write_all(&frame(1, &[b'y'; 4096])).is_ok() {}
                    Ok(())
                }),
            ),
            ("POST /containers/abc123/wait", exits(0, "POST /never")),
            ("POST /containers/abc123/start", nothing(204)),
        ],
    );
    let mut child =
        command(&fake, &["run", "busybox", "yes"]).stdout(Stdio::piped()).spawn().expect("the client starts");
    let mut some = [0; 10];
    child.stdout.take().expect("it was piped").read_exact(&mut some).expect("some output");
    assert_eq!(finish(child).code, Some(141));
}

fn an_engine_is_started_on_demand() {
    let fake = Fake::start("1.51", vec![("GET /images/json", says(200, "[]"))]);
    let hidden = fake.dir().join("hidden.sock");
    std::fs::rename(fake.socket(), &hidden).expect("the engine hides");
    let ended = finish(command(&fake, &["images"]).env(HIDDEN, &hidden).spawn().expect("the client starts"));
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (Some(0), "REPOSITORY   TAG       IMAGE ID   CREATED   SIZE\n"),
        "{}",
        ended.err
    );
}

fn nobody_there_is_said_in_dockers_words() {
    let fake = Fake::start("1.51", vec![]);
    let ended = run(&fake, &["-H", "unix:///nope", "ps"]);
    let text = "Cannot connect to the Docker daemon at unix:///nope. Is the docker daemon running?";
    assert_eq!((ended.code, ended.err), (Some(1), format!("{text}\n")));
    let ended = run(&fake, &["-H", "unix:///nope", "run", "x"]);
    assert_eq!(
        (ended.code, ended.err),
        (Some(125), format!("dhow: {text}\n\nRun 'dhow run --help' for more information\n"))
    );
}

fn uploads_ask_for_the_version_first() {
    let answer = "{\"stream\":\"Loaded image: x:latest\\n\"}";
    let fake = Fake::start("1.41", vec![("POST /images/load", says(200, answer))]);
    let ended = run_with_input(&fake, &["load"], &[7; 300_000]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), "Loaded image: x:latest\n"), "{}", ended.err);
    let requests = fake.requests();
    assert_eq!(requests[0].line, "HEAD /_ping");
    assert_eq!((requests[1].version.as_str(), requests[1].body.len()), ("1.41", 300_000));
}

fn logs_come_apart_again() {
    let fake = Fake::start(
        "1.51",
        vec![(
            "GET /containers/c/logs",
            Box::new(|_, _, stream| {
                let body = [frame(1, b"one\n"), frame(2, b"two\n")].concat();
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                )?;
                stream.write_all(&body)
            }),
        )],
    );
    let ended = run(&fake, &["logs", "--tail", "2", "c"]);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("one\n", "two\n"));
    assert_eq!(fake.lines(), ["GET /containers/c/logs?stdout=1&stderr=1&tail=2"]);
}

fn starting_what_runs_is_no_failure() {
    let fake = Fake::start("1.51", vec![("POST /containers/c/start", nothing(304))]);
    let ended = run(&fake, &["start", "c", "d"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), "c\n"));
    assert_eq!(
        ended.err,
        "Error response from daemon: page not found: POST /containers/d/start\nError: failed to start containers: d\n"
    );
    assert_eq!(fake.connections(), 1, "one call after the other shares a connection");
}

fn several_are_stopped_at_once_and_told_in_order() {
    let fake = Fake::start(
        "1.51",
        vec![
            (
                "POST /containers/a/stop",
                Box::new(|fake, _, stream| {
                    fake.until("POST /containers/b/stop");
                    write!(stream, "HTTP/1.1 204 X\r\nContent-Length: 0\r\n\r\n")
                }),
            ),
            ("POST /containers/b/stop", nothing(204)),
        ],
    );
    let ended = run(&fake, &["stop", "-t", "3", "a", "b", "c"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(1), "a\nb\n"));
    assert_eq!(ended.err, "Error response from daemon: page not found: POST /containers/c/stop?t=3\n");
}

fn detached_prints_the_id_even_if_the_start_fails() {
    let fake = Fake::start(
        "1.51",
        vec![
            ("POST /containers/create", says(201, CREATED)),
            ("POST /containers/abc123/start", says(500, r#"{"message":"no"}"#)),
        ],
    );
    let ended = run(&fake, &["run", "-d", "busybox"]);
    assert_eq!((ended.code, ended.out.as_str()), (Some(125), "abc123\n"));
    assert_eq!(fake.lines(), ["POST /containers/create", "POST /containers/abc123/start"]);
}

/// The engine goes away in the middle of its answer, and another one is there at once.
fn a_wait_is_asked_again_after_the_engine() {
    let fake = Fake::start(
        "1.51",
        vec![(
            "POST /containers/c/wait",
            Box::new(|fake, _, stream| {
                let body = "{\"StatusCode\":23}";
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())?;
                match fake.lines().len() {
                    1 => Err(std::io::ErrorKind::ConnectionAborted.into()),
                    _ => stream.write_all(body.as_bytes()),
                }
            }),
        )],
    );
    let ended = run(&fake, &["wait", "c"]);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "23\n", ""));
    assert_eq!(fake.lines(), ["POST /containers/c/wait?condition=not-running"; 2]);
}

fn a_stream_that_is_cut_is_said_in_gos_words() {
    let fake = Fake::start(
        "1.51",
        vec![(
            "GET /events",
            Box::new(|_, _, stream| {
                write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                Err(std::io::ErrorKind::ConnectionAborted.into())
            }),
        )],
    );
    let ended = run(&fake, &["events"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(1), "unexpected EOF\n"));
}
