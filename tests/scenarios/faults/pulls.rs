//! Pulls that are cut: by SIGKILL to the engine, by clients that go away.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use dhow_testkit::{Gate, Registry, World, eventually, peak_memory};
use rustix::process::{Pid, Signal, kill_process};

use super::{chance, rounds};
use crate::{DHOW, registry_with_what_is_made};

/// A registry with an image of a few layers, one of them of some megabytes that cannot be compressed.
pub(super) fn registry_with_an_image() -> (Registry, String) {
    registry_with_what_is_made("dd if=/dev/urandom of=/noise bs=1M count=24 2>/dev/null; echo whole > /end")
}

/// Bytes of parts of blobs.
pub(super) fn parts(world: &World) -> u64 {
    let entries = fs::read_dir(world.data_root().join("content/ingest")).expect("a folder").flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|it| it.len()).sum()
}

#[test]
fn a_pull_after_a_killed_one_succeeds() {
    let (_registry, name) = registry_with_an_image();
    let mut chance = chance();
    let mut world = World::new(DHOW);
    let (rounds, mut cut) = (rounds(50), 0);
    for round in 0..rounds {
        let mut pull = world.command(&["pull", &name]);
        let mut pull =
            pull.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        // Anywhere between its first request and its end: which moment it is does not matter.
        thread::sleep(Duration::from_micros(chance.u64(..400_000)));
        world.crash_engine();
        cut += usize::from(!pull.wait().expect("it ends with its engine").success());
        world.start_engine();
        world.dhow(&["pull", &name]).exits(0);
        assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
        if round % 10 == 0 {
            assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "cat", "/end"]).ok(), "whole");
        }
        world.dhow(&["rmi", &name]).exits(0);
        if round % 10 == 0 {
            world.is_in_order();
        }
    }
    assert!(cut > 0, "not one of {rounds} pulls was cut");
}

/// Killed in the middle of a layer, the engine or the client, and then three who want the image at once.
#[test]
fn three_pulls_after_a_killed_one_fetch_each_layer_once() {
    let (registry, name) = registry_with_an_image();
    let gate = Gate::before(&registry, |_, _| Ok(false));
    let name = name.replace(&registry.address(), &gate.address());
    let mut chance = chance();
    let mut world = World::new(DHOW);
    let layers = layers(&world, &name);
    let (rounds, mut cut) = (rounds(16), 0);
    for round in 0..rounds {
        let quiet = |pull: &mut Command| {
            pull.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
        };
        let mut pull = quiet(&mut world.command(&["pull", &name]));
        // Anywhere between its first request and its end: which moment it is does not matter.
        thread::sleep(Duration::from_micros(chance.u64(..400_000)));
        let kills_engine = round % 2 == 0;
        if kills_engine {
            world.crash_engine();
            world.start_engine();
        } else {
            kill_process(Pid::from_child(&pull), Signal::KILL).expect("it is ours");
        }
        let before = gate.asked("/blobs/").len();
        let pulls = [(); 3].map(|()| quiet(&mut world.command(&["pull", &name])));
        cut += usize::from(!pull.wait().expect("our child").success());
        for mut pull in pulls {
            assert!(pull.wait().expect("our child").success(), "round {round}");
        }
        let asked = gate.asked("/blobs/").split_off(before);
        for layer in layers.iter().filter(|_| kills_engine) {
            let mut parts: Vec<&String> = asked.iter().filter(|line| line.contains(layer)).collect();
            let all = parts.len();
            parts.sort();
            parts.dedup();
            assert_eq!(parts.len(), all, "round {round}: {asked:#?}");
        }
        assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
        assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "cat", "/end"]).ok(), "whole");
        world.dhow(&["rmi", &name]).exits(0);
    }
    assert!(cut > 0, "not one of {rounds} pulls was cut");
    assert_eq!(parts(&world), 0);
    world.is_in_order();
}

/// The digests of an image's layers in its registry.
fn layers(world: &World, name: &str) -> Vec<String> {
    let document = world.dhow(&["manifest", "inspect", name]).ok();
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let layers = document["layers"].as_array().expect("layers").iter();
    layers.map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
}

/// Ctrl-C, and a client that is killed: the pull ends, and what has come is kept for the next.
#[test]
fn a_pull_whose_client_goes_ends_and_goes_on_later() {
    let (_registry, name) = registry_with_an_image();
    let world = World::new(DHOW);
    for signal in [Signal::INT, Signal::KILL] {
        let mut pull = world.command(&["pull", &name]);
        let mut pull =
            pull.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        eventually("something has come, or all of it", || {
            parts(&world) > 1 << 20 || pull.try_wait().expect("our child").is_some()
        });
        kill_process(Pid::from_child(&pull), signal).expect("it is ours");
        pull.wait().expect("our child");
        world.dhow(&["pull", &name]).exits(0);
        assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "cat", "/end"]).ok(), "whole");
        world.dhow(&["rmi", &name]).exits(0);
        assert_eq!(parts(&world), 0);
    }
}

/// What is collected at the same time is never what comes, or what another image needs.
#[test]
fn images_that_are_removed_and_pruned_take_nothing_from_pulls() {
    let (registry, name) = registry_with_an_image();
    let (world, other) = (World::new(DHOW), registry.name("other:1"));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                world.import_busybox(&other);
                world.dhow(&["image", "prune", "-f"]).exits(0);
                world.dhow(&["rmi", &other]).exits(0);
            }
        });
        for _ in 0..rounds(8) {
            world.dhow(&["pull", &name]).exits(0);
            assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "cat", "/end"]).ok(), "whole");
            world.dhow(&["rmi", &name]).exits(0);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
    assert_eq!(world.dhow(&["images", "-aq"]).ok(), "");
    world.is_in_order();
}

/// A gigabyte that comes as a few megabytes, and megabytes that come as they are.
#[test]
fn a_pull_of_much_costs_little_memory() {
    let script = "dd if=/dev/zero of=/zeros bs=1M count=900 2>/dev/null; dd if=/dev/urandom of=/noise bs=1M count=100 2>/dev/null";
    let (_registry, name) = registry_with_what_is_made(script);
    let world = World::new(DHOW);
    world.dhow(&["pull", &name]).exits(0);
    let most = peak_memory(world.engine_pid().expect("it runs"));
    assert!(most < 100 << 10, "the engine took {most} KiB");
}

#[test]
fn a_pull_that_finds_no_room_leaves_nothing() {
    let (_registry, name) = registry_with_an_image();
    let world = World::on_small_disk(DHOW, 32);
    let before = world.dhow(&["system", "df"]).ok();
    world.dhow(&["pull", &name]).exits(1).says("no space left on device");
    assert_eq!(world.dhow(&["system", "df"]).ok(), before);
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
    assert_eq!(parts(&world), 0);
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
