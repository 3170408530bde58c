//! An engine that is short of file descriptors: what it cannot do it says, what runs goes on, and when there are
//! descriptors again everything works, without a restart.

use std::fs;

use dhow_testkit::{Door, World, eventually};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::abandoned::upgrade;
use super::containers;
use crate::busybox;

/// How many descriptors the engine has open.
fn open(world: &World) -> u64 {
    let folder = format!("/proc/{}/fd", world.engine_pid().expect("it runs"));
    fs::read_dir(folder).expect("it runs").count() as u64
}

/// Lets the engine have so many from now on.
fn limit(world: &World, most: u64) {
    let pid = Pid::from_raw(world.engine_pid().expect("it runs") as i32);
    let limits = Rlimit { current: Some(most), maximum: Some(4096) };
    prlimit(pid, Resource::Nofile, limits).expect("the engine is ours");
}

fn states(world: &World) -> Vec<String> {
    let listed = world.dhow(&["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.State}}"]).ok();
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn starts_that_find_no_descriptor_say_so_and_can_be_repeated() {
    let world = busybox();
    let names: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    for name in &names {
        world.dhow(&["create", "--name", name, "--network", "none", "busybox", "sleep", "1000"]).exits(0);
    }
    let mut failed = 0;
    for spare in [1, 4, 8, 16, 30] {
        limit(&world, open(&world) + spare);
        let mut door = containers::door(&world.socket());
        for name in &names {
            let answer = door.ask("POST", &format!("/containers/{name}/start"), "").expect("answered");
            if answer.status >= 400 {
                failed += 1;
                assert!(answer.body.contains("oo many open files"), "{name}: {}", answer.body);
            }
        }
        drop(door);
    }
    assert!(failed > 0, "there was no want");
    limit(&world, 4096);
    for name in &names {
        world.dhow(&["start", name]).exits(0);
        assert_eq!(world.inspect(name, "{{.State.Status}} {{.State.Error}}"), "running ", "{name}");
    }
    world.dhow(&[&["rm", "-f"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat()).exits(0);
    world.is_in_order();
}

#[test]
fn what_ends_and_is_removed_without_descriptors_is_ended_and_removed() {
    let world = busybox();
    let run = |name: &str, more: &[&str], script: &str| {
        let head = ["run", "-d", "--name", name, "--network", "none"];
        world.dhow(&[&head, more, &["busybox", "sh", "-c", script]].concat()).exits(0);
    };
    let gone = || !fs::exists(world.path().join("go")).unwrap_or(false);
    assert!(gone());
    let wait = "while [ ! -e /w/go ]; do usleep 10000; done";
    let mount = format!("{}:/w", world.path().display());
    let volume = ["-v", mount.as_str()];
    for number in 0..5 {
        run(&format!("ends{number}"), &volume, &format!("{wait}; exit {number}"));
        run(&format!("goes{number}"), &[&["--rm"], &volume[..]].concat(), wait);
        run(
            &format!("again{number}"),
            &[&["--restart", "always"], &volume[..]].concat(),
            &format!("{wait}; [ -e /ran ] || exec touch /ran; exec sleep 1000"),
        );
        run(&format!("stays{number}"), &volume, "sleep 1000");
    }
    limit(&world, open(&world));
    fs::write(world.path().join("go"), "").expect("written");
    let mut door = containers::door(&world.socket());
    for number in 0..5 {
        eventually("the end is known", || {
            let answer = door.ask("GET", &format!("/containers/ends{number}/json"), "");
            answer.is_ok_and(|answer| answer.body.contains("\"exited\""))
        });
        let code = door.ask("DELETE", &format!("/containers/ends{number}?v=1"), "").expect("answered").status;
        assert!([204, 500].contains(&code), "{code}");
    }
    drop(door);
    limit(&world, 4096);
    for number in 0..5 {
        eventually("what removes itself is gone", || world.dhow(&["inspect", &format!("goes{number}")]).code() == 1);
        eventually("what starts again runs", || {
            world.inspect(&format!("again{number}"), "{{.State.Running}} {{.State.Error}}") == "true "
        });
        assert_eq!(world.inspect(&format!("stays{number}"), "{{.State.Status}}"), "running");
        world.dhow(&["exec", &format!("stays{number}"), "true"]).exits(0);
    }
    for state in states(&world).iter().filter(|state| state.starts_with("ends")) {
        let name = state.split(' ').next().expect("a name");
        world.dhow(&["rm", name]).exits(0);
    }
    assert_eq!(states(&world).len(), 10, "{:?}", states(&world));
    world.is_in_order();
}

/// What runs must not be taken for leftovers because nobody could look.
#[test]
fn an_engine_that_cannot_adopt_all_leaves_all_alone() {
    let mut world = busybox();
    for number in 0..20 {
        let name = format!("c{number}");
        world.dhow(&["run", "-d", "--name", &name, "--restart", "always", "busybox", "sleep", "1000"]).exits(0);
    }
    let pids = |world: &World| -> Vec<String> {
        (0..20).map(|number| world.inspect(&format!("c{number}"), "{{.State.Pid}}")).collect()
    };
    let before = pids(&world);
    world.crash_engine();
    for files in [40, 64, 100] {
        let said = world.try_start_engine_with_files(files, files).expect_err("it has too few");
        assert!(said.contains("LimitNOFILE"), "{files}: {said}");
    }
    world.start_engine();
    assert_eq!(pids(&world), before, "nobody has ended them");
    world.is_in_order();
}

/// A container's limit is the one that was set for the engine, though engine and shim themselves take what they may.
#[test]
fn containers_have_the_limit_that_the_engine_was_started_with() {
    let mut world = busybox();
    world.stop_engine();
    world.try_start_engine_with_files(1000, 4000).expect("enough");
    let script = "ulimit -Sn; ulimit -Hn";
    assert_eq!(world.dhow(&["run", "--rm", "busybox", "sh", "-c", script]).ok(), "1000\n4000");
    world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
    assert_eq!(world.dhow(&["exec", "box", "sh", "-c", script]).ok(), "1000\n4000");
    for pid in [world.engine_pid().expect("it runs") as i32, world.shim_of("box").as_raw_pid()] {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
        assert!(limits.contains("Max open files            4000                 4000"), "{limits}");
    }
}

#[test]
fn more_clients_than_the_usual_limit_harm_nobody() {
    let mut world = busybox();
    world.stop_engine();
    world.try_start_engine_with_files(200, 2000).expect("enough");
    world.dhow(&["run", "-d", "--name", "box", "--network", "none", "busybox", "sleep", "1000"]).exits(0);
    let clients: Vec<Door> = (0..300)
        .map(|_| {
            let mut door = containers::door(&world.socket());
            door.send(upgrade("/containers/box/attach?stream=1&stdout=1", "")).expect("sent");
            assert_eq!(door.head().expect("answered")[0], "HTTP/1.1 101 UPGRADED");
            door
        })
        .collect();
    assert_eq!(world.dhow(&["exec", "box", "echo", "hello"]).ok(), "hello");
    assert_eq!(world.inspect("box", "{{.State.Status}}"), "running");
    drop(clients);
    world.is_in_order();
}
