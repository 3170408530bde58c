//! Volumes whose content other programs keep.

mod fake;
mod s3;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dhow_testkit::{World, eventually, finish};

use super::refused;
use fake::Fake;
use s3::Store;

/// A world whose engine looks for plugins in a folder of the test's own, and waits a quarter of a minute for them.
fn world_with(folder: &Path) -> World {
    let folder = folder.display().to_string();
    let world = World::with_flags(crate::DHOW, &["--plugin-folder", &folder, "--plugin-deadline", "15"]);
    world.import_busybox("busybox");
    world
}

#[test]
fn a_plugin_keeps_volumes_and_one_that_hangs_harms_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(folder.path(), "fake");
    let mut world = world_with(folder.path());
    assert_eq!(world.docker(&["volume", "create", "-d", "fake", "-o", "color=red", "vol"]).ok(), "vol");
    let shown = world.dhow(&[
        "volume",
        "inspect",
        "-f",
        "{{.Driver}} {{.Scope}} {{.Options.color}} {{.Mountpoint}} {{.Status.Is}}",
        "vol",
    ]);
    assert_eq!(shown.ok(), format!("fake global red {} fine", fake.place("vol").display()));
    for client in [World::dhow, World::docker] {
        let list = client(&world, &["volume", "ls", "--format", "{{.Driver}} {{.Name}}"]);
        assert_eq!(list.ok(), "fake vol");
    }
    world
        .dhow(&[
            "run",
            "-d",
            "--name",
            "one",
            "-v",
            "vol:/v",
            "busybox",
            "sh",
            "-c",
            "echo hello > /v/file; sleep 1000",
        ])
        .exits(0);
    eventually("the container has written", || fs::exists(fake.place("vol").join("file")).unwrap_or_default());
    let two = ["run", "--rm", "--mount", "src=vol,dst=/v,volume-driver=fake", "busybox", "cat", "/v/file"];
    assert_eq!(world.docker(&two).ok(), "hello");
    let id = world.inspect("one", "{{.Id}}");
    eventually("only the first one uses it", || fake.users("vol") == [id.clone()]);
    assert_eq!(world.inspect("one", "{{(index .Mounts 0).Driver}} {{(index .Mounts 0).Name}}"), "fake vol");
    world.crash_engine();
    world.start_engine();
    assert_eq!(world.docker(&two).ok(), "hello");
    eventually("only the first one uses it", || fake.users("vol") == [id.clone()]);
    fake.hang(true);
    let late = world.dhow(&["run", "--rm", "--name", "late", "-v", "vol:/v:nocopy", "busybox", "true"]);
    refused(&late).says("plugin fake did not answer VolumeDriver.Mount within 15 s");
    world.dhow(&["run", "--rm", "-v", "other:/v", "busybox", "true"]).exits(0);
    world.dhow(&["volume", "ls"]).exits(0);
    fake.hang(false);
    assert_eq!(world.dhow(&two).ok(), "hello");
    world.dhow(&["rm", "-f", "one"]).exits(0);
    assert_eq!(fake.users("vol"), Vec::<String>::new());
    world.dhow(&["volume", "rm", "vol"]).exits(0);
    assert!(!fake.place("vol").exists());
}

#[test]
fn who_has_a_volume_at_two_places_has_it_mounted_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(folder.path(), "fake");
    let world = world_with(folder.path());
    world.dhow(&["volume", "create", "-d", "fake", "vol"]).exits(0);
    let script = "echo hello > /a/file; cat /b/file; sleep 1000";
    world.dhow(&["run", "-d", "--name", "one", "-v", "vol:/a", "-v", "vol:/b", "busybox", "sh", "-c", script]).exits(0);
    eventually("it is at both places", || world.dhow(&["logs", "one"]).ok() == "hello");
    assert_eq!(fake.users("vol"), [world.inspect("one", "{{.Id}}")]);
    world.dhow(&["rm", "-f", "one"]).exits(0);
    assert_eq!(fake.users("vol"), Vec::<String>::new());
}

#[test]
fn a_plugin_that_has_gone_is_told_and_its_volume_forgotten_by_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(folder.path(), "fake");
    let world = world_with(folder.path());
    world.dhow(&["volume", "create", "-d", "fake", "vol"]).exits(0);
    refused(&world.dhow(&["volume", "create", "-d", "fake", "refused"]))
        .says("VolumeDriver.Create: this name is refused");
    let elsewhere = world.dhow(&["volume", "create", "vol"]);
    elsewhere.exits(1).says("create vol: driver 'fake' already has volume 'vol': volume name must be unique");
    drop(fake);
    let started = world.dhow(&["run", "--rm", "-v", "vol:/v:nocopy", "busybox", "true"]);
    refused(&started).says("plugin \"fake\" not found");
    world.dhow(&["volume", "rm", "vol"]).exits(1).says("plugin \"fake\" not found");
    world.dhow(&["volume", "rm", "-f", "vol"]).exits(0);
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "");
}

#[test]
fn a_volume_of_a_plugin_is_copied_from_and_never_into() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(folder.path(), "fake");
    let world = world_with(folder.path());
    world.dhow(&["volume", "create", "-d", "fake", "--label", "tier=far", "vol"]).exits(0);
    let script = "echo far > /v/file; sleep 1000";
    world.dhow(&["run", "-d", "--name", "user", "-v", "vol:/v", "busybox", "sh", "-c", script]).exits(0);
    eventually("the container has written", || fs::exists(fake.place("vol").join("file")).unwrap_or_default());
    let id = world.inspect("user", "{{.Id}}");
    for kind in ["snapshot", "clone"] {
        world.dhow(&["volume", kind, "vol", kind]).exits(0);
        let shown = world.docker(&["volume", "inspect", "-f", "{{.Driver}} {{.Labels.tier}}", kind]).ok();
        assert_eq!(shown, "local far");
    }
    world.dhow(&["volume", "create", "near"]).exits(0);
    world.dhow(&["volume", "restore", "near", "vol"]).exits(0);
    let tar = world.path().join("tar").display().to_string();
    world.dhow(&["volume", "backup", "--live", "-o", &tar, "vol"]).exits(0);
    world.dhow(&["volume", "import", "imported", &tar]).exits(0);
    for name in ["snapshot", "clone", "near", "imported"] {
        let volume = format!("{name}:/v");
        assert_eq!(world.dhow(&["run", "--rm", "-v", &volume, "busybox", "cat", "/v/file"]).ok(), "far", "{name}");
    }
    eventually("only the container uses it", || fake.users("vol") == [id.clone()]);
    world.dhow(&["rm", "-f", "user"]).exits(0);
    for (args, words) in [
        (&["restore", "vol", "near"][..], "only volumes in the data root can be restored"),
        (&["import", "--replace", "vol", &tar], "only volumes in the data root can be imported into"),
        (&["rename", "vol", "other"], "driver fake cannot rename volumes"),
    ] {
        world.dhow(&[&["volume"], args].concat()).exits(1).says(words);
    }
    // What hangs is given up, and what it was to become is not there.
    fake.hang(true);
    world.dhow(&["volume", "snapshot", "vol", "late"]).exits(1).says("did not answer VolumeDriver.Mount");
    fake.hang(false);
    assert_eq!(world.dhow(&["volume", "ls", "-q", "--filter", "name=late"]).ok(), "");
    assert_eq!(fake.users("vol"), Vec::<String>::new());
    world.dhow(&["volume", "rm", "vol"]).exits(0);
    world.is_in_order();
}

#[test]
fn a_volume_that_only_its_plugin_knows_is_used_by_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(folder.path(), "fake");
    let world = world_with(folder.path());
    for (client, name) in [(World::dhow as fn(&World, &[&str]) -> _, "one"), (World::docker, "two")] {
        fs::create_dir_all(fake.place(name)).expect("made");
        fs::write(fake.place(name).join("file"), "far").expect("written");
        let (short, long) = (format!("{name}:/v"), format!("src={name},dst=/v"));
        for flags in [["-v", &short], ["--mount", &long]] {
            let line = [&["run", "--rm"], &flags[..], &["busybox", "cat", "/v/file"]].concat();
            assert_eq!(client(&world, &line).ok(), "far", "{flags:?}");
        }
        assert_eq!(world.docker(&["volume", "inspect", "-f", "{{.Driver}}", name]).ok(), "fake");
    }
    world.dhow(&["run", "--rm", "-v", "near:/v", "busybox", "true"]).exits(0);
    assert_eq!(world.docker(&["volume", "inspect", "-f", "{{.Driver}}", "near"]).ok(), "local");
    assert_eq!(world.docker(&["info", "-f", "{{json .Plugins.Volume}}"]).ok(), "[\"local\",\"fake\"]");
    world.is_in_order();
}

#[test]
fn a_plugin_that_hangs_keeps_nobody_from_making_a_local_volume() {
    let folder = tempfile::tempdir().expect("a folder");
    let fake = Fake::start(folder.path(), "fake");
    fake.hang(true);
    // No longer than the engine waits for work that makes no step.
    let flags = ["--plugin-folder", &folder.path().display().to_string(), "--plugin-deadline", "2"];
    let world = World::with_flags(crate::DHOW, &flags);
    world.import_busybox("busybox");
    world.dhow(&["run", "--rm", "-v", "near:/v", "busybox", "true"]).exits(0);
    assert_eq!(world.dhow(&["volume", "inspect", "-f", "{{.Driver}}", "near"]).ok(), "local");
    fake.hang(false);
}

/// `rclone serve docker`, ended with the test.
struct Rclone(Child);

impl Drop for Rclone {
    fn drop(&mut self) {
        // It unmounts what it has mounted only when it is asked to end.
        finish(Command::new("kill").arg(self.0.id().to_string()));
        let _ = self.0.wait();
    }
}

impl Rclone {
    fn start(folder: &Path, store: &Store) -> Self {
        let path = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "[store]\ntype = s3\nprovider = Other\naccess_key_id = a\nsecret_access_key = b\nendpoint = {}\nforce_path_style = true\n",
            store.address()
        );
        fs::write(path("rclone.conf"), config).expect("written");
        for name in ["base", "cache"] {
            fs::create_dir(path(name)).expect("made");
        }
        let mut command = Command::new("rclone");
        command.args(["serve", "docker", "--socket-gid", "0", "--socket-addr", &path("rclone.sock")]);
        command.args(["--base-dir", &path("base"), "--config", &path("rclone.conf"), "--cache-dir", &path("cache")]);
        // An authority for outgoing connections of the host's would be asked of a connection that has none.
        command.env_remove("AWS_CA_BUNDLE").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("rclone starts");
        let socket = folder.join("rclone.sock");
        eventually("rclone listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        Self(child)
    }
}

#[test]
fn a_bucket_is_mounted_into_two_containers() {
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !there("rclone") || !there("fusermount3") || fs::File::open("/dev/fuse").is_err() {
        eprintln!("SKIPPED: rclone with FUSE is not to be had here");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::start();
    let rclone = Rclone::start(folder.path(), &store);
    {
        let world = World::with_flags(crate::DHOW, &["--plugin-folder", &folder.path().display().to_string()]);
        world.import_busybox("busybox");
        let options = ["-o", "remote=store:bucket", "-o", "vfs-cache-mode=writes", "-o", "vfs-write-back=0s"];
        world.dhow(&[&["volume", "create", "-d", "rclone"], &options[..], &["bucket"]].concat()).exits(0);
        let run = [
            "run",
            "-d",
            "--name",
            "writer",
            "-v",
            "bucket:/b",
            "busybox",
            "sh",
            "-c",
            "echo from one > /b/note; sleep 1000",
        ];
        world.docker(&run).exits(0);
        eventually("the bucket has it", || store.object("bucket/note").as_deref() == Some(b"from one\n"));
        let read = world.dhow(&["run", "--rm", "-v", "bucket:/b", "busybox", "cat", "/b/note"]);
        assert_eq!(read.ok(), "from one");
        // Its files have no attributes, and say so with an I/O error.
        let path = |name: &str| world.path().join(name).display().to_string();
        world.dhow(&["cp", "writer:/b/note", &path("note")]).exits(0);
        assert_eq!(fs::read_to_string(path("note")).expect("copied"), "from one\n");
        for args in [
            &["snapshot", "bucket", "snapshot"][..],
            &["clone", "bucket", "clone"],
            &["backup", "-o", &path("tar"), "bucket"],
            &["import", "imported", &path("tar")],
        ] {
            world.dhow(&[&["volume"], args].concat()).exits(0);
        }
        for name in ["snapshot", "clone", "imported"] {
            let note = world.data_root().join("volumes").join(name).join("_data/note");
            assert_eq!(fs::read_to_string(note).expect("copied"), "from one\n", "{name}");
        }
        world.dhow(&["rm", "-f", "writer"]).exits(0);
        world.dhow(&["volume", "rm", "bucket"]).exits(0);
        // It is filled from an image, but not with what no bucket can hold.
        let script = "mkdir /data /links; echo from the image > /data/file; ln -s file /links/link";
        world.dhow(&["run", "--name", "maker", "busybox", "sh", "-c", script]).exits(0);
        world.dhow(&["commit", "maker", "filled"]).exits(0);
        let options = ["-o", "remote=store:other", "-o", "vfs-cache-mode=writes", "-o", "vfs-write-back=0s"];
        world.dhow(&[&["volume", "create", "-d", "rclone"], &options[..], &["other"]].concat()).exits(0);
        let links = world.dhow(&["run", "--rm", "-v", "other:/links", "filled", "true"]);
        refused(&links).says("fill volume other from /links: copy what the image has there: copy link: ");
        let file = || world.dhow(&["run", "--rm", "-v", "other:/data", "filled", "cat", "/data/file"]);
        // rclone uploads what was written when it likes to, also behind a mount that has been given back.
        eventually("the file of the image is there", || file().code() == 0);
        assert_eq!(file().ok(), "from the image");
        eventually("the bucket has it", || store.object("other/file").as_deref() == Some(b"from the image\n"));
        world.dhow(&["volume", "rm", "other"]).exits(0);
    }
    drop(rclone);
}
