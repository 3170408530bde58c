//! The local driver's options: volumes on file systems of their own.

use std::fs;
use std::process::Command;

use dhow_testkit::{World, eventually, finish};

use super::refused;
use crate::busybox;

/// Whether the content of a volume is mounted where the host sees it.
fn is_mounted(world: &World, volume: &str) -> bool {
    let place = world.data_root().join("volumes").join(volume).join("_data").display().to_string();
    let table = fs::read_to_string("/proc/self/mountinfo").expect("the mount table");
    table.lines().any(|line| line.split(' ').nth(4) == Some(&place))
}

fn create(world: &World, name: &str, options: &[&str]) {
    let flags: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
    assert_eq!(world.docker(&[&["volume", "create"], &flags[..], &[name]].concat()).ok(), name);
}

#[test]
fn a_volume_is_mounted_for_its_first_user_and_unmounted_after_its_last() {
    let mut world = busybox();
    create(&world, "memory", &["type=tmpfs", "device=tmpfs", "o=size=2m,mode=0750"]);
    assert_eq!(
        world.dhow(&["volume", "inspect", "-f", "{{json .Options}}", "memory"]).ok(),
        r#"{"device":"tmpfs","o":"size=2m,mode=0750","type":"tmpfs"}"#
    );
    assert!(!is_mounted(&world, "memory"));
    for name in ["one", "two"] {
        world.dhow(&["run", "-d", "--name", name, "-v", "memory:/m", "busybox", "sleep", "1000"]).exits(0);
    }
    assert_eq!(world.dhow(&["exec", "one", "stat", "-c", "%a", "/m"]).ok(), "750");
    world.dhow(&["exec", "one", "sh", "-c", "echo shared > /m/file"]).exits(0);
    assert_eq!(world.docker(&["exec", "two", "cat", "/m/file"]).ok(), "shared");
    world.dhow(&["kill", "one"]).exits(0);
    world.crash_engine();
    assert!(is_mounted(&world, "memory"));
    world.start_engine();
    assert_eq!(world.dhow(&["exec", "two", "cat", "/m/file"]).ok(), "shared");
    // The killed engine's container is a user still, and a new one finds the same files.
    assert_eq!(world.dhow(&["run", "--rm", "-v", "memory:/m", "busybox", "cat", "/m/file"]).ok(), "shared");
    assert!(is_mounted(&world, "memory"));
    // The last user ends while no engine is there.
    let pid = world.inspect("two", "{{.State.Pid}}");
    world.crash_engine();
    finish(Command::new("kill").args(["-KILL", &pid])).exits(0);
    world.start_engine();
    eventually("it is unmounted", || !is_mounted(&world, "memory"));
    world.dhow(&["start", "two"]).exits(0);
    assert!(is_mounted(&world, "memory"));
    world.dhow(&["rm", "-f", "two"]).exits(0);
    assert!(!is_mounted(&world, "memory"));
}

#[test]
fn folders_files_and_layers_as_volumes() {
    let world = busybox();
    let folder = |name: &str| {
        let folder = world.path().join(name);
        fs::create_dir_all(&folder).expect("made");
        folder.display().to_string()
    };
    let (source, lower, upper, work) = (folder("source"), folder("lower"), folder("upper"), folder("work"));
    fs::write(format!("{source}/file"), "bound").expect("written");
    fs::write(format!("{lower}/file"), "below").expect("written");
    create(&world, "bound", &["type=none", &format!("device={source}"), "o=bind,ro"]);
    create(
        &world,
        "layers",
        &["type=overlay", "device=overlay", &format!("o=lowerdir={lower},upperdir={upper},workdir={work}")],
    );
    let cat =
        |volume: &str| world.dhow(&["run", "--rm", "-v", &format!("{volume}:/v"), "busybox", "cat", "/v/file"]).ok();
    assert_eq!(cat("bound"), "bound");
    assert_eq!(cat("layers"), "below");
    world.dhow(&["run", "--rm", "-v", "bound:/v", "busybox", "touch", "/v/new"]).exits(1).says("Read-only");
    let mount =
        format!("type=volume,src=made,dst=/v,volume-opt=type=none,volume-opt=o=bind,volume-opt=device={source}");
    world.docker(&["run", "--rm", "--mount", &mount, "busybox", "touch", "/v/new"]).exits(0);
    world.dhow(&["volume", "rm", "bound", "layers", "made"]).exits(0);
    // What was bound is not the volume's.
    assert!(fs::exists(format!("{source}/new")).expect("looked up"));
    let disk = world.path().join("disk").display().to_string();
    fs::write(&disk, vec![0; 4 << 20]).expect("written");
    if !fs::exists("/dev/loop-control").expect("looked up") {
        eprintln!("SKIPPED: no file system in a file here");
        return;
    }
    create(&world, "disk", &["type=ext4", &format!("device={disk}"), "o=loop,noatime"]);
    let empty = world.dhow(&["run", "--rm", "-v", "disk:/v", "busybox", "true"]);
    refused(&empty).says(&format!("option device={disk}: there is no ext4 on it, or option o=loop,noatime"));
    finish(Command::new("mkfs.ext4").args(["-q", "-F", &disk])).exits(0);
    world.dhow(&["run", "--rm", "-v", "disk:/v", "busybox", "sh", "-c", "echo kept > /v/file"]).exits(0);
    assert_eq!(cat("disk"), "kept");
    // Who stops a container may want its disk.
    world.dhow(&["run", "-d", "--name", "user", "-v", "disk:/v", "busybox", "sleep", "1000"]).exits(0);
    assert!(is_mounted(&world, "disk"));
    world.docker(&["stop", "-t", "0", "user"]).exits(0);
    assert!(!is_mounted(&world, "disk"));
    world.dhow(&["rm", "user"]).exits(0);
    assert!(!is_mounted(&world, "disk"));
}

#[test]
fn what_is_wrong_with_an_option_is_named() {
    let world = busybox();
    for (options, words) in [
        (&["color=red"][..], "create bad: invalid option: \"color\""),
        (&["type=tmpfs"], "create bad: missing required option: \"device\""),
        (&["o=bind"], "create bad: missing required option: \"device\""),
    ] {
        let flags: Vec<&str> = options.iter().flat_map(|option| ["-o", option]).collect();
        world.dhow(&[&["volume", "create"], &flags[..], &["bad"]].concat()).exits(1).says(words);
    }
    for (name, options, words) in [
        ("kind", &["type=nosuchfs", "device=x"][..], "option type=nosuchfs: this kernel has no such file system"),
        ("word", &["type=tmpfs", "device=tmpfs", "o=nonsense=1"], "option o: nonsense=1: "),
        ("value", &["type=tmpfs", "device=tmpfs", "o=size=many"], "option o: size=many: "),
        (
            "relative",
            &["type=none", "device=folder", "o=bind"],
            "option device=folder: a folder of the host is named by",
        ),
        ("layers", &["type=overlay", "device=overlay", "o=upperdir=/tmp"], "option o: an overlay needs a lowerdir: "),
        ("device", &["type=ext4", "device=/no/such/device"], "option device=/no/such/device"),
        (
            "folder",
            &["type=none", "device=/no/such/folder", "o=bind"],
            "option device=/no/such/folder: no such file or directory",
        ),
    ] {
        create(&world, name, options);
        let line = ["run", "--rm", "--name", "user", "-v", &format!("{name}:/v:nocopy"), "busybox", "true"];
        let place = world.data_root().join("volumes").join(name).join("_data").display().to_string();
        for outcome in [world.dhow(&line), world.docker(&line)] {
            refused(&outcome).says(words).says(&format!("error while mounting volume '{place}'"));
        }
        let to_be_filled = ["run", "--rm", "-v", &format!("{name}:/v"), "busybox", "true"];
        let told = refused(&world.dhow(&to_be_filled)).stderr();
        assert!(!told.contains("fill volume") && told.matches(&place).count() == 1, "{told}");
        assert!(!is_mounted(&world, name));
    }
    assert_eq!(world.dhow(&["ps", "-aq"]).ok(), "");
}
