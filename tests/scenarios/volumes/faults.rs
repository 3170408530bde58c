//! What goes wrong with volumes and mounts leaves nothing half-made.

use std::fs;
use std::process::Stdio;

use dhow_testkit::{World, eventually, finish_with_input};

use super::refused;
use crate::{DHOW, busybox};

#[test]
fn a_full_disk_leaves_a_new_volume_empty_and_the_next_use_fills_it() {
    let world = World::on_small_disk(DHOW, 24);
    let mut busybox = dhow_testkit::busybox_tar();
    // Without the two blocks that end an archive.
    busybox.truncate(busybox.len() - 1024);
    let mut archive = tar::Builder::new(busybox);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(3 << 20);
    archive.append_data(&mut header, "big/file", &vec![b'x'; 3 << 20][..]).expect("writing to memory");
    let archive = archive.into_inner().expect("writing to memory");
    finish_with_input(&mut world.command(&["import", "-", "big"]), archive).exits(0);
    world.dhow(&["volume", "create", "data"]).exits(0);
    world.fill_disk();
    let use_it = ["run", "--rm", "-v", "data:/big", "big", "sh", "-c", "wc -c < /big/file"];
    refused(&world.dhow(&use_it));
    for kind in ["clone", "snapshot"] {
        refused(&world.dhow(&["volume", kind, "data", "copy"]));
    }
    let folder = world.data_root().join("volumes/data");
    assert_eq!(fs::read_dir(folder.join("_data")).expect("it is there").count(), 0);
    world.relieve_disk();
    assert_eq!(world.dhow(&use_it).ok(), (3 << 20).to_string());
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "data");
}

#[test]
fn files_and_folders_are_not_mounted_over_each_other() {
    let world = busybox();
    let file = world.path().join("file").display().to_string();
    fs::write(&file, "x").expect("written");
    for bind in [format!("{file}:/etc"), format!("{}:/etc/passwd", world.path().display())] {
        for client in [World::dhow, World::docker] {
            refused(&client(&world, &["run", "--rm", "-v", &bind, "busybox", "true"]))
                .says("not a directory: Are you trying to mount a directory onto a file");
        }
    }
    world.dhow(&["volume", "create", "data"]).exits(0);
    refused(&world.dhow(&["run", "--rm", "-v", "data:/etc/passwd", "busybox", "true"]))
        .says("not a directory: Are you trying to mount a directory onto a file");
    world.is_in_order();
}

/// An image with as many files in `/big` as keep an engine busy for a moment.
fn image_of_many_files(world: &World, files: usize) {
    let mut busybox = dhow_testkit::busybox_tar();
    // Without the two blocks that end an archive.
    busybox.truncate(busybox.len() - 1024);
    let mut archive = tar::Builder::new(busybox);
    for number in 0..files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        archive.append_data(&mut header, format!("big/{number}"), &[][..]).expect("writing to memory");
    }
    let archive = archive.into_inner().expect("writing to memory");
    finish_with_input(&mut world.command(&["import", "-", "big"]), archive).exits(0);
}

#[test]
fn what_is_mounted_is_filled_again_when_the_engine_was_killed_in_the_middle() {
    let mut world = busybox();
    image_of_many_files(&world, 20_000);
    let device = world.path().join("device");
    fs::create_dir(&device).expect("made");
    let option = format!("device={}", device.display());
    world.dhow(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &option, "data"]).exits(0);
    let mut command = world.command(&["create", "--name", "cut", "-v", "data:/big", "big", "true"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let filling = device.join(".dhow-filling");
    eventually("it is being filled", || filling.exists());
    world.crash_engine();
    assert!(!child.wait().expect("it ends").success() && filling.exists(), "too fast to be cut off");
    world.start_engine();
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
    // Who wants no copy sees none.
    world.dhow(&["run", "--rm", "-v", "data:/big:nocopy", "big", "true"]).exits(0);
    assert_eq!(fs::read_dir(&device).expect("it is there").count(), 0);
    // And who wants one finds it whole.
    let count = ["run", "--rm", "-v", "data:/big", "big", "sh", "-c", "ls -A /big | wc -l"];
    assert_eq!(world.dhow(&count).ok(), "20000");
    fs::remove_file(device.join("17")).expect("it is there");
    assert_eq!(world.dhow(&count).ok(), "19999", "what is there is not filled again");
    assert!(!world.data_root().join("volumes/data/filling-inside").exists());
}

#[test]
fn who_changes_one_volume_at_the_same_time_gets_clear_answers_and_a_kill_leaves_nothing_half_made() {
    let mut world = busybox();
    let (tar, rounds) = (world.path().join("base.tar").display().to_string(), 12);
    let files =
        ["run", "--rm", "-v", "base:/x", "busybox", "sh", "-c", "for n in 1 2 3 4 5 6; do echo $n > /x/$n; done"];
    world.dhow(&files).exits(0);
    world.dhow(&["volume", "backup", "-o", &tar, "base"]).exits(0);
    let lines: [&[&str]; 9] = [
        &["volume", "create", "one"],
        &["volume", "rm", "-f", "one"],
        &["volume", "clone", "base", "one"],
        &["volume", "import", "--replace", "one", &tar],
        &["volume", "rename", "one", "two"],
        &["volume", "rename", "two", "one"],
        &["volume", "backup", "one"],
        &["volume", "restore", "one", "base"],
        &["run", "--rm", "-v", "one:/x", "busybox", "true"],
    ];
    for round in 0..2 {
        std::thread::scope(|scope| {
            for line in lines {
                let world = &world;
                scope.spawn(move || {
                    for _ in 0..rounds {
                        let said = world.dhow(line).stderr();
                        assert!(!said.contains("no such file or directory"), "{line:?}: {said}");
                    }
                });
            }
        });
        if round == 0 {
            // In the middle of as much of it as possible.
            let children: Vec<_> = lines
                .map(|line| world.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs"))
                .into();
            world.crash_engine();
            children.into_iter().for_each(|mut child| drop(child.wait()));
            world.start_engine();
            let entries = fs::read_dir(world.data_root().join("volumes")).expect("it is there").flatten();
            let half: Vec<_> = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).collect();
            assert!(half.is_empty(), "{half:?}");
        }
    }
    let count = ["run", "--rm", "-v", "base:/x", "busybox", "sh", "-c", "ls /x | wc -l"];
    assert_eq!(world.dhow(&count).ok(), "6");
    world.is_in_order();
}
