//! What is asked for at the same moment as something that contradicts it: one of both is refused, nothing is torn.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use dhow_testkit::{World, finish};

use super::{containers, rounds};
use crate::busybox;

/// Does something until the other has ended.
fn meanwhile(work: impl FnOnce(), other: impl Fn() + Send + Sync) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                other();
            }
        });
        work();
        over.store(true, Ordering::Relaxed);
        other.join().expect("no panic");
    });
}

#[test]
fn copies_while_a_container_restarts_are_whole_or_refused() {
    let world = busybox();
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    let content = "0123456789abcdef".repeat(40_000);
    let (source, back) = (world.path().join("in"), world.path().join("out"));
    fs::write(&source, &content).expect("written");
    let source = source.to_string_lossy().into_owned();
    world.dhow(&["cp", &source, "box:/kept"]).exits(0);
    let copies = AtomicUsize::new(0);
    let restarts = || {
        for _ in 0..rounds(15) {
            world.dhow(&["restart", "-t", "0", "box"]).exits(0);
        }
    };
    meanwhile(restarts, || {
        let inward = finish(&mut world.command(&["cp", &source, "box:/changed"]));
        let outward = finish(&mut world.command(&["cp", "box:/kept", &back.to_string_lossy()]));
        if outward.code() == 0 {
            assert!(fs::read_to_string(&back).expect("copied") == content, "half a file is no copy");
        }
        for done in [inward, outward] {
            assert!(done.code() == 0 || done.stderr().contains("Error response"), "{}", done.stderr());
            copies.fetch_add(usize::from(done.code() == 0), Ordering::Relaxed);
        }
    });
    assert!(copies.into_inner() > 0, "no copy came through");
    assert_eq!(world.inspect("box", "{{.State.Status}}"), "running");
    world.dhow(&["cp", &source, "box:/changed"]).exits(0);
    assert_eq!(world.dhow(&["exec", "box", "sh", "-c", "cmp /kept /changed && echo same"]).ok(), "same");
    world.dhow(&["rm", "-f", "box"]).exits(0);
    world.is_in_order();
}

/// Two starts of one container, and its end in between: everybody gets an answer, and there is one container.
#[test]
fn starts_stops_and_execs_at_once_are_all_answered() {
    let world = busybox();
    let mut door = containers::door(&world.socket());
    let body = containers::body("exec sleep 1000", "");
    let id = containers::create(&mut door, "box", &body).expect("answered").expect("created");
    let ask = |what: &'static str| {
        let (socket, id) = (world.socket(), id.clone());
        move || {
            let mut door = containers::door(&socket);
            for _ in 0..rounds(30) {
                let status = match what {
                    "exec" => containers::exec(&mut door, &id).map(|()| 200),
                    what => containers::post(&mut door, &id, what),
                };
                let status = status.expect("answered");
                assert!([200, 204, 304, 404, 409].contains(&status), "{what}: {status}");
            }
        }
    };
    thread::scope(|scope| {
        for what in ["start", "start", "stop?t=0", "restart?t=0", "exec", "pause", "unpause", "kill"] {
            scope.spawn(ask(what));
        }
    });
    // A pause may have been the last.
    containers::post(&mut door, &id, "unpause").expect("answered");
    world.dhow(&["start", "box"]).exits(0);
    assert_eq!(world.dhow(&["exec", "box", "echo", "alive"]).ok(), "alive");
    assert_eq!(world.shims().len(), 1);
    assert_eq!(containers::remove(&mut door, &id).expect("answered"), 204);
    world.is_in_order();
}

/// Clients that attach to a container which is started, ended and removed meanwhile are all hung up on.
#[test]
fn who_is_attached_to_what_is_removed_is_told_the_end() {
    let world = busybox();
    for _ in 0..rounds(10) {
        world.dhow(&["create", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).exits(0);
        let attach = || {
            let mut stream = UnixStream::connect(world.socket()).expect("the engine listens");
            let request = "POST /containers/box/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\n\
                Upgrade: tcp\r\n\r\n";
            stream.write_all(request.as_bytes()).expect("sent");
            stream
        };
        let mut streams: Vec<UnixStream> = (0..4).map(|_| attach()).collect();
        world.dhow(&["start", "box"]).exits(0);
        streams.extend((0..4).map(|_| attach()));
        world.dhow(&["rm", "-f", "box"]).exits(0);
        for mut stream in streams {
            std::io::copy(&mut stream, &mut std::io::sink()).expect("it ends");
        }
    }
    end(&world);
}

fn end(world: &World) {
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
    world.is_in_order();
}

/// A volume that is removed while a container is created with it: either it is in use, or it is made anew for the container.
#[test]
fn a_volume_is_not_removed_under_a_container_that_is_created_with_it() {
    let world = busybox();
    for round in 0..rounds(20) {
        world.dhow(&["volume", "create", "data"]).exits(0);
        let name = format!("box{round}");
        let created = thread::scope(|scope| {
            let removed = scope.spawn(|| finish(&mut world.command(&["volume", "rm", "data"])));
            let created = world.dhow(&["create", "--name", &name, "-v", "data:/d", "busybox", "touch", "/d/file"]);
            let removed = removed.join().expect("no panic");
            assert!(removed.code() == 0 || removed.stderr().contains("volume is in use"), "{removed:?}");
            created
        });
        created.exits(0);
        world.dhow(&["start", "-a", &name]).exits(0);
        assert!(world.data_root().join("volumes/data/_data/file").exists());
        world.dhow(&["rm", &name]).exits(0);
    }
    world.is_in_order();
}
