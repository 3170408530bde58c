//! A container's files from outside: diff, export, cp, commit. Where it matters, with both clients.

mod copies;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;

use dhow_testkit::{Outcome, World, eventually, finish, finish_with_input};

use crate::busybox;

/// The two command lines that are driven.
const CLIENTS: [&str; 2] = ["dhow", "docker"];

fn with(world: &World, client: &str, args: &[&str]) -> Outcome {
    match client {
        "docker" => world.docker(args),
        _ => world.dhow(args),
    }
}

/// The members of a tar: what they are, with their contents.
fn members(tar: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(tar);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.expect("a good archive");
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).expect("good contents");
        let kind = match entry.header().entry_type() {
            tar::EntryType::Directory => "folder".to_owned(),
            tar::EntryType::Symlink => {
                format!("-> {}", entry.link_name().expect("a good link").expect("a link").display())
            }
            tar::EntryType::Regular => String::from_utf8_lossy(&contents[..contents.len().min(80)]).into_owned(),
            other => format!("{other:?}"),
        };
        (path, kind)
    };
    archive.entries().expect("an archive").map(read).collect()
}

/// A running container.
fn running(world: &World, args: &[&str]) {
    world.dhow(&[&["run", "-d", "--name", "box"], args, &["busybox", "sleep", "1000"]].concat()).exits(0);
}

const CHANGES: &str = "echo hi > /etc/new; rm -r /home/alice; rm -r /tmp; mkdir /tmp; touch /tmp/x; chmod 700 /var;
    touch /usr/y; rm /usr/y; ln -s / /root/l; echo more >> /etc/passwd";

#[test]
fn diff_shows_what_a_container_changed_and_not_what_the_engine_made() {
    let world = busybox();
    world.dhow(&["run", "--name", "same", "busybox", "true"]).exits(0);
    world
        .dhow(&["run", "--name", "box", "-v", "vol:/data", "--tmpfs", "/scratch", "busybox", "sh", "-c", CHANGES])
        .exits(0);
    running_diff(&world);
    for client in CLIENTS {
        assert_eq!(with(&world, client, &["diff", "same"]).ok(), "");
        assert_eq!(
            with(&world, client, &["container", "diff", "box"]).ok().lines().collect::<Vec<_>>(),
            [
                "A /data",
                "C /etc",
                "A /etc/new",
                "C /etc/passwd",
                "C /home",
                "D /home/alice",
                "C /root",
                "A /root/l",
                "A /scratch",
                "C /tmp",
                "A /tmp/x",
                "C /var",
            ]
        );
        with(&world, client, &["diff", "nothing"])
            .exits(1)
            .says("Error response from daemon: No such container: nothing");
    }
}

/// What a running container does is seen at once, and what it does in its mounts is not.
fn running_diff(world: &World) {
    let script = "echo x > /live; echo x > /dev/shm/y; echo x > /etc/hosts; echo ready; sleep 1000";
    world.dhow(&["run", "-d", "--name", "live", "busybox", "sh", "-c", script]).exits(0);
    eventually("it is ready", || world.dhow(&["logs", "live"]).ok() == "ready");
    assert_eq!(world.dhow(&["diff", "live"]).ok(), "A /live");
}

#[test]
fn export_is_the_file_system_without_mounts_running_and_stopped() {
    let world = busybox();
    let script = "echo own > /own; echo t > /scratch/t; echo v > /data/v; rm /home/alice -r; echo ready; sleep 1000";
    let args = ["run", "-d", "--name", "box", "-v", "vol:/data", "--tmpfs", "/scratch", "busybox", "sh", "-c", script];
    world.dhow(&args).exits(0);
    eventually("it is ready", || world.dhow(&["logs", "box"]).ok() == "ready");
    let live = world.dhow(&["export", "box"]);
    let live = members(live.exits(0).stdout_bytes());
    for name in ["proc/", "sys/", "dev/", "dev/pts/", "dev/shm/", "data/", "scratch/", "home/"] {
        assert_eq!(live.get(name).map(String::as_str), Some("folder"), "{name}");
    }
    for (name, contents) in [("own", "own\n"), ("etc/hosts", ""), (".dockerenv", ""), ("bin/sh", "-> busybox")] {
        assert_eq!(live.get(name).map(String::as_str), Some(contents), "{name}");
    }
    assert!(!live.keys().any(|name| ["proc/1/", "data/v", "scratch/t", "home/alice/"].contains(&name.as_str())));
    world.dhow(&["stop", "-t", "0", "box"]).exits(0);
    let file = world.path().join("box.tar").display().to_string();
    for client in CLIENTS {
        with(&world, client, &["export", "-o", &file, "box"]).exits(0);
        let bytes = fs::read(&file).expect("written");
        assert_eq!(members(&bytes), live, "{client}");
        assert_eq!(fs::metadata(&file).expect("written").mode() & 0o777, 0o600, "{client}");
        assert_eq!(with(&world, client, &["container", "export", "box"]).stdout_bytes(), bytes, "always the same");
        with(&world, client, &["export", "-o", "/nowhere/x", "box"]).exits(1).says("failed to export container");
        with(&world, client, &["export", "nothing"]).exits(1).says("No such container: nothing");
    }
    let import = finish_with_input(&mut world.command(&["import", "-", "again"]), fs::read(&file).expect("there"));
    import.exits(0);
    assert_eq!(world.dhow(&["run", "--rm", "again", "cat", "/own"]).ok(), "own");
}

const API: &str = "DOCKER_API_VERSION";

/// The container, what it called its image, and the number of its labels.
const OF_WHICH_CONTAINER: &str = "{{.Container}} {{.ContainerConfig.Image}} {{len .ContainerConfig.Labels}}";

#[test]
fn commit_makes_an_image_of_a_container() {
    let world = busybox();
    let create = ["create", "--name", "box", "-e", "A=1", "-l", "x=y", "-w", "/tmp", "busybox", "sh", "-c", CHANGES];
    world.dhow(&create).exits(0);
    world.dhow(&["start", "-a", "box"]).exits(0);
    for client in CLIENTS {
        let name = format!("{client}:1");
        let change = ["-c", "ENV B=2", "-c", "CMD [\"cat\", \"/etc/new\"]", "-m", "a word", "-a", "me"];
        let id = with(&world, client, &[&["commit"], &change[..], &["box", &name]].concat()).ok();
        assert!(id.starts_with("sha256:"), "{id}");
        assert_eq!(world.inspect(&name, "{{.Id}}"), id);
        assert_eq!(world.dhow(&["run", "--rm", &name]).ok(), "hi");
        let script = "ls /home /tmp; stat -c %a /var; readlink /root/l; pwd; echo $A$B";
        assert_eq!(
            world.dhow(&["run", "--rm", &name, "sh", "-c", script]).ok(),
            "/home:\n\n/tmp:\nx\n700\n/\n/tmp\n12"
        );
        assert_eq!(world.inspect(&name, "{{.Author}} {{.Comment}} {{.Config.Labels.x}}"), "me a word y");
        // Of which image it was made; in older versions of the API, of which container, too.
        assert_eq!(world.inspect(&name, "{{.Parent}}"), world.inspect("busybox", "{{.Id}}"));
        let old =
            world.stock_command(&["image", "inspect", "--format", OF_WHICH_CONTAINER, &name]).env(API, "1.44").output();
        let old = String::from_utf8(old.expect("it runs").stdout).expect("text");
        assert_eq!(old.trim(), format!("{} busybox 1", world.inspect("box", "{{.Id}}")));
        let history = world.dhow(&["history", "--format", "{{.CreatedBy}} {{.Comment}}", "--no-trunc", &name]).ok();
        assert!(history.lines().count() >= 2 && history.starts_with("sh -c echo hi"), "{history}");
        world.dhow(&["run", "--name", client, &name, "true"]).exits(0);
        assert_eq!(world.dhow(&["diff", client]).ok(), "");
        for (args, words) in [
            (&["nothing"][..], "No such container: nothing"),
            (&["box", "BAD"], "must be lowercase"),
            (&["-c", "FROM x", "box"], "from is not a valid change command"),
        ] {
            with(&world, client, &[&["commit"], args].concat()).exits(1).says(words);
        }
    }
    // One that changed nothing has no layer of its own, and no name unless it is given one.
    world.dhow(&["run", "--name", "same", "busybox", "true"]).exits(0);
    let id = world.dhow(&["commit", "same"]).ok();
    assert_eq!(world.inspect(&id, "{{len .RootFS.Layers}} {{len .RepoTags}}"), "1 0");
}

#[test]
fn a_commit_freezes_the_container_unless_told_not_to() {
    let mut world = busybox();
    running(&world, &[]);
    let mut events = world.command(&["events", "--format", "{{.Action}}"]);
    let log = fs::File::create(world.path().join("events")).expect("made");
    let mut events = events.stdout(log).spawn().expect("started");
    let seen = |world: &World| fs::read_to_string(world.path().join("events")).expect("read");
    eventually("events are seen", || {
        world.dhow(&["exec", "box", "true"]).exits(0);
        seen(&world).contains("exec_die")
    });
    world.dhow(&["commit", "box", "frozen"]).exits(0);
    world.dhow(&["commit", "--pause=false", "box", "warm"]).exits(0);
    world.dhow(&["cp", "box:/etc/passwd", "-"]).exits(0);
    eventually("all is told", || seen(&world).contains("archive-path"));
    events.kill().expect("ours");
    events.wait().expect("ours");
    let told = seen(&world);
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("exec_") && *line != "tag").collect();
    assert_eq!(told, ["pause", "commit", "unpause", "commit", "archive-path"]);
    assert_eq!(world.inspect("box", "{{.State.Status}}"), "running");
    world.stop_engine();
    world.start_engine();
    assert_eq!(world.dhow(&["run", "--rm", "frozen", "echo", "x"]).ok(), "x");
}

/// A small disk of its own for the engine's data.
struct SmallDisk(String);

impl SmallDisk {
    fn under(world: &mut World) -> Self {
        world.stop_engine();
        let root = world.data_root().display().to_string();
        let mount = ["-t", "tmpfs", "-o", "size=24m", "small", &root];
        finish(std::process::Command::new("mount").args(mount)).exits(0);
        world.start_engine();
        world.import_busybox("busybox");
        Self(root)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount").args(["--lazy", &self.0]).status();
        debug_assert!(done.is_ok_and(|status| status.success()), "it is ours");
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_half_made_stays() {
    let mut world = busybox();
    let disk = SmallDisk::under(&mut world);
    let big = world.path().join("big");
    fs::write(&big, vec![b'x'; 30 << 20]).expect("written");
    world.dhow(&["create", "--name", "box", "busybox", "true"]).exits(0);
    let big = big.display().to_string();
    world.dhow(&["cp", &big, "box:/root/big"]).exits(1).says("no space left on device");
    assert_eq!(world.dhow(&["diff", "box"]).ok(), "");
    world.dhow(&["run", "--name", "full", "busybox", "dd", "if=/dev/urandom", "of=/data", "bs=1M", "count=9"]).exits(0);
    let images = world.dhow(&["images", "-aq"]).ok();
    world.dhow(&["commit", "full", "never"]).exits(1);
    assert_eq!(world.dhow(&["images", "-aq"]).ok(), images);
    world.dhow(&["rm", "full"]).exits(0);
    eventually("there is room again", || world.dhow(&["commit", "box", "fits"]).code() == 0);
    world.dhow(&["rm", "box"]).exits(0);
    world.stop_engine();
    drop(disk);
    world.start_engine();
}
