//! Copies to and from a file server that is dead end with an answer, and keep nobody from anything else.

use std::fs;
use std::process::Stdio;

use dhow_testkit::{World, eventually};

use super::crash::{Step, kill_at_work};
use super::hung_mount::HungMount;
use super::{chance, rounds};
use crate::DHOW;

const GIVEN_UP: &str = "given up: nothing has happened for 2 s";

/// A world whose engine waits two seconds, with a mount that hangs as soon as what is in it is asked for.
fn world_with_hung_mount() -> (World, HungMount) {
    let world = World::with_flags(DHOW, &["--plugin-deadline", "2"]);
    world.import_busybox("busybox");
    fs::write(world.path().join("file"), "text").expect("written");
    let hung = HungMount::at(&world.path().join("hung"));
    (world, hung)
}

#[test]
fn copies_from_and_to_a_dead_file_server_are_given_up_in_running_and_stopped_containers() {
    let (world, hung) = world_with_hung_mount();
    let volume = format!("{}:/hung", world.path().join("hung").display());
    let file = world.path().join("file").display().to_string();
    world.dhow(&["run", "-d", "--name", "runs", "-v", &volume, "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["create", "--name", "stands", "-v", &volume, "busybox", "sleep", "1000"]).exits(0);
    for name in ["runs", "stands"] {
        let out = world.path().join("out").display().to_string();
        let from = world.dhow(&["cp", &format!("{name}:/hung/file"), &out]);
        assert_ne!(from.code(), 0, "{from:?}");
        // The folder itself is known, and what is in it is not: the archive has begun by then.
        world.dhow(&["cp", &format!("{name}:/hung"), &out]).exits(1).says("unexpected EOF");
        let into = world.docker(&["cp", &file, &format!("{name}:/hung/file")]);
        assert_ne!(into.code(), 0, "{into:?}");
        world.docker(&["cp", &file, &format!("{name}:/hung")]).exits(1).says(GIVEN_UP);
        // What is beside it is copied as ever.
        world.dhow(&["cp", &file, &format!("{name}:/tmp/file")]).exits(0);
        assert_eq!(world.docker(&["cp", &format!("{name}:/tmp/file"), "-"]).code(), 0);
    }
    // Who writes keeps others from starting it, but not when they have been given up.
    world.dhow(&["start", "stands"]).exits(0);
    assert_eq!(world.dhow(&["exec", "stands", "cat", "/tmp/file"]).ok(), "text");
    world.dhow(&["rm", "-f", "runs", "stands"]).exits(0);
    drop(hung);
    world.is_in_order();
}

#[test]
fn who_asked_for_a_copy_and_has_gone_keeps_no_container_from_starting() {
    let (world, hung) = world_with_hung_mount();
    let volume = format!("{}:/hung", world.path().join("hung").display());
    let file = world.path().join("file").display().to_string();
    world.dhow(&["create", "--name", "stands", "-v", &volume, "busybox", "sleep", "1000"]).exits(0);
    let mut copy = world.command(&["cp", &file, "stands:/hung"]);
    let mut copy = copy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    eventually("it waits for the file server", || hung.has_questions());
    copy.kill().expect("it is ours");
    copy.wait().expect("it ends");
    world.dhow(&["start", "stands"]).exits(0);
    world.dhow(&["rm", "-f", "stands"]).exits(0);
    drop(hung);
    world.is_in_order();
}

/// Whoever waits for a dead file server cannot be frozen, so that what it writes cannot be copied as it was at one moment.
#[test]
fn a_volume_of_a_container_that_cannot_be_frozen_is_not_copied_and_the_others_go_on() {
    let (world, hung) = world_with_hung_mount();
    let folder = format!("{}:/hung", world.path().join("hung").display());
    let count = "n=0; while :; do echo $n > /d/n; n=$((n+1)); sleep 0.01; done";
    world.dhow(&["run", "-d", "--name", "counts", "-v", "data:/d", "busybox", "sh", "-c", count]).exits(0);
    let waits = ["-v", "data:/d", "-v", &folder, "busybox", "cat", "/hung/file"];
    world.dhow(&[&["run", "-d", "--name", "waits"], &waits[..]].concat()).exits(0);
    eventually("it waits for the file server", || hung.has_questions());
    for copy in ["snapshot", "clone"] {
        world.dhow(&["volume", copy, "data", "copy"]).exits(1).says("a process does not stop");
    }
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "data");
    for name in ["counts", "waits"] {
        assert_eq!(world.inspect(name, "{{.State.Status}}"), "running");
    }
    let counted = || fs::read_to_string(world.data_root().join("volumes/data/_data/n")).expect("it is there");
    let before = counted();
    eventually("the other one goes on", || counted() != before);
    drop(hung);
    world.dhow(&["rm", "-f", "counts", "waits"]).exits(0);
    world.is_in_order();
}

#[test]
fn an_engine_starts_and_answers_whatever_lies_on_a_dead_file_server() {
    let (mut world, hung) = world_with_hung_mount();
    let place = world.path().join("hung").display().to_string();
    let device = format!("device={place}");
    world.dhow(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "top"]).exits(0);
    world.dhow(&["run", "-d", "--name", "uses", "-v", "top:/x:nocopy", "busybox", "sleep", "1000"]).exits(0);
    let names = ["one", "two", "three", "four"];
    let mount = format!("type=bind,src={place},dst=/w,idmap");
    for name in names {
        world.dhow(&["create", "--name", name, "--mount", &mount, "busybox"]).exits(0);
    }
    world.crash_engine();
    hung.die();
    world.start_engine();
    assert_eq!(world.inspect("uses", "{{.State.Status}}"), "running");
    // More of them than the engine has threads for answers.
    let file = world.path().join("file").display().to_string();
    let copy = |name: &str| {
        let mut command = world.command(&["cp", &file, &format!("{name}:/tmp/file")]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs")
    };
    let copies = names.map(copy);
    eventually("they wait for the file server", || hung.has_questions());
    world.dhow(&["ps", "-a"]).exits(0);
    for copy in copies {
        let ended = copy.wait_with_output().expect("it ends");
        assert!(String::from_utf8_lossy(&ended.stderr).contains(GIVEN_UP), "{ended:?}");
    }
    drop(hung);
    world.dhow(&[&["rm", "-f", "uses"], &names[..]].concat()).exits(0);
    world.is_in_order();
}

/// What makes the namespace of an id-mapped mount dies with the engine, and holds nothing of it.
#[test]
fn an_engine_killed_while_ids_are_mapped_leaves_nothing() {
    let mut world = World::with_flags(DHOW, &[]);
    world.import_busybox("busybox");
    let mount = format!("type=bind,src={},dst=/w,idmap", world.path().display());
    for name in ["one", "two"] {
        world.dhow(&["create", "--name", name, "--mount", &mount, "busybox"]).exits(0);
    }
    let mut chance = chance();
    let copy: Step = |door, client, _| {
        let name = if client % 2 == 0 { "one" } else { "two" };
        door.ask("GET", &format!("/containers/{name}/archive?path=/w/daemon.toml"), "").map(drop)
    };
    for _ in 0..rounds(4) {
        kill_at_work(&mut world, &mut chance, (copy, 1));
    }
    world.is_in_order();
}

#[test]
fn a_volume_that_is_never_mounted_and_a_live_backup_are_given_up() {
    let (world, hung) = world_with_hung_mount();
    for (name, below) in [("behind", "hung/below"), ("top", "hung")] {
        let device = format!("device={}", world.path().join(below).display());
        world.dhow(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, name]).exits(0);
    }
    world.dhow(&["create", "--name", "box", "-v", "behind:/x:nocopy", "busybox", "sleep", "1000"]).exits(0);
    let file = world.path().join("file").display().to_string();
    // The first question, what is there, has taken the volume's turn along.
    world.dhow(&["cp", &file, "box:/x"]).exits(1).says("volume behind is busy");
    world.dhow(&["rm", "-f", "box"]).exits(0);
    // A live backup reads the volume itself.
    let tar = world.path().join("tar").display().to_string();
    world.dhow(&["volume", "backup", "--live", "-o", &tar, "top"]).exits(1).says(GIVEN_UP);
    world.dhow(&["volume", "backup", "--live", "--image", "kept", "top"]).exits(1).says(GIVEN_UP);
    assert!(!fs::exists(&tar).expect("looked up"), "no half of an archive is kept");
    assert_eq!(world.dhow(&["images", "-q", "kept"]).ok(), "");
    drop(hung);
    eventually("nobody uses them any more", || world.dhow(&["volume", "rm", "-f", "behind", "top"]).code() == 0);
    world.is_in_order();
}
