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
    for target in ["/etc/passwd", "/bin/busybox"] {
        refused(&world.dhow(&["run", "--rm", "--tmpfs", target, "busybox", "true"])).says(&format!(
            "mount tmpfs on {target}: not a directory: Are you trying to mount a directory onto a file"
        ));
    }
    let dangling = world.path().join("dangling").display().to_string();
    std::os::unix::fs::symlink("nowhere", &dangling).expect("a new name");
    let mount = format!("type=bind,src={dangling},dst=/m");
    refused(&world.docker(&["run", "--rm", "--mount", &mount, "busybox", "true"]))
        .says(&format!("bind source path does not exist: {dangling}"));
    refused(&world.dhow(&["run", "--rm", "-v", &format!("{dangling}:/m"), "busybox", "true"]))
        .says(&format!("error while creating mount source path '{dangling}': mkdir {dangling}: file exists"));
    for mode in ["", "ro,", ",ro", "ro,,z"] {
        let bind = format!("{}:/m:{mode}", world.path().display());
        refused(&world.docker(&["run", "--rm", "-v", &bind, "busybox", "true"])).says("invalid");
    }
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
fn a_volume_is_copied_before_it_is_filled_or_when_it_is_whole() {
    let world = busybox();
    image_of_many_files(&world, 20_000);
    world.dhow(&["volume", "create", "plain"]).exits(0);
    world.dhow(&["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "mounted"]).exits(0);
    world.dhow(&["run", "-d", "--name", "keeps", "-v", "mounted:/m:nocopy", "busybox", "sleep", "1000"]).exits(0);
    for volume in ["plain", "mounted"] {
        let mut create = world.command(&["create", "-v", &format!("{volume}:/big"), "big", "true"]);
        let mut create = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        for number in 0.. {
            let copy = format!("{volume}{number}");
            world.dhow(&["volume", "clone", volume, &copy]).exits(0);
            let data = world.data_root().join("volumes").join(&copy).join("_data");
            let count = fs::read_dir(&data).expect("it is there").count();
            assert!(count == 0 || count == 20_000, "{copy}: {count}");
            if create.try_wait().expect("it is ours").is_some() {
                break;
            }
        }
    }
}

#[test]
fn a_volume_whose_folder_somebody_has_removed_goes_when_it_is_removed() {
    let world = busybox();
    for flags in [&["volume", "rm"][..], &["volume", "rm", "-f"]] {
        world.dhow(&["volume", "create", "gone"]).exits(0);
        fs::remove_dir_all(world.data_root().join("volumes/gone")).expect("it is there");
        world.dhow(&[flags, &["gone"]].concat()).exits(0);
        assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "");
    }
    world.dhow(&["run", "--rm", "-v", "gone:/g", "busybox", "true"]).exits(0);
}

#[test]
fn what_an_administrator_has_put_elsewhere_is_used_there_and_never_deleted() {
    let mut world = busybox();
    image_of_many_files(&world, 3);
    let volumes = world.data_root().join("volumes");
    world.dhow(&["volume", "create", "far"]).exits(0);
    world.stop_engine();
    // Another disk than that of the data root, as a rule.
    let disk = tempfile::tempdir_in("/dev/shm").expect("a folder");
    fs::remove_dir(volumes.join("far/_data")).expect("it is empty");
    std::os::unix::fs::symlink(disk.path(), volumes.join("far/_data")).expect("a new name");
    fs::create_dir_all(volumes.join(".snapshots/1")).expect("made");
    fs::create_dir_all(volumes.join(".copy:1/_data")).expect("made");
    world.start_engine();
    assert!(volumes.join(".snapshots/1").exists() && !volumes.join(".copy:1").exists());
    let count = ["run", "--rm", "-v", "far:/big", "big", "sh", "-c", "ls -A /big | wc -l"];
    assert_eq!(world.dhow(&count).ok(), "3");
    assert_eq!(fs::read_dir(disk.path()).expect("it is there").count(), 3);
    world.dhow(&["volume", "snapshot", "far", "before"]).exits(0);
    refused(&world.dhow(&["volume", "restore", "far", "before"])).says("far/_data is a link or a mount");
    fs::create_dir(volumes.join("strange")).expect("made");
    refused(&world.dhow(&["volume", "create", "strange"])).says("cannot read what volume it is");
    world.dhow(&["volume", "rm", "far"]).exits(0);
    assert_eq!(fs::read_dir(disk.path()).expect("it is there").count(), 3, "only the link is the volume's");
}

/// Killed between a volume and the record of the container that it was made for: nobody would ever remove it.
#[test]
fn a_volume_that_was_made_for_nobody_is_removed_and_one_that_was_left_behind_is_not() {
    let mut world = busybox();
    image_of_many_files(&world, 20_000);
    world.dhow(&["create", "--name", "kept", "-v", "/v", "busybox"]).exits(0);
    world.dhow(&["create", "--name", "gone", "-v", "/v", "busybox"]).exits(0);
    world.dhow(&["create", "--name", "shared", "-v", "/v", "busybox"]).exits(0);
    world.dhow(&["create", "--name", "heir", "--volumes-from", "shared", "busybox"]).exits(0);
    world.dhow(&["rm", "gone"]).exits(0);
    world.dhow(&["rm", "-v", "shared"]).exits(0);
    world.dhow(&["rm", "heir"]).exits(0);
    let left = world.dhow(&["volume", "ls", "-q"]).ok();
    assert_eq!(left.lines().count(), 3);
    let mut create = world.command(&["create", "-v", "/big", "big", "true"]);
    let mut create = create.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let volumes = world.data_root().join("volumes");
    let filling = || {
        let folders = fs::read_dir(&volumes).expect("it is there").flatten();
        folders.map(|folder| folder.path().join("filling")).any(|filling| filling.exists())
    };
    eventually("it is made and being filled", filling);
    world.crash_engine();
    assert!(!create.wait().expect("it ends").success() && filling(), "too fast to be cut off");
    world.start_engine();
    eventually("it is gone", || world.dhow(&["volume", "ls", "-q"]).ok() == left);
    world.dhow(&["rm", "-v", "kept"]).exits(0);
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok().lines().count(), 2);
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

/// CVE-2021-30465: whoever writes to a shared volume swaps a folder for a link to the host while others mount below it.
#[test]
fn links_that_are_swapped_in_a_shared_volume_lead_no_mount_and_no_copy_to_the_host() {
    let world = busybox();
    let outside = world.path().join("outside");
    fs::create_dir(&outside).expect("made");
    fs::write(outside.join("secret"), "secret").expect("written");
    let file = outside.join("secret").display().to_string();
    let swap = format!(
        "while :; do mkdir /v/x; rmdir /v/x; ln -s {} /v/x; echo >> /v/turns; rm /v/x; done",
        outside.display()
    );
    world.dhow(&["run", "-d", "--name", "swaps", "-v", "shared:/v", "busybox", "sh", "-c", &swap]).exits(0);
    world.dhow(&["create", "--name", "stands", "-v", "shared:/v", "busybox"]).exits(0);
    eventually("it swaps", || world.data_root().join("volumes/shared/_data/turns").exists());
    let lines: [&[&str]; 5] = [
        &["run", "--rm", "--mount", "src=shared,dst=/p,volume-subpath=x", "busybox", "ls", "-R", "/p"],
        &["run", "--rm", "-v", "shared:/v", "-v", "other:/v/x/deep", "busybox", "touch", "/v/x/deep/file"],
        &["run", "--rm", "-v", "shared:/v", "--tmpfs", "/v/x", "busybox", "sh", "-c", "touch /v/x/file; ls -R /v"],
        &["cp", &file, "stands:/v/x/copy"],
        &["cp", "stands:/v/x/secret", "-"],
    ];
    for _ in 0..10 {
        for line in lines {
            // Refused or not, as the moment has it.
            let said = world.dhow(line);
            assert!(!said.stdout().contains("secret"), "{line:?}: {said:?}");
        }
    }
    let found: Vec<_> = fs::read_dir(&outside).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(found, ["secret"]);
    let table = fs::read_to_string("/proc/self/mountinfo").expect("read");
    assert!(!table.contains(&*outside.to_string_lossy()), "{table}");
    world.dhow(&["rm", "-f", "swaps", "stands"]).exits(0);
    world.is_in_order();
}

/// A snapshot, a restore and a clone that are cut off by the end of their engine: wholly there or not at all.
#[test]
fn an_engine_that_is_killed_while_it_copies_a_volume_leaves_whole_ones() {
    let mut world = busybox();
    let fill = "i=0; while [ $i -lt 15000 ]; do : > /x/$i; i=$((i+1)); done";
    world.dhow(&["run", "--rm", "-v", "data:/x", "busybox", "sh", "-c", fill]).exits(0);
    world.dhow(&["volume", "snapshot", "data", "before"]).exits(0);
    world.dhow(&["run", "-d", "--name", "user", "-v", "data:/x", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["run", "--rm", "-v", "back:/x", "busybox", "touch", "/x/old"]).exits(0);
    let volumes = world.data_root().join("volumes");
    let lines: [&[&str]; 3] = [
        &["volume", "snapshot", "data", "new"],
        &["volume", "clone", "data", "new"],
        &["volume", "restore", "back", "before"],
    ];
    for line in lines {
        let mut child = world.command(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
        let half = |folder: &std::path::Path| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with('.')
                && fs::read_dir(folder.join("_data")).is_ok_and(|mut entries| entries.next().is_some())
        };
        eventually("it is being copied", || {
            fs::read_dir(&volumes).expect("it is there").flatten().any(|entry| half(&entry.path()))
        });
        world.crash_engine();
        drop(child.wait());
        world.start_engine();
        assert_eq!(world.inspect("user", "{{.State.Status}}"), "running", "{line:?}");
        world.dhow(&["exec", "user", "touch", "/x/0"]).exits(0);
        let count = |volume: &str| {
            let volume = format!("{volume}:/x:ro");
            world.dhow(&["run", "--rm", "-v", &volume, "busybox", "sh", "-c", "ls /x | wc -l"]).ok()
        };
        let names = world.dhow(&["volume", "ls", "-q"]).ok();
        if names.lines().any(|name| name == "new") {
            assert_eq!(count("new"), "15000", "{line:?}");
            world.dhow(&["volume", "protect", "--off", "new"]).exits(0);
            world.dhow(&["volume", "rm", "new"]).exits(0);
        }
        let back = count("back");
        assert!(back == "1" || line[1] == "restore" && back == "15000", "{line:?}: {back}");
        let entries: Vec<_> = fs::read_dir(&volumes).expect("it is there").flatten().map(|it| it.file_name()).collect();
        assert!(entries.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{entries:?}");
    }
    world.is_in_order();
}
