//! Folders and files of the host inside a container.

use std::fs;
use std::process::Stdio;

use dhow_testkit::{World, eventually, finish_with_input};

use crate::busybox;

/// Whatever kind each is of: what is inside is mounted last, or writes would go through to the host.
/// The engine has one there already.
#[test]
fn a_tmpfs_whose_target_is_written_otherwise_is_mounted_over_the_engines() {
    let world = busybox();
    let mounts =
        world.dhow(&["run", "--rm", "--tmpfs", "/dev/shm/", "busybox", "grep", "/dev/shm", "/proc/mounts"]).ok();
    assert!(mounts.lines().last().is_some_and(|last| last.starts_with("tmpfs /dev/shm tmpfs")), "{mounts}");
}

#[test]
fn what_is_copied_into_a_container_takes_no_mounts_away() {
    let world = busybox();
    let file = |name: &str| world.path().join(name);
    fs::write(file("mounted"), "mounted").expect("written");
    fs::write(file("new"), "new").expect("written");
    let bind = |place: &str| format!("{}:{place}", file("mounted").display());
    world
        .dhow(&["run", "-d", "--name", "box", "-v", &bind("/ro:ro"), "-v", &bind("/rw"), "busybox", "sleep", "1000"])
        .exits(0);
    let new = file("new").display().to_string();
    world.dhow(&["cp", &new, "box:/ro"]).exits(1).says("read-only");
    assert_eq!(world.dhow(&["exec", "box", "cat", "/ro"]).ok(), "mounted");
    for place in ["/rw", "/etc/hosts"] {
        world.dhow(&["cp", &new, &format!("box:{place}")]).exits(0);
        assert_eq!(world.dhow(&["exec", "box", "cat", place]).ok(), "new");
        let mounted = world.dhow(&["exec", "box", "grep", "-c", &format!(" {place} "), "/proc/self/mountinfo"]);
        assert_eq!(mounted.ok(), "1", "{place} is not mounted any more");
    }
    assert_eq!(fs::read_to_string(file("mounted")).expect("it is there"), "new");
}

#[test]
fn memory_inside_of_a_bind_is_not_covered_by_it() {
    let world = busybox();
    let source = world.path().join("app");
    fs::create_dir_all(source.join("modules")).expect("made");
    let bind = format!("{}:/app", source.display());
    for client in [World::dhow, World::docker] {
        let flags = ["run", "--rm", "-v", &bind, "--tmpfs", "/app/modules", "busybox", "touch", "/app/modules/file"];
        client(&world, &flags).exits(0);
        assert_eq!(fs::read_dir(source.join("modules")).expect("it is there").count(), 0);
    }
}

#[test]
fn bind_mounts_in_both_spellings() {
    let world = busybox();
    let folder = world.path().join("shared");
    fs::create_dir(&folder).expect("made");
    fs::write(folder.join("file"), "from host").expect("written");
    let source = folder.display().to_string();
    let volume = format!("{source}:/data");
    assert_eq!(
        world
            .dhow(&["run", "--rm", "-v", &volume, "busybox", "sh", "-c", "cat /data/file; echo back > /data/new"])
            .ok(),
        "from host"
    );
    assert_eq!(fs::read_to_string(folder.join("new")).expect("written inside"), "back\n");
    let read_only = format!("{source}:/data:ro");
    world
        .dhow(&["run", "--rm", "-v", &read_only, "busybox", "touch", "/data/x"])
        .exits(1)
        .says("Read-only file system");
    let mount = format!("type=bind,source={source},target=/data,readonly");
    assert_eq!(world.dhow(&["run", "--rm", "--mount", &mount, "busybox", "cat", "/data/file"]).ok(), "from host");
    let single = format!("{source}/file:/etc/single");
    assert_eq!(world.dhow(&["run", "--rm", "-v", &single, "busybox", "cat", "/etc/single"]).ok(), "from host");
}

#[test]
fn the_short_form_makes_a_missing_source() {
    let world = busybox();
    let source = world.path().join("not/there");
    world.dhow(&["run", "--rm", "-v", &format!("{}:/data", source.display()), "busybox", "true"]).exits(0);
    assert!(source.is_dir());
}

#[test]
fn tmpfs_and_a_read_only_root() {
    let world = busybox();
    let output = world.dhow(&[
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/scratch",
        "busybox",
        "sh",
        "-c",
        "echo x > /scratch/x && cat /scratch/x; echo y > /y",
    ]);
    assert_eq!(output.stdout(), "x\n");
    output.says("Read-only file system");
}

#[test]
fn a_mount_over_a_link_in_the_image_stays_in_the_container() {
    let world = busybox();
    let folder = world.path().join("host");
    fs::create_dir(&folder).expect("made");
    // The image's own link points at a place of the host; the mount must resolve it inside the container.
    world.dhow(&["run", "--name", "linked", "busybox", "ln", "-s", "/etc", "/link"]).exits(0);
    let volume = format!("{}:/link/../tmp/inner", folder.display());
    world.dhow(&["run", "--rm", "-v", &volume, "busybox", "sh", "-c", "touch /tmp/inner/here"]).exits(0);
    assert!(folder.join("here").exists());
}

#[test]
fn devices_are_given_by_name_and_no_others_can_be_made() {
    let world = busybox();
    world.dhow(&["run", "--rm", "--device", "/dev/zero:/dev/nil", "busybox", "head", "-c", "1", "/dev/nil"]).exits(0);
    world
        .dhow(&["run", "--rm", "busybox", "sh", "-c", "mknod /x b 7 0 && cat /x"])
        .exits(1)
        .says("Operation not permitted");
    world.dhow(&["run", "--rm", "busybox", "sh", "-c", "echo hi > /dev/null; head -c 4 /dev/urandom | wc -c"]).exits(0);
}

/// An engine that dies while it copies an image's files into a new volume leaves no half of them.
#[test]
fn a_volume_is_filled_wholly_or_not_at_all() {
    const FILES: usize = 20_000;
    let mut world = busybox();
    let mut busybox = dhow_testkit::busybox_tar();
    // Without the two blocks that end an archive.
    busybox.truncate(busybox.len() - 1024);
    let mut archive = tar::Builder::new(busybox);
    for number in 0..FILES {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(4);
        archive.append_data(&mut header, format!("many/{number}"), &b"text"[..]).expect("writing to memory");
    }
    let archive = archive.into_inner().expect("writing to memory");
    finish_with_input(&mut world.command(&["import", "-", "many"]), archive).exits(0);
    let volume = world.data_root().join("volumes/many");
    let mut create = world.command(&["create", "-v", "many:/many", "many", "true"]);
    let mut create = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let begun = |folder: &str| fs::read_dir(volume.join(folder)).is_ok_and(|mut entries| entries.next().is_some());
    eventually("the copy has begun", || begun("_data") || begun("filling"));
    world.crash_engine();
    create.wait().expect("it ends");
    world.start_engine();
    let count = world.dhow(&["run", "--rm", "-v", "many:/many", "many", "sh", "-c", "ls /many | wc -l"]).ok();
    assert_eq!(count, FILES.to_string());
}
