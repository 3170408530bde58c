//! Measures what the store promises: `measure-store layer ARCHIVE…` unpacks archives, `measure-store records` writes containers.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use dhow_errdefs::{Result, ResultExt};
use dhow_store::{ContainerRecord, Document, Store, UnpackOptions};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = tempfile::tempdir_in(".").context(|| "make a folder")?;
    let store = Store::open(dir.path())?;
    match arguments.split_first() {
        Some((verb, archives)) if verb == "layer" => archives.iter().try_for_each(|archive| layer(&store, archive)),
        Some((verb, _)) if verb == "records" => {
            records(&store)?;
            drop(store);
            let start = Instant::now();
            let store = Store::open(dir.path())?;
            let opened = start.elapsed();
            let containers = store.metadata().containers()?.len();
            println!("opened in {opened:?}, read {containers} containers in {:?}", start.elapsed() - opened);
            Ok(())
        }
        _ => {
            println!("measure-store layer ARCHIVE... | measure-store records");
            Ok(())
        }
    }
}

fn layer(store: &Store, archive: &str) -> Result<()> {
    let lease = store.lease();
    let file = File::open(Path::new(archive)).context(|| format!("open {archive}"))?;
    let start = Instant::now();
    let unpacked = store.layers().unpack(file, &UnpackOptions::default())?;
    let unpack = start.elapsed();
    let start = Instant::now();
    let layer = store.layers().record(&lease, None, vec![unpacked])?;
    println!("{archive}: {} bytes, unpacked in {unpack:?}, recorded in {:?}", layer[0].size, start.elapsed());
    Ok(())
}

/// The records of one container's life, as the start path writes them.
fn records(store: &Store) -> Result<()> {
    let rounds = 2000;
    let document = |size| Document { format: 1, json: format!("{{\"x\":\"{}\"}}", "y".repeat(size)) };
    let mut lives = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let id = format!("{round:064x}");
        let record = ContainerRecord {
            id: id.clone(),
            name: format!("name_{round}"),
            image: None,
            layer: None,
            created: round as i64,
            spec: document(3000),
            state: document(400),
        };
        let start = Instant::now();
        store.metadata().insert_container(&record)?;
        store.metadata().set_container_state(&id, &document(500))?;
        store.metadata().delete_container(&id)?;
        lives.push(start.elapsed());
        if round % 2 == 0 {
            store.metadata().insert_container(&record)?;
        }
    }
    report("insert, update, delete of a container", lives);
    folders(store)
}

/// A container's folders, at the pace of a person or a script.
fn folders(store: &Store) -> Result<()> {
    let (mut prepared, mut removed) = (Vec::new(), Vec::new());
    for round in 0..300 {
        let id = format!("f{round:063x}");
        let start = Instant::now();
        store.snapshots().prepare(&id, None)?;
        prepared.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(5));
        let start = Instant::now();
        store.snapshots().remove(&id)?;
        removed.push(start.elapsed());
    }
    report("prepare", prepared);
    report("remove", removed);
    Ok(())
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what}: median {:?}, 99% {:?}, worst {:?}", at(50), at(99), at(100));
}
