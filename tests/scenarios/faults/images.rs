//! What a disk does to images, when it damages them, loses them or has no room for them: they heal, or can at least be
//! taken away.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use dhow_testkit::{Gate, Registry, World};

use super::pulls::parts;
use super::{chance, rounds};
use crate::{DHOW, busybox};

/// A registry with `low:1`, two layers on busybox, and `app:1` with one more on these.
fn registry_with_two_images() -> Registry {
    let (maker, registry) = (busybox(), Registry::start());
    let (first, low, app) = (registry.name("first:1"), registry.name("low:1"), registry.name("app:1"));
    for (number, (from, to)) in
        [("busybox", &first), (first.as_str(), &low), (low.as_str(), &app)].into_iter().enumerate()
    {
        let (name, script) = (format!("box{number}"), format!("seq 30000 > /file{number}; echo {number} > /last"));
        maker.dhow(&["run", "--name", &name, "--network", "none", from, "sh", "-c", &script]).exits(0);
        maker.dhow(&["commit", &name, to]).exits(0);
    }
    for name in [&low, &app] {
        maker.dhow(&["push", name]).exits(0);
    }
    registry
}

/// What `app:1` says where it is whole.
const WHOLE: &str = "30000\n30000\n30000\n2";

fn read(world: &World, name: &str) -> String {
    let script = "for file in /file?; do tail -n1 $file; done; cat /last";
    world.dhow(&["run", "--rm", "--network", "none", name, "sh", "-c", script]).ok()
}

/// The folders of layers that have a file; all for none.
fn layers_with(world: &World, file: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(world.data_root().join("layers")).expect("a folder").flatten().map(|entry| entry.path());
    all.filter(|layer| layer.join("diff").join(file).exists()).collect()
}

fn is_sound(world: &World) {
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
}

/// Whoever removes a broken image and pulls it again has a good one: also where another image keeps the broken layer.
#[test]
fn a_broken_image_that_is_removed_and_pulled_again_is_whole() {
    let registry = registry_with_two_images();
    let (low, app) = (registry.name("low:1"), registry.name("app:1"));
    let world = World::new(DHOW);
    world.dhow(&["pull", &app]).exits(0);
    let damages: [fn(PathBuf); 3] = [
        |file| fs::write(file, "").expect("emptied"),
        // As a cut of power leaves files: of the right size, without what was in them.
        |file| fs::write(&file, vec![0; fs::metadata(&file).expect("there").len() as usize]).expect("zeroed"),
        |file| fs::remove_file(file).expect("removed"),
    ];
    for kept_by_another in [false, true] {
        for damage in damages {
            if kept_by_another {
                world.dhow(&["pull", &low]).exits(0);
            }
            for layer in layers_with(&world, "file1") {
                damage(layer.join("diff/file1"));
            }
            world.dhow(&["rmi", &app]).exits(0);
            world.dhow(&["pull", &app]).exits(0);
            assert_eq!(read(&world, &app), WHOLE, "kept by another: {kept_by_another}");
            is_sound(&world);
        }
    }
}

/// Two lower layers are broken while the uppermost one is unpacked.
#[test]
fn an_image_whose_lower_layers_are_broken_is_pulled_whole() {
    let registry = registry_with_two_images();
    let (low, app) = (registry.name("low:1"), registry.name("app:1"));
    let mut world = World::new(DHOW);
    let damages: [fn(PathBuf); 3] = [
        // Everything in it, and what is written beside it.
        |layer| {
            let files = walk(&layer);
            assert!(!files.is_empty());
            files.iter().for_each(|file| fs::write(file, "").expect("emptied"));
        },
        |layer| fs::remove_dir_all(layer.join("diff")).expect("removed"),
        |layer| fs::remove_dir_all(layer).expect("removed"),
    ];
    for damage in damages {
        world.dhow(&["pull", &low]).exits(0);
        world.stop_engine();
        for file in ["file0", "file1"] {
            let layers = layers_with(&world, file);
            assert_eq!(layers.len(), 1);
            layers.into_iter().for_each(damage);
        }
        world.start_engine();
        world.dhow(&["pull", &app]).exits(0);
        assert_eq!(read(&world, &app), WHOLE);
        is_sound(&world);
        world.dhow(&["rmi", &app, &low]).exits(0);
        world.is_in_order();
    }
}

/// All ordinary files below a folder.
fn walk(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.file_type().expect("known") {
            kind if kind.is_dir() => found.extend(walk(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// A disk has lost folders of layers, whichever: whatever cleans up still does, and afterwards everything can be had again.
#[test]
fn what_cleans_up_works_though_layers_have_vanished() {
    let registry = registry_with_two_images();
    let (low, app) = (registry.name("low:1"), registry.name("app:1"));
    let mut world = World::new(DHOW);
    let mut chance = chance();
    for round in 0..rounds(6) {
        world.dhow(&["pull", &low]).exits(0);
        world.dhow(&["run", "--name", "box", "--network", "none", &app, "touch", "/mine"]).exits(0);
        // With and without an engine that has them in its memory.
        let stops = round % 2 == 0;
        if stops {
            world.stop_engine();
        }
        let lost: Vec<PathBuf> = layers_with(&world, "").into_iter().filter(|_| chance.bool()).collect();
        let pieces = ["", "diff"].map(|piece| lost.iter().map(move |layer| layer.join(piece)));
        let [whole, below] = pieces;
        let removed: Vec<PathBuf> = if chance.bool() { whole.collect() } else { below.collect() };
        removed.iter().for_each(|folder| fs::remove_dir_all(folder).expect("it was there"));
        if stops {
            world.start_engine();
        }
        for command in [
            &["images", "-a"][..],
            &["system", "df", "-v"],
            &["ps", "-as"],
            &["image", "inspect", &app],
            &["history", &app],
            &["container", "prune", "-f"],
            &["rmi", &low],
            &["image", "prune", "-f"],
            &["image", "prune", "-af"],
            &["system", "prune", "-af"],
        ] {
            let done = world.dhow(command);
            assert_eq!(done.code(), 0, "{command:?} without {removed:?}: {done:?}");
        }
        assert_eq!(world.dhow(&["images", "-aq"]).ok(), "");
        assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
        world.dhow(&["pull", &app]).exits(0);
        assert_eq!(read(&world, &app), WHOLE);
        is_sound(&world);
        world.dhow(&["rmi", &app]).exits(0);
        world.is_in_order();
    }
}

/// The disk fills up at each step of a pull; with space again the same engine pulls the same image.
#[test]
fn a_pull_goes_on_when_there_is_space_again_wherever_it_ended() {
    let registry = registry_with_two_images();
    let world = World::on_small_disk(DHOW, 24);
    world.dhow(&["pull", &registry.name("low:1")]).exits(0);
    world.dhow(&["rmi", &registry.name("low:1")]).exits(0);
    let before = world.dhow(&["system", "df"]).ok();
    // Which request it is after which nothing is free any more: the manifest's, the config's, the layers'.
    for at in 0..6 {
        let ((asks, asked), (go, going)) = (channel(), channel());
        let ended = asks.clone();
        let turn = Mutex::new((0, asks, going));
        let gate = Gate::before(&registry, move |request, _| {
            let mut turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            if request.target.contains("/app/") {
                turn.0 += 1;
                if turn.0 == at + 1 {
                    // A test that has failed listens no more.
                    let _ = (turn.1.send(true), turn.2.recv());
                }
            }
            Ok(false)
        });
        let name = gate.name("app:1");
        let mut pull = world.command(&["pull", "-q", &name]);
        let refused = std::thread::scope(|scope| {
            let pull = scope.spawn(move || {
                let outcome = dhow_testkit::finish(&mut pull);
                // A test that has got as far as this listens no more.
                let _ = ended.send(false);
                outcome
            });
            assert_eq!(asked.recv(), Ok(true), "a pull asks for more than {at} things");
            world.fill_disk();
            go.send(()).expect("it waits");
            pull.join().expect("no panic")
        });
        let said = refused.stderr().to_lowercase();
        assert!(refused.code() == 1 && (said.contains("no space left") || said.contains("full")), "{at}: {refused:?}");
        world.dhow(&["images"]).exits(0);
        world.relieve_disk();
        assert_eq!(world.dhow(&["system", "df"]).ok(), before, "{at}");
        assert_eq!(parts(&world), 0, "{at}");
        world.dhow(&["pull", "-q", &name]).exits(0);
        assert_eq!(read(&world, &name), WHOLE);
        is_sound(&world);
        world.dhow(&["rmi", &name]).exits(0);
    }
    world.is_in_order();
}
