//! Recording, collecting, restarting.

use std::fs;
use std::path::Path;

use dhow_errdefs::Class;
use dhow_oci::{Digest, chain_id};
use dhow_store::{ContainerRecord, Document, ImageLayer, ImageRecord, LayerRecord, Store, UnpackOptions};

use crate::world::{Tar, World, names};

fn layer_of(record: &LayerRecord, blob: Digest) -> ImageLayer {
    ImageLayer {
        diff_id: record.diff_id,
        chain_id: record.chain_id,
        blob,
        blob_size: 1,
        media_type: "application/vnd.oci.image.layer.v1.tar".into(),
    }
}

/// An image of two layers with all its blobs.
fn image(store: &Store, tag: &str, seed: &str) -> ImageRecord {
    let lease = store.lease();
    let mut layers = Vec::new();
    let mut parent = None;
    for number in 0..2 {
        let archive = Tar::new().file(&format!("{seed}{number}"), "contents").end();
        let blob = store.content().put(&lease, &archive).unwrap();
        let unpacked = store.layers().unpack_blob(store.content(), &blob, &UnpackOptions::default()).unwrap();
        let record = store.layers().record(&lease, parent.as_ref(), vec![unpacked]).unwrap().remove(0);
        parent = Some(record.chain_id);
        layers.push(layer_of(&record, blob));
    }
    let config = store.content().put(&lease, format!("config of {seed}").as_bytes()).unwrap();
    let manifest = store.content().put(&lease, format!("manifest of {seed}").as_bytes()).unwrap();
    let record = ImageRecord {
        id: config,
        manifest: Some(manifest),
        parent: None,
        created: 1,
        size: 16,
        platform: "linux/amd64".into(),
        layers,
        blobs: Vec::new(),
    };
    store.metadata().put_image(&record, &[tag]).unwrap();
    record
}

fn container(id: &str, image: &ImageRecord) -> ContainerRecord {
    let document = Document { format: 1, json: "{}".into() };
    ContainerRecord {
        id: id.into(),
        name: format!("name-of-{id}"),
        image: Some(image.id),
        layer: image.layers.last().map(|layer| layer.chain_id),
        created: 7,
        spec: document.clone(),
        state: document,
    }
}

fn empty(archive: Tar) -> Vec<u8> {
    archive.end()
}

#[test]
fn a_chain_is_keyed_as_oci_says_and_stored_once() {
    let world = World::new();
    let layers = world.store.layers();
    let archives = [empty(Tar::new().file("a", "")), empty(Tar::new().file("b", "")), empty(Tar::new())];
    let unpack =
        || archives.iter().map(|bytes| layers.unpack(&bytes[..], &UnpackOptions::default()).unwrap()).collect();
    let first = layers.record(&world.lease, None, unpack()).unwrap();
    let second = layers.record(&world.lease, None, unpack()).unwrap();
    assert_eq!(first, second);
    let diff_ids: Vec<Digest> = archives.iter().map(|bytes| Digest::of(bytes)).collect();
    assert_eq!(Some(first[2].chain_id), chain_id(&diff_ids));
    assert_eq!(world.store.metadata().chain(&first[2].chain_id).unwrap().len(), 3);
    world.store.wait_for_deletions();
    assert_eq!(names(&world.store.root().join("layers")).len(), 4, "three and the base");
    let overlay = world.store.snapshots().prepare("c", Some(&first[2].chain_id)).unwrap();
    let base = world.store.root().join("layers/base");
    assert_eq!(overlay.lower, first.iter().rev().map(|layer| layers.diff(layer)).chain([base]).collect::<Vec<_>>());
}

#[test]
fn a_layer_needs_the_chain_it_stands_on() {
    let world = World::new();
    let parent = Digest::of(b"nothing");
    let bytes = Tar::new().end();
    let error =
        world.store.layers().apply(&world.lease, Some(&parent), &bytes[..], &UnpackOptions::default()).unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
    world.assert_nothing_left();
}

#[test]
fn two_threads_with_the_same_layers_record_them_once() {
    let world = World::new();
    let bytes = Tar::new().file("a", "x").end();
    let apply = || world.apply(&bytes).unwrap();
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(apply);
        (apply(), other.join().unwrap())
    });
    assert_eq!(one, two);
    assert_eq!(world.store.metadata().layers().unwrap().len(), 1);
}

#[test]
fn damage_is_found() {
    let world = World::new();
    let layer = world.apply(&Tar::new().file("a", "x").file("b", "yy").symlink("l", "a").folder("d").end()).unwrap();
    let diff = world.store.layers().diff(&layer);
    fs::write(diff.join("a"), "X").unwrap();
    fs::write(diff.join("b"), "").unwrap();
    fs::remove_file(diff.join("l")).unwrap();
    let damage = world.store.layers().verify(&layer).unwrap();
    let found: Vec<_> = damage.iter().map(|damage| damage.path.to_str().unwrap()).collect();
    assert_eq!(found, ["a", "b", "l"]);
}

#[test]
fn collection_keeps_what_is_referred_to_and_no_more() {
    let world = World::new();
    let store = &world.store;
    let (one, two) = (image(store, "one", "1"), image(store, "two", "2"));
    store.metadata().insert_container(&container("c1", &one)).unwrap();
    assert_eq!(store.collect().unwrap(), dhow_store::Collected::default());

    assert!(store.metadata().delete_image(&two.id).unwrap());
    let collected = store.collect().unwrap();
    assert_eq!((collected.layers, collected.blobs), (2, 4));
    assert!(collected.bytes > 16);

    // A container needs its layers and its config, even when nothing has the image's name any more.
    assert!(store.metadata().delete_image(&one.id).unwrap());
    let collected = store.collect().unwrap();
    assert_eq!((collected.layers, collected.blobs), (0, 3), "two layers' blobs and the manifest");
    assert!(store.content().stat(&one.id).unwrap().is_some());
    assert_eq!(store.snapshots().prepare("c1", container("c1", &one).layer.as_ref()).unwrap().lower.len(), 3);

    assert!(store.metadata().delete_container("c1").unwrap());
    let collected = store.collect().unwrap();
    assert_eq!((collected.layers, collected.blobs), (2, 1));
    assert!(store.snapshots().prepare("c2", container("c1", &one).layer.as_ref()).is_err());
    let error = store.metadata().insert_container(&container("c2", &one)).unwrap_err();
    assert_eq!(error.class(), Class::NotFound, "{error}");
}

#[test]
fn collection_never_takes_what_is_in_flight() {
    let world = World::new();
    let blob = world.store.content().put(&world.lease, b"in flight").unwrap();
    let layer = world.apply(&Tar::new().file("a", "x").end()).unwrap();
    assert_eq!(world.store.collect().unwrap(), dhow_store::Collected::default());
    let other = world.store.lease();
    assert!(world.store.layers().hold(&other, &layer.chain_id).unwrap().is_some());
    let World { store, lease, dir: _dir } = world;
    drop(lease);
    assert_eq!(store.collect().unwrap().blobs, 1);
    assert_eq!(store.content().stat(&blob).unwrap(), None);
    assert!(store.layers().hold(&other, &layer.chain_id).unwrap().is_some(), "the other lease still holds the layer");
}

/// What a killed engine can leave, at each point between the first byte and the record.
#[test]
fn half_made_things_are_dropped_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let kept = {
        let store = Store::open(root).unwrap();
        let kept = image(&store, "kept", "k");
        store.snapshots().prepare("c1", None).unwrap();
        store.metadata().insert_container(&container("c1", &kept)).unwrap();
        kept
    };
    let before = tree(root);
    for half in ["content/ingest/7", "layers/new-9/diff/usr", "layers/99/diff", "containers/c2/upper", "trash/old/x"] {
        fs::create_dir_all(root.join(half)).unwrap();
        fs::write(root.join(half).join("file"), "half").unwrap();
    }
    let store = Store::open(root).unwrap();
    store.wait_for_deletions();
    assert_eq!(tree(root), before);
    assert_eq!(store.notes(), [""; 0]);
    assert_eq!(store.metadata().images().unwrap(), [kept]);
    assert_eq!(store.collect().unwrap(), dhow_store::Collected::default());
}

#[test]
fn a_blob_without_a_record_is_collected_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = Store::open(dir.path()).unwrap();
        let lease = store.lease();
        store.content().put(&lease, b"pulled, but the engine was killed before the record").unwrap();
        std::mem::forget(lease);
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.collect().unwrap().blobs, 1);
}

#[test]
fn containers_survive_the_loss_of_the_database_each_time() {
    let dir = tempfile::tempdir().unwrap();
    for kept in ["lost/c1", "lost/c1.1"] {
        let store = Store::open(dir.path()).unwrap();
        let overlay = store.snapshots().prepare("c1", None).unwrap();
        fs::write(overlay.upper.join("precious"), kept).unwrap();
        drop(store);
        for name in names(dir.path()).iter().filter(|name| name.starts_with("metadata.db")) {
            fs::remove_file(dir.path().join(name)).unwrap();
        }
        let store = Store::open(dir.path()).unwrap();
        assert!(store.notes()[0].contains("lost"), "{:?}", store.notes());
        assert_eq!(fs::read_to_string(dir.path().join(kept).join("upper/precious")).unwrap(), kept);
    }
}

/// What cannot be moved keeps the database away, too: with it, the folders would be leftovers without a record.
#[test]
fn containers_that_cannot_be_kept_are_not_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let overlay = Store::open(dir.path()).unwrap().snapshots().prepare("c1", None).unwrap();
    fs::write(overlay.upper.join("precious"), "x").unwrap();
    for name in names(dir.path()).iter().filter(|name| name.starts_with("metadata.db")) {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    fs::write(dir.path().join("lost"), "in the way").unwrap();
    for _ in 0..2 {
        Store::open(dir.path()).unwrap_err();
        assert!(overlay.upper.join("precious").exists());
    }
    fs::remove_file(dir.path().join("lost")).unwrap();
    Store::open(dir.path()).unwrap();
    assert!(dir.path().join("lost/c1/upper/precious").exists());
}

/// The names of everything below a data root, the database apart.
fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
    found.retain(|name| !name.starts_with("metadata.db") && !name.starts_with("spare/"));
    found.sort();
    found
}
