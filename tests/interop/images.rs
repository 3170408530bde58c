//! Images between dhow, Docker, skopeo and podman.

use std::process::Command;

use dhow_testkit::{StockEngine, World, finish};

use crate::DHOW;

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
