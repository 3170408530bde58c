//! An engine that is killed with SIGKILL again and again, wherever it is at that moment.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use dhow_store::{ContainerRecord, Document, ImageLayer, ImageRecord, Store, UnpackOptions};

use crate::world::{Tar, names};

const ROOT: &str = "DHOW_TEST_KILLED_ROOT";

/// What the engine to be killed does, for ever: it loads, runs, removes and collects, and says a word after each step.
fn work(root: &Path) {
    let store = Store::open(root).unwrap();
    let mut out = std::io::stdout();
    for round in 0.. {
        let seed = format!("{}-{round}", std::process::id());
        let image = load(&store, &seed, &mut out);
        let id = format!("c{seed}");
        let top = image.layers[1].chain_id;
        let overlay = store.snapshots().prepare(&id, Some(&top)).unwrap();
        let document = Document { format: 1, json: "{}".into() };
        let record = ContainerRecord {
            name: id.clone(),
            id: id.clone(),
            image: Some(image.id),
            layer: Some(top),
            created: round,
            spec: document.clone(),
            state: document.clone(),
        };
        store.metadata().insert_container(&record).unwrap();
        writeln!(out, "STEP created").unwrap();
        std::fs::write(overlay.upper.join("file"), "x").unwrap();
        if round % 2 == 0 {
            store.metadata().delete_container(&id).unwrap();
            writeln!(out, "STEP forgotten").unwrap();
            store.snapshots().remove(&id).unwrap();
            store.metadata().delete_image(&image.id).unwrap();
            writeln!(out, "STEP removed").unwrap();
            store.collect().unwrap();
        }
        writeln!(out, "STEP done").unwrap();
    }
}

fn load(store: &Store, seed: &str, out: &mut impl Write) -> ImageRecord {
    let lease = store.lease();
    let mut layers = Vec::new();
    let mut unpacked = Vec::new();
    for number in 0..2 {
        let archive =
            (0..20).fold(Tar::new(), |tar, file| tar.file(&format!("d/{seed}-{number}-{file}"), "contents")).end();
        let blob = store.content().put(&lease, &archive).unwrap();
        layers.push((blob, archive.len() as u64));
        unpacked.push(store.layers().unpack_blob(store.content(), &blob, &UnpackOptions::default()).unwrap());
        writeln!(out, "STEP unpacked").unwrap();
    }
    let records = store.layers().record(&lease, None, unpacked).unwrap();
    writeln!(out, "STEP recorded").unwrap();
    let id = store.content().put(&lease, seed.as_bytes()).unwrap();
    let layers = layers
        .into_iter()
        .zip(records)
        .map(|((blob, blob_size), record)| ImageLayer {
            diff_id: record.diff_id,
            chain_id: record.chain_id,
            blob,
            blob_size,
            media_type: String::new(),
        })
        .collect();
    let image = ImageRecord {
        id,
        manifest: None,
        parent: None,
        created: 0,
        size: 0,
        platform: String::new(),
        layers,
        blobs: Vec::new(),
    };
    store.content().sync().unwrap();
    store.metadata().put_image(&image, &[&format!("{seed}:latest")]).unwrap();
    writeln!(out, "STEP loaded").unwrap();
    image
}

/// Every record has what it speaks of, and nothing is there without a record.
fn check(root: &Path) {
    let store = Store::open(root).unwrap();
    store.wait_for_deletions();
    let layers = store.metadata().layers().unwrap();
    for layer in &layers {
        assert_eq!(store.layers().verify(layer).unwrap(), []);
    }
    for image in store.metadata().images().unwrap() {
        let blobs = image.layers.iter().map(|layer| layer.blob).chain([image.id]);
        for blob in blobs {
            store.content().read(&blob).unwrap();
        }
    }
    let containers: HashSet<String> = store.metadata().containers().unwrap().into_iter().map(|c| c.id).collect();
    for id in names(&root.join("containers")) {
        assert!(containers.contains(&id), "{id} has no record");
    }
    let mut folders: Vec<String> = layers.iter().map(|layer| layer.number.to_string()).collect();
    folders.push("base".into());
    folders.sort();
    assert_eq!(names(&root.join("layers")), folders);
    assert_eq!(names(&root.join("content/ingest")), [""; 0]);
    store.collect().unwrap();
    let referred = store.metadata().images().unwrap().len() * 3;
    assert_eq!(store.content().list().unwrap().len(), referred, "no blob without a reference outlives a collection");
}

#[test]
fn a_store_that_is_killed_at_any_moment_is_whole_at_the_next_start() {
    if let Some(root) = std::env::var_os(ROOT) {
        work(Path::new(&root));
    }
    let dir = tempfile::tempdir().unwrap();
    for steps in 1..16 {
        let mut engine = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "killed::a_store_that_is_killed_at_any_moment_is_whole_at_the_next_start"])
            .env(ROOT, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(engine.stdout.take().unwrap());
        let seen = out.lines().map_while(Result::ok).filter(|line| line.contains("STEP")).take(steps).count();
        engine.kill().unwrap();
        engine.wait().unwrap();
        assert_eq!(seen, steps, "the engine ended by itself");
        check(dir.path());
    }
}
