//! Pulls that are cut: by SIGKILL to the engine, by clients that go away.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use dhow_testkit::{Registry, World, eventually};

use super::{chance, rounds};
use crate::{DHOW, busybox};

/// A registry with an image of a few layers, one of them of some megabytes that cannot be compressed.
fn registry_with_an_image() -> (Registry, String) {
    let (maker, registry) = (busybox(), Registry::start());
    let name = registry.name("app:1");
    let script = "dd if=/dev/urandom of=/noise bs=1M count=24 2>/dev/null; echo whole > /end";
    maker.dhow(&["run", "--name", "box", "--network", "none", "busybox", "sh", "-c", script]).exits(0);
    maker.dhow(&["commit", "box", &name]).exits(0);
    maker.dhow(&["push", &name]).exits(0);
    (registry, name)
}

/// Bytes of parts of blobs.
fn parts(world: &World) -> u64 {
    let entries = fs::read_dir(world.data_root().join("content/ingest")).expect("a folder").flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|it| it.len()).sum()
}

#[test]
fn a_pull_after_a_killed_one_succeeds() {
    let (_registry, name) = registry_with_an_image();
    let mut chance = chance();
    let mut world = World::new(DHOW);
    for _ in 0..rounds(5) {
        let mut pull = world.command(&["pull", &name]);
        let mut pull =
            pull.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // Anywhere between its first request and its end: which moment it is does not matter.
        thread::sleep(Duration::from_micros(chance.u64(..400_000)));
        world.crash_engine();
        pull.wait().expect("it ends with its engine");
        world.start_engine();
        world.dhow(&["pull", &name]).exits(0);
        assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "cat", "/end"]).ok(), "whole");
        assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
        world.dhow(&["rmi", &name]).exits(0);
        world.is_in_order();
    }
}

#[test]
fn a_pull_goes_on_where_the_engine_was_killed() {
    let (_registry, name) = registry_with_an_image();
    let mut world = World::new(DHOW);
    let mut pull = world.command(&["pull", &name]);
    let mut pull = pull.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    eventually("something has come, or all of it", || {
        parts(&world) > 1 << 20 || pull.try_wait().expect("our child").is_some()
    });
    world.crash_engine();
    pull.wait().expect("it ends with its engine");
    let here = parts(&world);
    world.start_engine();
    assert_eq!(parts(&world), here, "it is kept for the next pull");
    // What is here is damaged, as after a power cut: it is found out, and fetched again.
    for entry in fs::read_dir(world.data_root().join("content/ingest")).expect("a folder").flatten() {
        let length = entry.metadata().expect("there").len() as usize;
        fs::write(entry.path(), vec![0; length]).expect("written");
    }
    world.dhow(&["pull", &name]).exits(0);
    assert_eq!(parts(&world), 0);
    assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "cat", "/end"]).ok(), "whole");
}
