//! What a disk does to images, and how they are healed.

use std::fs;
use std::path::{Path, PathBuf};

use dhow_testkit::{Registry, World};

use crate::{DHOW, busybox, registry_with_what_is_made};

/// A world with `REGISTRY/app:1` pulled, an image of busybox and some files.
fn pulled() -> (World, Registry, String) {
    let script = "echo kept > /kept; ln /kept /other; mkdir -p /a/b; seq 1000 > /a/b/numbers";
    let (registry, name) = registry_with_what_is_made(script);
    let world = World::new(DHOW);
    world.dhow(&["pull", &name]).exits(0);
    (world, registry, name)
}

/// A file of an unpacked layer.
fn in_a_layer(world: &World, path: &str) -> PathBuf {
    let layers = fs::read_dir(world.data_root().join("layers")).expect("layers").flatten();
    let mut found = layers.map(|entry| entry.path().join("diff").join(path)).filter(|path| path.exists());
    found.next().unwrap_or_else(|| panic!("no layer has {path}"))
}

/// The largest blob: the layer with busybox.
fn largest_blob(world: &World) -> PathBuf {
    let blobs = fs::read_dir(world.data_root().join("content/sha256")).expect("blobs").flatten();
    blobs.max_by_key(|entry| entry.metadata().map_or(0, |it| it.len())).expect("a blob").path()
}

/// Changes bytes, but not the size.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(path, bytes).expect("written");
}

fn kept(world: &World, name: &str) -> String {
    world.dhow(&["run", "--rm", "--network", "none", name, "sh", "-c", "cat /kept /other; tail -n1 /a/b/numbers"]).ok()
}

#[test]
fn a_damaged_layer_is_healed_from_its_blob() {
    let (world, _registry, name) = pulled();
    assert!(world.dhow(&["system", "check"]).ok().ends_with("Nothing is damaged"));
    flip(&in_a_layer(&world, "kept"));
    let found = world.dhow(&["system", "check"]);
    assert!(found.exits(1).stdout().contains("kept has other contents"), "no size has changed, but the file has");
    let found = world.dhow(&["system", "check", "--deep"]);
    assert!(found.exits(1).stdout().contains("kept has other contents"), "{}", found.stdout());
    fs::remove_dir_all(in_a_layer(&world, "a")).expect("removed");
    let found = world.dhow(&["system", "check"]);
    assert!(found.exits(1).stdout().contains(&name), "{}", found.stdout());
    let healed = world.dhow(&["system", "check", "--deep", "--repair"]).ok();
    assert!(healed.contains("healed from its blob") && healed.ends_with("1 damaged, 1 of them healed"), "{healed}");
    assert_eq!(kept(&world, &name), "kept\nkept\n1000");
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
}

#[test]
fn a_damaged_blob_is_healed_from_its_registry_and_a_layer_after_it() {
    let (world, registry, name) = pulled();
    flip(&largest_blob(&world));
    fs::write(in_a_layer(&world, "bin/busybox"), "").expect("emptied");
    let healed = world.dhow(&["system", "check", "--deep", "--repair"]).ok();
    assert!(healed.contains(&format!("healed from {}", registry.address())), "{healed}");
    assert!(healed.contains("healed from its blob"), "{healed}");
    assert_eq!(kept(&world, &name), "kept\nkept\n1000");
    // Where the registry is gone, it says so and stays as it was.
    flip(&largest_blob(&world));
    drop(registry);
    let found = world.dhow(&["system", "check", "--deep", "--repair"]);
    assert!(found.exits(1).stdout().contains("not healed: "), "{}", found.stdout());
}

#[test]
fn a_registry_that_wants_a_name_is_shown_what_a_person_logged_in_with() {
    let (world, registry) = (busybox(), Registry::guarded());
    let name = registry.name("app:1");
    world.dhow(&["tag", "busybox", &name]).exits(0);
    world.dhow(&["login", "-u", "me", "-p", "secret", &registry.address()]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    world.dhow(&["rmi", "busybox", &name]).exits(0);
    world.dhow(&["pull", &name]).exits(0);
    flip(&largest_blob(&world));
    let healed = world.dhow(&["system", "check", "--deep", "--repair"]).ok();
    assert!(healed.contains(&format!("healed from {}", registry.address())), "{healed}");
    flip(&largest_blob(&world));
    world.dhow(&["logout", &registry.address()]).exits(0);
    let found = world.dhow(&["system", "check", "--deep", "--repair"]);
    assert!(found.exits(1).stdout().contains("not healed: "), "{}", found.stdout());
}

#[test]
fn a_pull_of_what_is_here_heals_it() {
    let (world, _registry, name) = pulled();
    fs::write(in_a_layer(&world, "kept"), "").expect("emptied");
    world.dhow(&["pull", &name]).exits(0);
    assert_eq!(kept(&world, &name), "kept\nkept\n1000");
    fs::remove_file(largest_blob(&world)).expect("removed");
    world.dhow(&["pull", &name]).exits(0);
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
    // Of the same size, but with other bytes.
    fs::write(in_a_layer(&world, "kept"), "KEPT\n").expect("written");
    flip(&largest_blob(&world));
    world.dhow(&["pull", &name]).exits(0);
    assert_eq!(kept(&world, &name), "kept\nkept\n1000");
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
}

/// Whoever brings an image once more has the good data in his hands.
#[test]
fn what_is_brought_once_more_heals_what_is_here() {
    let (world, _registry, name) = pulled();
    let archive = world.path().join("app.tar").display().to_string();
    world.dhow(&["save", "-o", &archive, &name]).exits(0);
    let (layer, blob) = (in_a_layer(&world, "kept"), largest_blob(&world));
    let damages: [&dyn Fn(); 3] = [&|| flip(&layer), &|| flip(&blob), &|| fs::remove_file(&layer).expect("removed")];
    for damage in damages {
        damage();
        world.dhow(&["load", "-i", &archive]).exits(0);
        assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
    }
    assert_eq!(kept(&world, &name), "kept\nkept\n1000");
    // The layer of busybox, from a file system that is imported again.
    flip(&in_a_layer(&world, "bin/busybox"));
    world.import_busybox("again");
    assert!(world.dhow(&["system", "check", "--deep"]).ok().ends_with("Nothing is damaged"));
}

#[test]
fn a_start_that_a_damaged_image_fails_names_the_remedy() {
    let (world, _registry, name) = pulled();
    fs::remove_file(in_a_layer(&world, "bin/seq")).expect("removed");
    let run = world.dhow(&["run", "--rm", "--network", "none", &name, "/bin/seq", "3"]);
    run.exits(127).says("no such file or directory").says("`dhow system check --repair` heals it");
    world.dhow(&["system", "check", "--repair"]).exits(0);
    assert_eq!(world.dhow(&["run", "--rm", "--network", "none", &name, "/bin/seq", "3"]).ok(), "1\n2\n3");
    // A program that is missing for another reason is nobody's fault but the caller's.
    let run = world.dhow(&["run", "--rm", "--network", "none", &name, "/no/such"]);
    assert!(!run.exits(127).stderr().contains("system check"));
}

#[test]
fn a_running_container_sees_what_was_healed() {
    let (world, _registry, name) = pulled();
    world.dhow(&["run", "-d", "--name", "user", "--network", "none", &name, "sleep", "1000"]).exits(0);
    fs::write(in_a_layer(&world, "kept"), "").expect("emptied");
    world.dhow(&["system", "check", "--repair"]).exits(0);
    assert_eq!(world.dhow(&["exec", "user", "cat", "/kept", "/other"]).ok(), "kept\nkept");
}
