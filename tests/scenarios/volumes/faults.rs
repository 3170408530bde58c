//! What goes wrong with volumes and mounts leaves nothing half-made.

use std::fs;

use dhow_testkit::{World, finish_with_input};

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
