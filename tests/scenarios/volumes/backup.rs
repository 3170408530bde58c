//! Backups of volumes and what is made of them: archives, OCI layouts, images; and archives that mean harm.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use dhow_testkit::{Door, Registry, World, eventually, finish, finish_with_input, peak_memory};

use super::refused;
use crate::{DHOW, busybox};

fn folder(world: &World, volume: &str) -> PathBuf {
    world.data_root().join("volumes").join(volume).join("_data")
}

/// Everything a volume may have in it.
fn fill(world: &World) {
    world.dhow(&["volume", "create", "--label", "tier=back", "data"]).exits(0);
    let script = "cd /d; echo text > file; chown 5:6 file; chmod 4750 file; ln file second; ln -s /nowhere link
        mkdir -m 1733 sub; mkfifo pipe; mknod null c 1 3; truncate -s 64M holes; echo end >> holes; chown 70:71 . ; chmod 700 .
        touch -d '2001-02-03 04:05:06' file";
    world.dhow(&["run", "--rm", "--privileged", "-v", "data:/d", "busybox", "sh", "-c", script]).exits(0);
    let data = folder(world, "data");
    for (name, value) in [("user.note", "kept"), ("trusted.overlay.opaque", "y")] {
        rustix::fs::setxattr(data.join("sub"), name, value.as_bytes(), rustix::fs::XattrFlags::empty()).expect("set");
    }
}

#[track_caller]
fn is_whole(world: &World, volume: &str) {
    let (from, to) = (folder(world, "data"), folder(world, volume));
    for name in [".", "file", "second", "link", "sub", "pipe", "null", "holes"] {
        let [one, two] = [&from, &to].map(|folder| fs::symlink_metadata(folder.join(name)).expect("it is there"));
        let of = |it: &fs::Metadata| {
            let links = if it.is_dir() { 0 } else { it.nlink() };
            (it.mode(), it.uid(), it.gid(), it.mtime(), it.mtime_nsec(), it.len(), it.rdev(), links)
        };
        assert_eq!(of(&two), of(&one), "{name} of {volume}");
    }
    assert_eq!(fs::read(to.join("holes")).expect("read"), fs::read(from.join("holes")).expect("read"));
    assert!(fs::metadata(to.join("holes")).expect("it is there").blocks() < 1000);
    assert!(fs::metadata(to.join("null")).expect("it is there").file_type().is_char_device());
    for name in ["user.note", "trusted.overlay.opaque"] {
        let mut value = [0; 8];
        assert!(rustix::fs::getxattr(to.join("sub"), name, &mut value[..]).is_ok(), "{name} of {volume}");
    }
}

#[test]
fn a_backup_brings_everything_back_as_tar_as_oci_layout_and_as_image() {
    let world = busybox();
    fill(&world);
    let path = |name: &str| world.path().join(name).display().to_string();
    world.dhow(&["run", "-d", "--name", "user", "-v", "data:/d", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["volume", "backup", "-o", &path("data.tar"), "data"]).exits(0);
    assert_eq!(world.inspect("user", "{{.State.Status}}"), "running");
    assert_eq!(world.dhow(&["volume", "import", "of-tar", &path("data.tar")]).ok(), "of-tar");
    is_whole(&world, "of-tar");
    let piped = world.dhow(&["volume", "backup", "--live", "-o", "-", "data"]);
    assert_eq!(piped.stdout_bytes(), fs::read(path("data.tar")).expect("written"));
    finish_with_input(&mut world.command(&["volume", "import", "of-pipe"]), piped.stdout_bytes().to_vec()).exits(0);
    is_whole(&world, "of-pipe");

    world.dhow(&["volume", "snapshot", "data", "snapshot"]).exits(0);
    world.dhow(&["volume", "backup", "--as", "oci", "-o", &path("data.oci"), "snapshot"]).exits(0);
    world.dhow(&["volume", "protect", "--off", "snapshot"]).exits(0);
    world.dhow(&["volume", "rm", "snapshot"]).exits(0);
    assert_eq!(world.dhow(&["images", "-aq"]).ok().lines().count(), 1, "nothing of it is kept");
    refused(&world.dhow(&["volume", "import", "of-oci", &path("data.oci")])).says("this is an OCI layout");
    world.dhow(&["volume", "import", "--as", "oci", "--label", "more=x", "of-oci", &path("data.oci")]).exits(0);
    is_whole(&world, "of-oci");
    let labels = |volume: &str| world.dhow(&["volume", "inspect", "-f", "{{json .Labels}}", volume]).ok();
    assert_eq!(labels("of-oci"), r#"{"more":"x","tier":"back"}"#);

    let registry = Registry::start();
    let name = registry.name("backups/data:monday");
    world.dhow(&["volume", "backup", "--image", &name, "data"]).exits(0);
    world.dhow(&["push", &name]).exits(0);
    world.dhow(&["rmi", &name]).exits(0);
    world.docker(&["pull", &name]).exits(0);
    world.dhow(&["volume", "import", "--image", &name, "of-image"]).exits(0);
    is_whole(&world, "of-image");
    assert_eq!(labels("of-image"), r#"{"tier":"back"}"#);
    // Whoever knows images can look into it.
    let mount = format!("type=image,src={name},dst=/look");
    assert_eq!(world.dhow(&["run", "--rm", "--mount", &mount, "busybox", "cat", "/look/file"]).ok(), "text");
    refused(&world.dhow(&["volume", "import", "--image", "busybox", "of-busybox"]))
        .says("image busybox is no backup of a volume");
    assert_eq!(world.dhow(&["volume", "ls", "-q", "--filter", "name=of-busybox"]).ok(), "");
    assert_eq!(only_volumes(&world), ["data", "of-image", "of-oci", "of-pipe", "of-tar"]);
}

/// What lies in the folder of volumes; no copy that was made for a backup stays.
fn only_volumes(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.data_root().join("volumes")).expect("it is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("read").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[test]
fn what_is_in_a_volume_is_not_overwritten_by_accident() {
    let world = busybox();
    let run = |script: &str| world.dhow(&["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script]).ok();
    run("echo first > /d/file");
    let tar = world.path().join("data.tar").display().to_string();
    world.dhow(&["volume", "backup", "-o", &tar, "data"]).exits(0);
    run("echo second > /d/file; touch /d/more");
    refused(&world.dhow(&["volume", "import", "data", &tar])).says("import data: volume data is not empty");
    world.dhow(&["run", "-d", "--name", "user", "-v", "data:/d", "busybox", "sleep", "1000"]).exits(0);
    refused(&world.dhow(&["volume", "import", "--replace", "data", &tar])).says("volume is in use");
    world.dhow(&["rm", "-f", "user"]).exits(0);
    world.dhow(&["volume", "protect", "data"]).exits(0);
    refused(&world.dhow(&["volume", "import", "--replace", "data", &tar])).says("volume is protected");
    world.dhow(&["volume", "protect", "--off", "data"]).exits(0);
    assert_eq!(run("cat /d/file"), "second");
    world.dhow(&["volume", "import", "--replace", "data", &tar]).exits(0);
    assert_eq!(run("cat /d/file; ls /d"), "first\nfile");
    // An empty one is filled without being asked.
    world.dhow(&["volume", "create", "--label", "mine=yes", "empty"]).exits(0);
    world.dhow(&["volume", "import", "empty", &tar]).exits(0);
    // Its labels are what they are.
    for more in [&["--replace"][..], &[]] {
        let line = [&["volume", "import", "--label", "more=x"], more, &["empty", &tar]].concat();
        world.dhow(&line).exits(1).says("volume empty is there already and keeps the labels that it has");
    }
    let label = world.dhow(&["volume", "inspect", "-f", "{{.Labels.mine}} {{.Name}}", "empty"]).ok();
    assert_eq!(label, "yes empty");
    world.dhow(&["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "elsewhere"]).exits(0);
    refused(&world.dhow(&["volume", "import", "elsewhere", &tar])).says("only volumes in the data root");
    // But what is elsewhere is backed up like any other.
    let other = world.dhow(&["volume", "backup", "elsewhere"]);
    finish_with_input(&mut world.command(&["volume", "import", "here"]), other.stdout_bytes().to_vec()).exits(0);
    for (args, words) in [
        (&["backup", "nothing"][..], "get nothing: no such volume"),
        (&["backup", "--as", "zip", "data"], "neither tar nor oci"),
        (&["backup", "--image", "x", "-o", "y", "data"], "conflicting options"),
        (&["backup", "--image", "NO NAME", "data"], "invalid reference format"),
        (&["import", "a/b", &tar], "includes invalid characters"),
        (&["import", "new", "/no/such/file"], "no such file or directory"),
        (&["import", "--image", "nothing", "new"], "No such image: nothing"),
        (&["backup", "--image", "x", "--as", "oci", "data"], "conflicting options: --image makes no archive"),
        (&["import", "--image", "x", "--as", "oci", "new"], "conflicting options: with --image there is no archive"),
        (&["import", "new", "/etc"], "read /etc: is a directory"),
        (&["import", "--as", "oci", "new", &tar], "a tar of files is imported without it"),
    ] {
        world.dhow(&[&["volume"], args].concat()).exits(1).says(words);
    }
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "data\nelsewhere\nempty\nhere");
}

type Entry = (&'static str, tar::EntryType, &'static str);

fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, link) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(0);
        header.set_cksum();
        archive.append(&header, &[][..]).expect("writing to memory");
    }
    archive.into_inner().expect("writing to memory")
}

#[test]
fn archives_that_mean_harm_or_end_early_leave_nothing() {
    use tar::EntryType::{Link, Regular, Symlink};
    let world = busybox();
    let outside = world.path().join("outside");
    fs::create_dir(&outside).expect("made");
    let import = |name: &str, archive: &[u8], more: &[&str]| {
        let args = [&["volume", "import"], more, &[name]].concat();
        finish_with_input(&mut world.command(&args), archive.to_vec())
    };
    let whole = tar(&[("file", Regular, "")]);
    for (what, archive, words) in [
        ("a name that climbs", tar(&[("x", Regular, ""), ("../../escaped", Regular, "")]), "is outside of"),
        ("a link that climbs", tar(&[("x", Regular, ""), ("l", Link, "../../../metadata.db")]), "is outside of"),
        ("a missing end", whole[..512].to_vec(), "ends too early"),
        ("half a header", whole[..300].to_vec(), "ends too early"),
        ("no archive", b"something else entirely".repeat(100), "the archive has"),
        ("nothing", Vec::new(), "ends too early"),
        ("something behind the end", [whole.clone(), b"x".repeat(512)].concat(), "other data after its end"),
    ] {
        let outcome = import("bad", &archive, &[]);
        assert!(refused(&outcome).stderr().contains(words), "{what}: {outcome:?}");
        refused(&import("bad", &archive, &["--as", "oci"]));
    }
    assert_eq!(only_volumes(&world), Vec::<String>::new());
    // Names from the root, and links that lead out, mean places in the volume.
    let target = outside.display().to_string();
    let target: &'static str = target.leak();
    let links = [("/absolute", Regular, ""), ("out", Symlink, target), ("out/file", Regular, "")];
    drop(import("links", &tar(&links), &[]));
    assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 0);
    import("absolute", &tar(&links[..2]), &[]).exits(0);
    assert!(folder(&world, "absolute").join("absolute").exists() && !fs::exists("/absolute").expect("looked up"));
    assert_eq!(fs::read_link(folder(&world, "absolute").join("out")).expect("a link"), outside);
}

#[test]
fn names_that_images_cannot_hold_are_told_before_anything_is_written() {
    let world = busybox();
    world.dhow(&["run", "--rm", "-v", "data:/d", "busybox", "touch", "/d/.wh.file"]).exits(0);
    let file = world.path().join("data.oci");
    for args in [&["--as", "oci", "-o", &file.display().to_string()][..], &["--image", "data"]] {
        refused(&world.dhow(&[&["volume", "backup"], args, &["data"]].concat())).says("names with .wh. in front");
    }
    assert!(!file.exists());
    let tar = world.dhow(&["volume", "backup", "data"]);
    finish_with_input(&mut world.command(&["volume", "import", "copy"]), tar.stdout_bytes().to_vec()).exits(0);
    assert!(folder(&world, "copy").join(".wh.file").exists());
}

#[test]
fn a_full_disk_leaves_no_half_a_volume_and_no_copy() {
    let world = World::on_small_disk(DHOW, 32);
    world.import_busybox("busybox");
    let script = "head -c 6000000 /dev/urandom > /d/file";
    world.dhow(&["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script]).exits(0);
    let tar = world.dhow(&["volume", "backup", "--live", "data"]);
    world.fill_disk();
    let import = || finish_with_input(&mut world.command(&["volume", "import", "copy"]), tar.stdout_bytes().to_vec());
    refused(&import()).says("no space left on device");
    for form in [&["--as", "tar"][..], &["--as", "oci"], &["--image", "x"]] {
        refused(&world.dhow(&[&["volume", "backup"], form, &["data"]].concat())).says("no space left on device");
    }
    assert_eq!(only_volumes(&world), ["data"]);
    world.relieve_disk();
    import().exits(0);
    assert_eq!(only_volumes(&world), ["copy", "data"]);
}

#[test]
fn an_engine_that_is_killed_in_the_middle_leaves_neither_half_a_volume_nor_a_frozen_container() {
    let mut world = busybox();
    let script = "head -c 30000000 /dev/urandom > /d/file; echo first > /d/word";
    world.dhow(&["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script]).exits(0);
    let tar = world.dhow(&["volume", "backup", "data"]).stdout_bytes().to_vec();
    world.dhow(&["run", "-d", "--name", "user", "-v", "data:/d", "busybox", "sleep", "1000"]).exits(0);
    for args in [&["new"][..], &["--replace", "other"]] {
        if args.len() > 1 {
            world.dhow(&["volume", "clone", "data", "other"]).exits(0);
        }
        let mut command = world.command(&[&["volume", "import"], args].concat());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("runs");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(&tar[..tar.len() / 2]).expect("the engine reads");
        eventually("a part has come", || only_volumes(&world).iter().any(|name| name.starts_with(".import")));
        world.crash_engine();
        drop(input);
        assert!(!child.wait().expect("it ends").success());
        world.start_engine();
        assert!(!only_volumes(&world).iter().any(|name| name.starts_with('.') || name == "new"));
    }
    let read = ["run", "--rm", "-v", "other:/d", "busybox", "cat", "/d/word"];
    assert_eq!(world.dhow(&read).ok(), "first");
    // A reader that has not come for all of it yet.
    let mut door = Door::open(&world.socket()).expect("the engine listens");
    door.send("GET /v1.47/volumes/data/backup HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    assert!(door.head().expect("an answer")[0].contains(" 200 "));
    assert_eq!(world.inspect("user", "{{.State.Status}}"), "running", "nobody is frozen for a slow reader");
    world.crash_engine();
    world.start_engine();
    assert!(!only_volumes(&world).iter().any(|name| name.starts_with('.')));
    assert_eq!(world.inspect("user", "{{.State.Status}}"), "running");
    let mut rest = Vec::new();
    drop(door.into_stream().read_to_end(&mut rest));
    world.dhow(&["rm", "-f", "user"]).exits(0);
}

#[test]
fn a_backup_takes_no_more_memory_than_a_piece_of_it() {
    let world = busybox();
    let script = "for n in 1 2 3 4; do head -c 60000000 /dev/zero > /d/$n; done";
    world.dhow(&["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script]).exits(0);
    let engine = world.engine_pid().expect("it runs");
    let before = peak_memory(engine);
    let (host, dhow) = (world.host(), DHOW);
    let line = format!("{dhow} -H {host} volume backup data | {dhow} -H {host} volume import copy");
    finish(Command::new("sh").args(["-c", &line])).exits(0);
    assert_eq!(fs::metadata(folder(&world, "copy").join("4")).expect("it is there").len(), 60_000_000);
    let grown = peak_memory(engine) - before;
    assert!(grown < 40_000, "{grown} kB for 240,000 kB");
}

#[test]
fn a_container_that_an_engine_froze_goes_on_when_that_was_killed() {
    let mut world = busybox();
    let script = "cd /d; for n in $(seq 5000); do echo $n > $n; done";
    world.dhow(&["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script]).exits(0);
    world.dhow(&["run", "-d", "--name", "user", "-v", "data:/d", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["run", "-d", "--name", "paused", "-v", "data:/d", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["pause", "paused"]).exits(0);
    let mark = world.exec_root().join("containers").join(world.inspect("user", "{{.Id}}")).join("frozen");
    let copying = world.command(&["volume", "snapshot", "data", "half"]).stderr(Stdio::null()).spawn();
    let mut copying = copying.expect("it runs");
    eventually("it is frozen", || mark.exists() && world.inspect("user", "{{.State.Status}}") == "paused");
    world.crash_engine();
    assert!(!copying.wait().expect("it ends").success(), "too fast to be cut off");
    world.start_engine();
    assert_eq!(world.inspect("user", "{{.State.Status}}"), "running");
    assert_eq!(world.inspect("paused", "{{.State.Status}}"), "paused", "that was a person's wish");
    assert!(!mark.exists());
    assert_eq!(only_volumes(&world), ["data"]);
    world.dhow(&["rm", "-f", "user", "paused"]).exits(0);
}
