//! Every file of a data root truncated, zeroed and with a flipped bit, one at a time: the engine starts, or says what to
//! do; containers that have nothing to do with the file are as they were; the damaged one can be removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dhow_testkit::{World, finish, peak_memory};
use fastrand::Rng;

use super::{chance, rounds};
use crate::busybox;

/// More than any engine of a test needs, in KiB: whatever a file says, no gigabytes are reserved for it.
const BOUND: u64 = 64 << 10;

/// What may happen to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Truncated,
    Emptied,
    Zeroed,
    Flipped { at: usize, bit: u8 },
}

impl Damage {
    fn happens_to(self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        match self {
            Self::Truncated => bytes.truncate(bytes.len() / 2),
            Self::Emptied => bytes.clear(),
            Self::Zeroed => bytes.fill(0),
            Self::Flipped { at, bit } => bytes[at] ^= 1 << bit,
        }
        bytes
    }
}

/// The files under a folder whose loss is an engine's business: not the contents of layers and of containers.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let kind = entry.file_type().expect("known");
        let contents = ["diff", "upper", "work", "volumes", "spare"].iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && !contents {
            files(&entry.path(), found);
        } else if kind.is_file() && entry.file_name() != "lock" {
            found.push(entry.path());
        }
    }
}

/// The witness lives whatever happens to the files of the victim.
fn check(world: &World, what: &str) {
    assert_eq!(world.inspect("witness", "{{.State.Status}}"), "running", "{what}");
    world.dhow(&["exec", "witness", "true"]).exits(0);
    world.dhow(&["ps", "--all"]).exits(0);
    // Whatever is left of it, it can be looked at, and asked for its log.
    world.dhow(&["logs", "victim"]);
    world.dhow(&["inspect", "victim"]).exits(0);
    let most = peak_memory(world.engine_pid().expect("it runs"));
    assert!(most < BOUND, "{what}: {most} KiB");
}

fn damages(chance: &mut Rng, whole: &[u8], flips: usize) -> Vec<Damage> {
    let mut all = vec![Damage::Truncated, Damage::Emptied, Damage::Zeroed];
    all.extend((0..flips).map(|_| Damage::Flipped { at: chance.usize(..whole.len()), bit: chance.u8(..8) }));
    all
}

/// Containers' own files, logs, blobs, records of layers, the version of the layout.
#[test]
fn a_damaged_file_costs_what_is_in_it_and_nothing_else() {
    let mut world = busybox();
    let mut chance = chance();
    world.dhow(&["run", "-d", "--name", "witness", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["run", "--name", "victim", "busybox", "sh", "-c", "seq 100; exit 3"]).exits(3);
    let witness = world.inspect("witness", "{{.Id}}");
    world.stop_engine();
    let mut found = Vec::new();
    files(&world.data_root(), &mut found);
    found.retain(|path| {
        let text = path.to_string_lossy();
        !text.contains(&witness) && !text.contains("metadata.db")
    });
    for path in found {
        let whole = fs::read(&path).expect("read");
        let damages = if whole.is_empty() { Vec::new() } else { damages(&mut chance, &whole, rounds(2)) };
        for damage in damages {
            let what = format!("{} {damage:?}", path.strip_prefix(world.data_root()).expect("below").display());
            fs::write(&path, damage.happens_to(&whole)).expect("written");
            match world.try_start_engine() {
                Ok(()) => check(&world, &what),
                Err(said) => assert!(said.contains("hint: "), "{what}: it does not say what to do: {said}"),
            }
            world.stop_engine();
            fs::write(&path, &whole).expect("written");
        }
    }
    world.start_engine();
    check(&world, "mended");
    assert_eq!(world.inspect("victim", "{{.State.ExitCode}}"), "3");
    assert_eq!(world.dhow(&["logs", "victim"]).ok().lines().count(), 100);
}

/// A test that fails here has an engine that does not start any more, and still containers.
#[test]
fn a_world_that_fails_without_its_engine_leaves_nothing() {
    let (tell, told) = std::sync::mpsc::channel();
    let fails = move || {
        let mut world = busybox();
        world.dhow(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).exits(0);
        let pids = [world.shims(), vec![world.inspect("box", "{{.State.Pid}}").parse().expect("a number")]].concat();
        world.crash_engine();
        fs::write(world.data_root().join("format"), "0\n").expect("written");
        tell.send(pids).expect("somebody listens");
        panic!("as a test fails");
    };
    assert!(std::thread::spawn(fails).join().is_err());
    let left = |pid: &i32| Path::new(&format!("/proc/{pid}/exe")).read_link().is_ok();
    let pids = told.recv().expect("it got so far");
    assert!(!pids.iter().any(left), "{pids:?}");
}

/// The database and its log, as a crash leaves them. Whatever is listed then can be looked at and removed.
#[test]
fn a_damaged_database_is_used_or_refused_with_advice() {
    let mut world = busybox();
    let mut chance = chance();
    for number in 0..20 {
        world.dhow(&["create", "--name", &format!("box{number}"), "busybox"]).exits(0);
    }
    world.crash_engine();
    let (root, copy) = (world.data_root(), world.path().join("copy"));
    let copied = |from: &Path, to: &Path| {
        finish(Command::new("cp").arg("-a").arg(from).arg(to)).exits(0);
    };
    copied(&root, &copy);
    for name in ["metadata.db", "metadata.db-wal", "metadata.db-shm", "metadata.reserve"] {
        let whole = fs::read(root.join(name)).expect("read");
        for damage in damages(&mut chance, &whole, rounds(4)) {
            let what = format!("{name} {damage:?}");
            fs::write(root.join(name), damage.happens_to(&whole)).expect("written");
            match world.try_start_engine() {
                Ok(()) => removes_all(&world, &what),
                Err(said) => assert!(said.contains("hint: "), "{what}: it does not say what to do: {said}"),
            }
            world.crash_engine();
            fs::remove_dir_all(&root).expect("removed");
            copied(&copy, &root);
        }
    }
    world.start_engine();
    assert_eq!(world.dhow(&["ps", "--all", "--quiet"]).ok().lines().count(), 20);
}

fn removes_all(world: &World, what: &str) {
    let most = peak_memory(world.engine_pid().expect("it runs"));
    assert!(most < BOUND, "{what}: {most} KiB");
    let ids = world.dhow(&["ps", "--all", "--quiet", "--no-trunc"]).ok();
    let ids: Vec<&str> = ids.lines().collect();
    if !ids.is_empty() {
        world.dhow(&[&["inspect", "--format", "{{.Name}}"], ids.as_slice()].concat()).exits(0);
        world.dhow(&[&["rm", "--force"], ids.as_slice()].concat()).exits(0);
    }
    assert_eq!(world.dhow(&["ps", "--all", "--quiet"]).ok(), "", "{what}");
    world.dhow(&["images"]);
}

/// Makes the text of a record something else: `needle` comes right after what precedes it in the row of that container.
/// Says whether the record was found: the database may have cut it in two between its pages.
fn damage_record(world: &World, id: &str, needle: &str) -> bool {
    let database = world.data_root().join("metadata.db");
    let mut bytes = fs::read(&database).expect("read");
    let find = |bytes: &[u8], text: &str| bytes.windows(text.len()).position(|window| window == text.as_bytes());
    let (mut from, mut damaged) = (0, 0);
    while let Some(place) = find(&bytes[from..], id) {
        from += place + id.len();
        // Between them are a name, two digests and some numbers at most.
        let end = bytes.len().min(from + 180);
        if let Some(offset) = find(&bytes[from..end], needle) {
            bytes[from + offset] = 0xff;
            damaged += 1;
        }
    }
    fs::write(&database, bytes).expect("written");
    damaged > 0
}

/// A record that cannot be read is a container that can be seen and removed, and gives its name back.
#[test]
fn a_container_with_a_damaged_record_can_be_removed() {
    let mut world = busybox();
    world.dhow(&["run", "-d", "--name", "witness", "busybox", "sleep", "1000"]).exits(0);
    for needle in ["{\"spec\"", "{\"state\""] {
        loop {
            world.dhow(&["run", "--name", "victim", "busybox", "sh", "-c", "exit 4"]).exits(4);
            let id = world.inspect("victim", "{{.Id}}");
            // In good order, so that everything is in the database itself.
            world.stop_engine();
            let damaged = damage_record(&world, &id, needle);
            world.start_engine();
            if damaged {
                break;
            }
            world.dhow(&["rm", "victim"]).exits(0);
        }
        assert_eq!(world.inspect("witness", "{{.State.Status}}"), "running");
        assert_eq!(world.inspect("victim", "{{.State.Status}}"), "dead", "{needle}");
        world.dhow(&["ps", "--all"]).exits(0);
        world.dhow(&["start", "victim"]).exits(1);
        world.dhow(&["create", "--name", "victim", "busybox"]).exits(1).says("already in use");
        world.dhow(&["rm", "victim"]).exits(0);
        world.is_in_order();
    }
    world.dhow(&["run", "--name", "victim", "busybox", "true"]).exits(0);
}

#[test]
fn folders_that_vanished_cost_what_was_in_them() {
    let mut world = busybox();
    world.dhow(&["run", "-d", "--name", "witness", "busybox", "sleep", "1000"]).exits(0);
    world.dhow(&["run", "--name", "victim", "busybox", "true"]).exits(0);
    let victim = world.inspect("victim", "{{.Id}}");
    for folder in ["content/ingest", "trash", "spare", "layers/base", &format!("containers/{victim}")] {
        world.crash_engine();
        fs::remove_dir_all(world.data_root().join(folder)).expect("it was there");
        world.start_engine();
        assert_eq!(world.inspect("witness", "{{.State.Status}}"), "running", "{folder}");
        world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
    }
    world.dhow(&["rm", "victim"]).exits(0);
    // All blobs, as with a disk that has lost a folder: what was unpacked still runs.
    world.crash_engine();
    let blobs = world.data_root().join("content/sha256");
    fs::remove_dir_all(&blobs).expect("it was there");
    world.start_engine();
    world.dhow(&["ps", "--all"]).exits(0);
    world.dhow(&["images"]).exits(0);
    world.dhow(&["rm", "--force", "witness"]).exits(0);
    world.dhow(&["rmi", "--force", "busybox"]).exits(0);
    world.import_busybox("busybox");
    world.dhow(&["run", "--rm", "busybox", "true"]).exits(0);
}

#[test]
fn an_engine_says_which_file_is_damaged_and_what_to_do() {
    let mut world = busybox();
    world.stop_engine();
    let database = world.data_root().join("metadata.db");
    let whole = fs::read(&database).expect("read");
    fs::write(&database, b"not a database").expect("written");
    let said = world.try_start_engine().expect_err("it refuses");
    assert!(said.contains("metadata.db") && said.contains("hint: "), "{said}");
    // Also to who only wants to run something.
    let mut client = world.command(&["ps"]);
    client.env_remove("DOCKER_HOST").env("DHOW_DATA_ROOT", world.data_root()).env("DHOW_EXEC_ROOT", world.exec_root());
    finish(&mut client).exits(1).says("metadata.db").says("move it away");
    fs::write(&database, whole).expect("written");
    world.start_engine();
}
