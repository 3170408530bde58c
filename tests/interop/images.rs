//! Images between dhow, Docker, skopeo and podman.

use std::path::Path;
use std::process::Command;

use dhow_testkit::{StockEngine, World, busybox_tar, finish};

use crate::DHOW;
use crate::podman::Podman;

#[test]
fn docker_loads_what_dhow_saved_and_the_other_way_round() {
    let world = World::with_busybox(DHOW);
    let stock = StockEngine::start(&[]);
    let file = world.path().join("ours.tar").display().to_string();
    world.dhow(&["tag", "busybox", "ours:1"]).exits(0);
    world.dhow(&["save", "-o", &file, "ours:1"]).exits(0);
    let loaded = finish(&mut stock.command("docker", &["load", "-i", &file])).ok();
    assert_eq!(loaded, "Loaded image: ours:1");
    assert_eq!(finish(&mut stock.command("docker", &["run", "--rm", "ours:1", "echo", "theirs"])).ok(), "theirs");
    let theirs = finish(&mut stock.command("docker", &["inspect", "-f", "{{.Id}}", "ours:1"])).ok();
    assert_eq!(theirs, world.inspect("ours:1", "{{.Id}}"));

    let back = world.path().join("theirs.tar").display().to_string();
    finish(&mut stock.command("docker", &["save", "-o", &back, "busybox"])).exits(0);
    let other = World::new(DHOW);
    other.dhow(&["load", "-i", &back]).exits(0);
    assert_eq!(other.dhow(&["run", "--rm", "busybox", "echo", "ours"]).ok(), "ours");
}

#[test]
fn skopeo_reads_and_writes_our_archives() {
    let world = World::with_busybox(DHOW);
    let saved = world.path().join("saved.tar").display().to_string();
    world.dhow(&["save", "-o", &saved, "busybox"]).exits(0);
    for (source, target) in [
        (format!("docker-archive:{saved}"), "oci-archive"),
        (format!("oci-archive:{saved}"), "oci-archive"),
        (format!("docker-archive:{saved}"), "docker-archive"),
    ] {
        let copy = world.path().join(format!("{}-{target}.tar", source.len())).display().to_string();
        let skopeo = ["--insecure-policy", "copy", &source, &format!("{target}:{copy}:copied:1")];
        finish(Command::new("skopeo").args(skopeo)).exits(0);
        let other = World::new(DHOW);
        other.dhow(&["load", "-i", &copy]).exits(0);
        let id = other.dhow(&["images", "-q"]).ok();
        assert_eq!(other.dhow(&["run", "--rm", &id, "echo", "copied"]).ok(), "copied");
        std::fs::remove_file(copy).expect("it was there");
    }
}

/// A world with `busybox`, and `ours:1` of two layers on it.
fn two_images() -> World {
    let world = World::with_busybox(DHOW);
    world.dhow(&["run", "--name", "box", "--network", "none", "busybox", "sh", "-c", "seq 20000 > /numbers"]).exits(0);
    world.dhow(&["commit", "box", "middle"]).exits(0);
    let script = "rm /numbers; seq 5 > /numbers";
    world.dhow(&["run", "--name", "top", "--network", "none", "middle", "sh", "-c", script]).exits(0);
    world.dhow(&["commit", "-c", "CMD [\"tail\", \"-n1\", \"/numbers\"]", "top", "ours:1"]).exits(0);
    world
}

fn file(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

#[test]
fn several_images_go_through_one_archive_of_either_engine() {
    let (world, stock) = (two_images(), StockEngine::start(&[]));
    let docker = |args: &[&str]| finish(&mut stock.command("docker", args));
    docker(&["rmi", "busybox"]).exits(0);
    let (saved, back) = (file(world.path(), "saved.tar"), file(world.path(), "back.tar"));
    world.dhow(&["save", "-o", &saved, "busybox", "ours:1"]).exits(0);
    docker(&["load", "-i", &saved]).exits(0);
    docker(&["save", "-o", &back, "busybox", "ours:1"]).exits(0);
    let other = World::new(DHOW);
    other.dhow(&["load", "-i", &back]).exits(0);
    for image in ["busybox", "ours:1"] {
        let id = world.inspect(image, "{{.Id}}");
        assert_eq!(docker(&["inspect", "-f", "{{.Id}}", image]).ok(), id);
        assert_eq!(other.inspect(image, "{{.Id}}"), id);
    }
    assert_eq!(docker(&["run", "--rm", "ours:1"]).ok(), "5");
    assert_eq!(other.dhow(&["run", "--rm", "--network", "none", "ours:1"]).ok(), "5");
    // One of several, taken out of the archive by skopeo.
    let (one, third) = (file(world.path(), "one.tar"), World::new(DHOW));
    let source = format!("docker-archive:{saved}:ours:1");
    let skopeo = ["--insecure-policy", "copy", &source, &format!("docker-archive:{one}:taken:1")];
    finish(Command::new("skopeo").args(skopeo)).exits(0);
    third.dhow(&["load", "-i", &one]).exits(0);
    assert_eq!(third.inspect("taken:1", "{{.Id}}"), world.inspect("ours:1", "{{.Id}}"));
}

/// With its tag.
fn named(image: &str) -> String {
    if image.contains(':') { image.to_owned() } else { format!("{image}:latest") }
}

/// The IDs of the images that a podman has, in order.
fn ids(podman: &Podman) -> Vec<String> {
    let list = finish(&mut podman.command(&["images", "--all", "--quiet", "--no-trunc"])).ok();
    sorted(list.lines().map(str::to_owned).collect())
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines.dedup();
    lines
}

/// The same of ours.
fn ids_of(world: &World) -> Vec<String> {
    let list = world.dhow(&["images", "--all", "--quiet", "--no-trunc"]).ok();
    sorted(list.lines().map(str::to_owned).collect())
}

#[test]
fn podman_loads_what_dhow_saved() {
    let world = two_images();
    let saved = file(world.path(), "saved.tar");
    for images in [&["busybox"][..], &["ours:1"], &["busybox", "ours:1"]] {
        world.dhow(&[&["save", "-o", &saved], images].concat()).exits(0);
        let podman = Podman::new();
        finish(&mut podman.command(&["load", "-q", "-i", &saved])).exits(0);
        let expected = sorted(images.iter().map(|image| world.inspect(image, "{{.Id}}")).collect());
        assert_eq!(ids(&podman), expected, "{images:?}");
        for image in images {
            let id = finish(&mut podman.command(&["image", "inspect", "--format", "{{.Id}}", image])).ok();
            assert_eq!(format!("sha256:{id}"), world.inspect(image, "{{.Id}}"));
        }
        // What it has unpacked is what we packed: it comes back, and runs.
        let (back, other) = (file(podman.path(), "back.tar"), World::new(DHOW));
        finish(&mut podman.command(&[&["save", "-q", "-m", "-o", &back], images].concat())).exits(0);
        let loaded = other.dhow(&["load", "-q", "-i", &back]).ok();
        // Where there are several, podman reads Docker's part, and says of short names that they are of this host.
        let lines: Vec<String> = loaded.lines().map(|line| line.replace("localhost/", "")).collect();
        let named = images.iter().map(|image| format!("Loaded image: {}", named(image))).collect();
        assert_eq!(sorted(lines), sorted(named));
        assert_eq!(ids_of(&other), expected);
        for image in images {
            let id = world.inspect(image, "{{.Id}}");
            let said = other.dhow(&["run", "--rm", "--network", "none", &id, "tail", "-n1", "/numbers", "/etc/group"]);
            assert!(said.stdout().contains("alice"), "{said:?}");
            assert_eq!(said.stdout().contains("\n5\n"), *image == "ours:1", "{said:?}");
        }
        std::fs::remove_file(&saved).expect("it was there");
    }
}

/// A podman with an image of its own making beside one that came from us: both kinds of manifests.
fn podman_with_images() -> Podman {
    let (world, podman) = (two_images(), Podman::new());
    let saved = file(podman.path(), "saved.tar");
    world.dhow(&["save", "-o", &saved, "ours:1"]).exits(0);
    finish(&mut podman.command(&["load", "-q", "-i", &saved])).exits(0);
    let tree = file(podman.path(), "tree.tar");
    std::fs::write(&tree, busybox_tar()).expect("written");
    finish(&mut podman.command(&["import", "-q", "-c", "CMD [\"echo\", \"imported\"]", &tree, "theirs:1"])).exits(0);
    podman
}

#[test]
fn dhow_loads_what_podman_saved_in_every_format() {
    let podman = podman_with_images();
    let archive = file(podman.path(), "archive.tar");
    for (image, said) in [("ours:1", "5"), ("localhost/theirs:1", "imported")] {
        for format in ["docker-archive", "oci-archive", "oci-dir"] {
            let target = if format == "oci-dir" { file(podman.path(), "folder") } else { archive.clone() };
            finish(&mut podman.command(&["save", "-q", "--format", format, "-o", &target, image])).exits(0);
            if format == "oci-dir" {
                finish(Command::new("tar").args(["-C", &target, "-cf", &archive, "."])).exits(0);
                std::fs::remove_dir_all(&target).expect("it was there");
            }
            // The same archive to another podman: an image has the same ID on both sides.
            let (world, other) = (World::new(DHOW), Podman::new());
            let loaded = world.dhow(&["load", "-q", "-i", &archive]).ok();
            assert_eq!(loaded, format!("Loaded image: {image}"), "{format}");
            finish(&mut other.command(&["load", "-q", "-i", &archive])).exits(0);
            assert_eq!(ids_of(&world), ids(&other), "{format} of {image}");
            assert_eq!(world.dhow(&["run", "--rm", "--network", "none", image]).ok(), said, "{format}");
            std::fs::remove_file(&archive).expect("it was there");
        }
    }
    // Several images in one archive, and what is podman's alone.
    finish(&mut podman.command(&["save", "-q", "-m", "-o", &archive, "ours:1", "theirs:1"])).exits(0);
    let world = World::new(DHOW);
    let loaded = world.dhow(&["load", "-q", "-i", &archive]).ok();
    assert_eq!(loaded, "Loaded image: ours:1\nLoaded image: localhost/theirs:1");
    let folder = file(podman.path(), "folder");
    finish(&mut podman.command(&["save", "-q", "--format", "docker-dir", "-o", &folder, "ours:1"])).exits(0);
    finish(Command::new("tar").args(["-C", &folder, "-cf", &archive, "."])).exits(0);
    World::new(DHOW).dhow(&["load", "-i", &archive]).exits(1).says("invalid manifest.json in the archive");
}
