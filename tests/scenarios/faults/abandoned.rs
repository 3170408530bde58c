//! Streams that nobody reads and connections that lead to nothing.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use dhow_testkit::{Door, Footprint, World, eventually};

use super::containers::door;
use super::rounds;
use crate::busybox;

/// Memory that a round of streams may leave behind, in KiB: less than half a kilobyte by stream.
const SLACK: u64 = 4000;
/// Rounds in which the allocator may still find its size: it keeps what all of them took at the worst moment, and that
/// moment differs from round to round. What leaks grows in each.
const SETTLING: usize = 5;
/// Streams that are open at the same time.
const TOGETHER: usize = 100;

/// Opens streams of one kind, so many at a time, and goes away without reading any.
fn abandon(socket: &Path, count: usize, open: impl Fn(&Path) -> UnixStream) {
    for _ in 0..count / TOGETHER {
        let streams: Vec<UnixStream> = (0..TOGETHER).map(|_| open(socket)).collect();
        drop(streams);
    }
}

fn send(socket: &Path, request: &str) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("the engine runs");
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: d\r\n\r\n")
}

pub(super) fn upgrade(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
}

/// Starts an exec that goes on as long as its client, and leaves.
fn exec(socket: &Path) -> UnixStream {
    let mut door = door(socket);
    let body = r#"{"Cmd":["cat"],"AttachStdin":true,"AttachStdout":true}"#;
    let made = door.ask("POST", "/containers/box/exec", body).expect("answered");
    let id = made.body.split('"').nth(3).unwrap_or_default().to_owned();
    let mut stream = door.into_stream();
    stream.write_all(upgrade(&format!("/exec/{id}/start"), "{}").as_bytes()).expect("sent");
    stream
}

/// An exec that comes to nothing.
fn failed_exec(socket: &Path) -> UnixStream {
    let mut door = door(socket);
    let made = door.ask("POST", "/containers/box/exec", r#"{"Cmd":["/no/such/program"]}"#).expect("answered");
    let id = made.body.split('"').nth(3).unwrap_or_default().to_owned();
    let started = door.ask("POST", &format!("/exec/{id}/start"), r#"{"Detach":true}"#).expect("answered");
    assert!(started.status >= 400, "{started:?}");
    door.into_stream()
}

fn everything(world: &World, count: usize) {
    let socket = world.socket();
    abandon(&socket, count, |socket| send(socket, &get("/events")));
    abandon(&socket, count, |socket| send(socket, &get("/containers/box/logs?follow=1&stdout=1&stderr=1")));
    abandon(&socket, count, |socket| send(socket, &upgrade("/containers/box/attach?stream=1&stdout=1&stderr=1", "")));
    abandon(&socket, count, |socket| {
        send(socket, "POST /containers/box/attach?logs=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n")
    });
    abandon(&socket, count, |socket| send(socket, "POST /containers/box/wait HTTP/1.1\r\nHost: d\r\n\r\n"));
    abandon(&socket, count / 5, exec);
    abandon(&socket, count / 3, failed_exec);
    // Half a request, half a body, nothing at all.
    for half in ["", "GET /_pi", "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\n{"] {
        abandon(&socket, count, |socket| send(socket, half));
    }
    abandon(&socket, count, |socket| {
        let stream = send(socket, "POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\nxx");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        stream
    });
}

/// moby#32711, moby#30311: ten thousand listeners that went away held twenty gigabytes.
#[test]
fn thousands_of_abandoned_streams_cost_nothing() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sh", "-c", "seq 2000; exec sleep 1000"]).exits(0);
    eventually("the log is written", || world.dhow(&["logs", "--tail", "1", "box"]).ok() == "2000");
    let pids = [world.engine_pid().expect("it runs"), u32::try_from(world.shims()[0]).expect("a pid")];
    let measure = || pids.map(Footprint::of);
    let quiet = measure();
    everything(&world, 3 * TOGETHER);
    let settled = |what: &str| {
        eventually(what, || {
            let now = measure();
            (0..2)
                .all(|at| now[at].descriptors <= quiet[at].descriptors + 4 && now[at].threads <= quiet[at].threads + 8)
        });
        measure()
    };
    let mut seen = vec![settled("the first streams are forgotten")];
    for _ in 0..SETTLING {
        everything(&world, rounds(3 * TOGETHER));
        seen.push(settled("all streams are forgotten"));
        let grown = |at: usize| seen[seen.len() - 1][at].memory > seen[seen.len() - 2][at].memory + SLACK;
        if !grown(0) && !grown(1) {
            break;
        }
        assert!(seen.len() <= SETTLING, "memory grew in every round: {seen:?}");
    }
    assert_eq!(world.dhow(&["exec", "box", "echo", "alive"]).ok(), "alive");
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
}

/// More clients that neither read nor leave than the engine has threads for work that may wait.
#[test]
fn a_crowd_that_stalls_leaves_room_for_others() {
    many_files();
    let world = busybox();
    let script = "i=0; while [ $i -lt 30 ]; do i=$((i+1)); seq 20000; done";
    world.dhow(&["run", "--name", "talker", "busybox", "sh", "-c", script]).exits(0);
    let socket = world.socket();
    let crowd = 700;
    let stalled = |request: String| (0..crowd).map(|_| send(&socket, &request)).collect::<Vec<UnixStream>>();
    let listeners = stalled(get("/containers/talker/logs?stdout=1"));
    alive(&world);
    let attached = stalled("POST /containers/talker/attach?logs=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n".to_owned());
    alive(&world);
    let uploads = stalled("POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 100000\r\n\r\n".to_owned());
    alive(&world);
    let downloads = stalled(get("/images/busybox/get"));
    alive(&world);
    let halves = stalled("POST /containers/create HTTP/1.1\r\nHost: d\r\n".to_owned());
    alive(&world);
    drop((listeners, attached, uploads, downloads, halves));
    alive(&world);
}

/// For the clients, which all are in this process.
fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the hard limit");
}

/// What needs a thread that may wait works.
fn alive(world: &World) {
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    world.dhow(&["logs", "--tail", "1", "talker"]).exits(0);
    world.dhow(&["images"]).exits(0);
    let mut door = Door::open(&world.socket()).expect("it runs");
    assert_eq!(door.ask("GET", "/info", "").expect("answered").status, 200);
}
