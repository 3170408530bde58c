//! What Docker does not have: snapshots, clones, other names, protection.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dhow_testkit::{World, eventually};

use crate::{DHOW, busybox};

fn shell(world: &World, script: &str) -> String {
    world.dhow(&["run", "--rm", "-v", "data:/d", "busybox", "sh", "-c", script]).ok()
}

#[test]
fn a_snapshot_is_taken_gone_back_to_and_not_removed_by_accident() {
    let mut world = busybox();
    world.dhow(&["volume", "create", "--label", "tier=back", "data"]).exits(0);
    shell(&world, "echo first > /d/file; chown 5:6 /d/file; ln -s file /d/link; mkdir -m 1777 /d/sub");
    world.dhow(&["run", "-d", "--name", "writer", "-v", "data:/d", "busybox", "sleep", "1000"]).exits(0);
    assert_eq!(world.dhow(&["volume", "snapshot", "data", "before"]).ok(), "before");
    assert_eq!(world.inspect("writer", "{{.State.Status}}"), "running");
    let label = "{{index .Labels \"dhow.snapshot.of\"}} {{.Labels.tier}} {{.Protected}}";
    assert_eq!(
        world.docker(&["volume", "inspect", "-f", "{{index .Labels \"dhow.snapshot.of\"}}", "before"]).ok(),
        "data"
    );
    assert_eq!(world.dhow(&["volume", "inspect", "-f", label, "before"]).ok(), "data back true");
    shell(&world, "echo second > /d/file; touch /d/more");
    world.dhow(&["volume", "restore", "data", "before"]).exits(1).says("restore data: volume is in use");
    world.dhow(&["stop", "-t", "0", "writer"]).exits(0);
    world.dhow(&["volume", "restore", "data", "before"]).exits(0);
    assert_eq!(
        shell(&world, "cat /d/link; stat -c '%u %g %a' /d/file /d/sub; ls /d | wc -l"),
        "first\n5 6 644\n0 0 1777\n3"
    );
    assert_eq!(
        world.dhow(&["volume", "inspect", "-f", "{{.Name}} {{.Protected}}", "before", "data"]).ok(),
        "before true\ndata false"
    );
    for (filter, names) in [("protected=true", "before true"), ("protected=false", "data false")] {
        let list = ["volume", "ls", "--filter", filter, "--format", "{{.Name}} {{.Protected}}"];
        assert_eq!(world.dhow(&list).ok(), names);
        assert_eq!(
            world.docker(&["volume", "ls", "-q", "--filter", filter]).ok(),
            names.split(' ').next().expect("a name")
        );
    }
    world
        .dhow(&["volume", "prune", "-af", "--filter", "protected=maybe"])
        .exits(1)
        .says("invalid filter 'protected=[maybe]'");
    for client in [World::dhow, World::docker] {
        client(&world, &["volume", "rm", "-f", "before"]).exits(1).says("remove before: volume is protected");
        assert_eq!(client(&world, &["volume", "prune", "-af"]).ok(), "Total reclaimed space: 0B");
    }
    world.crash_engine();
    world.start_engine();
    world.dhow(&["volume", "rm", "before"]).exits(1);
    world.dhow(&["volume", "protect", "--off", "before"]).exits(0);
    world.dhow(&["volume", "rm", "before"]).exits(0);
    let snapshot = world.dhow(&["volume", "snapshot", "data"]);
    assert!(snapshot.ok().starts_with("data-20") && snapshot.stderr().is_empty());
    world.dhow(&["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "memory"]).exits(0);
    let snapshot = world.dhow(&["volume", "snapshot", "memory", "of-memory"]);
    snapshot.exits(0).says("WARNING: memory cannot be restored from it");
}

#[test]
fn a_volume_that_gets_a_name_is_anonymous_no_more() {
    let mut world = busybox();
    world.dhow(&["create", "--name", "box", "-v", "/data", "busybox"]).exits(0);
    let anonymous = world.inspect("box", "{{(index .Mounts 0).Name}}");
    world.dhow(&["rm", "box"]).exits(0);
    let strange = world.data_root().join("volumes/strange");
    fs::create_dir(&strange).expect("made");
    world.dhow(&["volume", "rename", &anonymous, "strange"]).exits(1).says("file exists");
    world.crash_engine();
    world.start_engine();
    let label = "{{index .Labels \"com.docker.volume.anonymous\"}}.";
    assert_eq!(world.dhow(&["volume", "inspect", "-f", label, &anonymous]).ok(), ".", "it has the label");
    fs::remove_dir_all(&strange).expect("it is there");
    world.dhow(&["volume", "rm", "strange"]).exits(0);
    world.dhow(&["volume", "rename", &anonymous, "precious"]).exits(0);
    for _ in 0..2 {
        world.dhow(&["volume", "prune", "-f"]).exits(0);
        assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "precious");
        world.crash_engine();
        world.start_engine();
    }
}

/// As the kernel says it of each extent (ioctl `FS_IOC_FIEMAP`).
fn is_shared(file: &Path) -> bool {
    let told = Command::new("filefrag").args(["-v", "-s"]).arg(file).output().expect("e2fsprogs are installed");
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    let extents: Vec<&str> = told.lines().filter(|line| line.contains("..")).collect();
    assert!(!extents.is_empty(), "{told}");
    extents.iter().all(|line| line.contains("shared"))
}

#[test]
fn a_snapshot_costs_no_space_where_the_file_system_can_share() {
    let Some(world) = World::on_disk_that_shares(DHOW) else {
        eprintln!("SKIPPED: no btrfs here");
        return;
    };
    world.import_busybox("busybox");
    shell(&world, "dd if=/dev/urandom of=/d/file bs=1M count=32 2> /dev/null");
    let file = |volume: &str| world.data_root().join("volumes").join(volume).join("_data/file");
    assert!(!is_shared(&file("data")), "it is alone");
    world.dhow(&["volume", "snapshot", "data", "before"]).exits(0);
    world.dhow(&["volume", "clone", "data", "twin"]).exits(0);
    shell(&world, "echo other > /d/file");
    assert!(is_shared(&file("before")) && is_shared(&file("twin")));
    world.dhow(&["volume", "restore", "data", "before"]).exits(0);
    assert!(is_shared(&file("data")));
    assert_eq!(fs::read(file("data")).expect("it is there"), fs::read(file("twin")).expect("it is there"));
}

/// So many files that copying them takes a moment.
fn many_files(world: &World) {
    shell(world, "i=0; while [ $i -lt 20000 ]; do : > /d/$i; i=$((i+1)); done");
}

/// Whether somebody has begun to copy a volume.
fn is_being_copied(world: &World) -> bool {
    let folders = fs::read_dir(world.data_root().join("volumes")).expect("it is there").flatten();
    let mut copies = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with(".copy:"));
    let begun =
        |copy: fs::DirEntry| fs::read_dir(copy.path().join("_data")).is_ok_and(|mut data| data.next().is_some());
    copies.any(begun)
}

/// A command that copies a volume, as soon as it does.
fn begun(world: &World, args: &[&str]) -> Child {
    let mut command = world.command(args);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    eventually("it is being copied", || is_being_copied(world));
    child
}

#[test]
fn a_container_that_starts_while_its_volume_is_restored_gets_the_restored_one() {
    let world = busybox();
    many_files(&world);
    world.dhow(&["volume", "snapshot", "data", "before"]).exits(0);
    let script = "echo mine > /d/mine; sleep 1000";
    world.dhow(&["create", "--name", "late", "-v", "data:/d", "busybox", "sh", "-c", script]).exits(0);
    let restore = begun(&world, &["volume", "restore", "data", "before"]);
    world.dhow(&["start", "late"]).exits(0);
    let restored = restore.wait_with_output().expect("it ends");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let mine = world.data_root().join("volumes/data/_data/mine");
    eventually("what it writes is in the volume", || mine.exists());
}

#[test]
fn who_runs_something_in_a_container_that_is_copied_waits_and_its_health_stays() {
    let world = busybox();
    many_files(&world);
    let health = ["--health-cmd", "true", "--health-interval", "2s"];
    let run = [&["run", "-d", "--name", "busy", "-v", "data:/d"], &health[..], &["busybox", "sleep", "1000"]];
    world.dhow(&run.concat()).exits(0);
    let is_healthy = || world.inspect("busy", "{{.State.Health.Status}}") == "healthy";
    eventually("it is healthy", is_healthy);
    let snapshot = begun(&world, &["volume", "snapshot", "data", "before"]);
    world.docker(&["exec", "busy", "touch", "/d/mine"]).exits(0);
    assert!(is_healthy());
    assert!(snapshot.wait_with_output().expect("it ends").status.success());
    assert!(!world.data_root().join("volumes/before/_data/mine").exists());
}

#[test]
fn a_container_that_starts_while_its_volume_is_copied_is_not_in_the_copy() {
    let world = busybox();
    many_files(&world);
    let snapshot = begun(&world, &["volume", "snapshot", "data", "before"]);
    assert_eq!(shell(&world, "echo mine > /d/mine; cat /d/mine"), "mine");
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "before\ndata", "the start has not waited");
    assert!(snapshot.wait_with_output().expect("it ends").status.success());
    assert!(!world.data_root().join("volumes/before/_data/mine").exists());
}

#[test]
fn a_copy_of_what_somebody_stops_meanwhile_is_none() {
    let world = busybox();
    many_files(&world);
    let deaf = "trap : TERM; while :; do sleep 1; done";
    world.dhow(&["run", "-d", "--name", "busy", "-v", "data:/d", "busybox", "sh", "-c", deaf]).exits(0);
    let snapshot = begun(&world, &["volume", "snapshot", "data", "before"]);
    world.dhow(&["stop", "-t", "1", "busy"]).exits(0);
    let ended = snapshot.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("was stopped while its volume was copied"), "{said}");
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "data");
    assert!(!is_being_copied(&world));
    world.dhow(&["start", "busy"]).exits(0);
    world.dhow(&["volume", "snapshot", "data", "before"]).exits(0);
    assert_eq!(world.inspect("busy", "{{.State.Status}}"), "running");
}

#[test]
fn a_copy_into_a_container_and_a_restored_volume_wait_for_each_other() {
    let world = busybox();
    many_files(&world);
    world.dhow(&["volume", "snapshot", "data", "before"]).exits(0);
    world.dhow(&["create", "--name", "box", "-v", "data:/d", "busybox"]).exits(0);
    let file = world.path().join("mine");
    fs::write(&file, "mine").expect("written");
    let restore = begun(&world, &["volume", "restore", "data", "before"]);
    world.dhow(&["cp", &file.display().to_string(), "box:/d/mine"]).exits(0);
    assert!(restore.wait_with_output().expect("it ends").status.success());
    assert_eq!(fs::read_to_string(world.data_root().join("volumes/data/_data/mine")).expect("it is there"), "mine");
}

#[test]
fn snapshots_that_nobody_names_have_names_of_their_own() {
    let world = busybox();
    world.dhow(&["volume", "create", "data"]).exits(0);
    for _ in 0..3 {
        assert!(world.dhow(&["volume", "snapshot", "data"]).ok().starts_with("data-20"));
    }
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok().lines().count(), 4);
}

#[test]
fn what_a_running_container_has_is_restored_elsewhere_as_it_was_at_one_moment() {
    let world = busybox();
    many_files(&world);
    let count = "n=0; while :; do for i in 1 2 3 4 5 6 7 8; do echo $n > /d/f$i; done; n=$((n+1)); done";
    world.dhow(&["run", "-d", "--name", "busy", "-v", "data:/d", "busybox", "sh", "-c", count]).exits(0);
    world.dhow(&["volume", "create", "other"]).exits(0);
    let counted = |volume: &str, file: u32| -> i64 {
        let path = world.data_root().join("volumes").join(volume).join(format!("_data/f{file}"));
        fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(-1)
    };
    for _ in 0..2 {
        eventually("it counts", || counted("data", 8) > 0);
        world.dhow(&["volume", "restore", "other", "data"]).exits(0);
        // One of them may be empty at that moment.
        let mut counts: Vec<i64> = (1..=8).map(|file| counted("other", file)).filter(|count| *count >= 0).collect();
        counts.sort_unstable();
        assert!(counts.len() >= 7 && counts[counts.len() - 1] - counts[0] <= 1, "{counts:?}");
    }
    assert_eq!(world.inspect("busy", "{{.State.Status}}"), "running");
}

#[test]
fn a_snapshot_is_replaced_by_nothing_and_its_clone_is_an_ordinary_volume() {
    let world = busybox();
    shell(&world, "echo first > /d/file");
    world.dhow(&["volume", "snapshot", "data", "before"]).exits(0);
    shell(&world, "echo second > /d/file");
    world.dhow(&["volume", "restore", "before", "data"]).exits(1).says("restore before: volume is protected");
    world.dhow(&["volume", "restore", "data", "data"]).exits(1).says("restore data: it is the same volume");
    let read = |volume: &str| {
        let volume = format!("{volume}:/d:ro");
        world.dhow(&["run", "--rm", "-v", &volume, "busybox", "cat", "/d/file"]).ok()
    };
    assert_eq!(read("before"), "first");
    world.dhow(&["volume", "clone", "before", "work"]).exits(0);
    assert_eq!(world.docker(&["volume", "inspect", "-f", "{{json .Labels}}", "work"]).ok(), "{}");
    assert_eq!(read("work"), "first");
    world.dhow(&["volume", "rm", "work"]).exits(0);
    world.dhow(&["volume", "snapshot", "before", "again"]).exits(0);
    let of = world.dhow(&["volume", "inspect", "-f", "{{json .Labels}}", "again"]).ok();
    assert_eq!(of, "{\"dhow.snapshot.of\":\"before\"}");
}

#[test]
fn a_volume_is_cloned_and_renamed() {
    let world = busybox();
    shell(&world, "echo x > /d/file");
    assert_eq!(world.dhow(&["volume", "clone", "data", "copy"]).ok(), "copy");
    shell(&world, "echo y > /d/file");
    world.dhow(&["volume", "rename", "copy", "renamed"]).exits(0);
    let read = ["run", "--rm", "-v", "renamed:/d", "busybox", "cat", "/d/file"];
    assert_eq!(world.dhow(&read).ok(), "x");
    for (args, words) in [
        (&["clone", "data", "renamed"][..], "volume renamed exists already"),
        (&["clone", "nothing", "new"], "get nothing: no such volume"),
        (&["clone", "data", "../x"], "includes invalid characters"),
        (&["rename", "renamed", "data"], "volume data exists already"),
        (&["rename", "data", "data"], "it has that name already"),
        (&["restore", "data", "nothing"], "get nothing: no such volume"),
        (&["protect", "nothing"], "get nothing: no such volume"),
    ] {
        world.dhow(&[&["volume"], args].concat()).exits(1).says(words);
    }
    world.dhow(&["create", "--name", "user", "-v", "data:/d", "busybox"]).exits(0);
    world.dhow(&["volume", "rename", "data", "other"]).exits(1).says("volume is in use");
    assert_eq!(world.dhow(&["volume", "ls", "-q"]).ok(), "data\nrenamed");
}
