//! Very many, one after the other and all at once.

use std::thread;

use dhow_testkit::{Footprint, World, eventually};

use super::containers::{body, create, door, exec, post, remove};
use super::rounds;
use crate::busybox;

/// Memory that an engine may have more than after its first two hundred containers, in KiB: what the allocator keeps in
/// pieces, and the stacks of some threads. A leak of two kilobytes by container is above it.
const SLACK: u64 = 1500;

/// Creates, starts, execs and removes so many containers, eight at a time.
fn come_and_go(world: &World, count: usize) {
    thread::scope(|scope| {
        for worker in 0..8 {
            let socket = world.socket();
            scope.spawn(move || {
                let mut door = door(&socket);
                for number in (worker..count).step_by(8) {
                    let id = create(&mut door, "", &body("exec sleep 1000", "")).expect("answered").expect("created");
                    assert_eq!(post(&mut door, &id, "start").expect("answered"), 204);
                    if number % 4 == 0 {
                        exec(&mut door, &id).expect("answered");
                    }
                    assert_eq!(remove(&mut door, &id).expect("answered"), 204);
                }
            });
        }
    });
    world.is_in_order();
}

#[test]
fn a_thousand_containers_come_and_go_and_nothing_of_them_stays() {
    let world = busybox();
    let engine = world.engine_pid().expect("it runs");
    come_and_go(&world, 200);
    let before = Footprint::of(engine);
    come_and_go(&world, rounds(800));
    eventually("threads and descriptors are as few as before", || {
        let now = Footprint::of(engine);
        // Idle threads of the pool end after seconds; there may be some more or less of them.
        now.threads <= before.threads + 8 && now.descriptors <= before.descriptors + 8
    });
    let after = Footprint::of(engine);
    assert!(after.memory <= before.memory + SLACK, "memory grew from {before:?} to {after:?}");
}

/// moby#32762: an engine that came back to 354 containers crashed for half an hour.
#[test]
fn many_containers_outlive_ten_crashes_of_their_engine() {
    let mut world = busybox();
    let names: Vec<String> = (0..rounds(40)).map(|number| format!("box{number}")).collect();
    let mut door = door(&world.socket());
    for name in &names {
        create(&mut door, name, &body("exec sleep 1000", "")).expect("answered").expect("created");
        assert_eq!(post(&mut door, name, "start").expect("answered"), 204);
    }
    let pids = |world: &World| {
        let each = |name: &String| world.inspect(name, "{{.State.Status}} {{.State.Pid}}");
        names.iter().map(each).collect::<Vec<String>>()
    };
    let before = pids(&world);
    for _ in 0..10 {
        world.crash_engine();
        world.start_engine();
        assert_eq!(pids(&world), before);
    }
    let mut door = super::containers::door(&world.socket());
    for name in &names {
        assert_eq!(world.dhow(&["exec", name, "echo", "alive"]).ok(), "alive");
        for what in ["stop?t=0", "start"] {
            assert_eq!(post(&mut door, name, what).expect("answered"), 204, "{name}: {what}");
        }
    }
    world.is_in_order();
    for name in &names {
        assert_eq!(remove(&mut door, name).expect("answered"), 204);
    }
    world.is_in_order();
}

/// podman#25886: so many starts at once, and the database is locked.
#[test]
fn a_hundred_starts_at_once_succeed() {
    let world = busybox();
    let count = rounds(100);
    thread::scope(|scope| {
        let starts: Vec<_> = (0..count)
            .map(|number| {
                let socket = world.socket();
                scope.spawn(move || {
                    let mut door = door(&socket);
                    let name = format!("box{number}");
                    create(&mut door, &name, &body("exec sleep 1000", "")).expect("answered").expect("created");
                    door.ask("POST", &format!("/containers/{name}/start"), "").expect("answered")
                })
            })
            .collect();
        for start in starts {
            let answer = start.join().expect("no panic");
            assert_eq!(answer.status, 204, "{}", answer.body);
        }
    });
    assert_eq!(world.dhow(&["ps", "--quiet"]).ok().lines().count(), count);
    world.is_in_order();
    assert!(!world.engine_log().contains("locked"), "{}", world.engine_log());
}

/// podman#11940: eight containers that end at once and are started again, and nobody else gets a lock.
#[test]
fn containers_that_are_restarted_again_and_again_hold_nobody_up() {
    let world = busybox();
    for number in 0..8 {
        let name = format!("again{number}");
        world.dhow(&["run", "-d", "--restart", "always", "--name", &name, "busybox", "sh", "-c", "exit 1"]).exits(0);
    }
    let restarts = |name: &str| world.inspect(name, "{{.RestartCount}}").parse::<u32>().expect("a number");
    eventually("all were restarted", || (0..8).all(|number| restarts(&format!("again{number}")) > 2));
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    world.dhow(&["ps", "--all"]).exits(0);
    for number in 0..8 {
        world.dhow(&["stop", &format!("again{number}")]).exits(0);
    }
    eventually("all are stopped", || world.dhow(&["ps", "--quiet"]).ok().is_empty());
    assert!(!world.engine_log().contains("locked"), "{}", world.engine_log());
}
