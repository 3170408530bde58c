//! Damaged and foreign data roots: a clear error, soon, and never a guess.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use dhow_errdefs::Class;
use dhow_store::{ContainerRecord, Document, Store};

fn document(text: &str) -> Document {
    Document { format: 1, json: text.into() }
}

/// A root with some records in it, closed as a killed engine leaves it or in good order.
fn filled(root: &Path) {
    let store = Store::open(root).unwrap();
    for number in 0..200 {
        let record = ContainerRecord {
            id: format!("{number:064x}"),
            name: format!("name{number}"),
            image: None,
            layer: None,
            created: number,
            spec: document(&"x".repeat(500)),
            state: document("{}"),
        };
        store.metadata().insert_container(&record).unwrap();
    }
}

#[test]
fn a_damaged_database_is_an_error_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let database = dir.path().join("metadata.db");
    let whole = fs::read(&database).unwrap();
    assert!(whole.len() > 100_000, "the records are in the database, not in the WAL");
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 5] = [
        ("truncated to half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("truncated to a part of the header", |bytes| bytes.truncate(50)),
        ("zeroed", |bytes| bytes.fill(0)),
        ("with a page of zeros", |bytes| bytes[8192..12288].fill(0)),
        ("with another file's contents", |bytes| *bytes = b"not a database".repeat(1000)),
    ];
    for (what, damage) in damages {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        fs::write(&database, &bytes).unwrap();
        let error = Store::open(dir.path()).expect_err(what);
        assert_eq!(error.class(), Class::DataLoss, "{what}: {error}");
        assert!(error.to_string().contains("metadata.db"), "{what}: {error}");
        assert!(error.hint().unwrap().contains("move it away"), "{what}");
        assert_eq!(fs::read(&database).unwrap().len(), bytes.len(), "{what}: it was not touched");
    }
    fs::write(&database, &whole).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().metadata().containers().unwrap().len(), 200);
}

/// A flipped bit is found or harmless, never a crash or a hang.
#[test]
fn flipped_bits_end_in_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let database = dir.path().join("metadata.db");
    let whole = fs::read(&database).unwrap();
    for step in 0..40 {
        let at = (step * 7919 + 13) % whole.len();
        let file = OpenOptions::new().write(true).open(&database).unwrap();
        file.write_all_at(&[whole[at] ^ (1 << (step % 8))], at as u64).unwrap();
        match Store::open(dir.path()) {
            Ok(store) => drop(store.metadata().containers()),
            Err(error) => {
                assert!(matches!(error.class(), Class::DataLoss | Class::Conflict | Class::Internal), "{error}")
            }
        }
        fs::write(&database, &whole).unwrap();
    }
}

#[test]
fn a_damaged_wal_loses_at_most_its_own_commits() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join("metadata.db-wal"), b"garbage".repeat(3000)).unwrap();
    assert_eq!(Store::open(dir.path()).unwrap().metadata().containers().unwrap().len(), 200);
}

/// What is committed is there after the process is gone without a word, whatever it had open.
#[test]
fn a_killed_process_loses_nothing() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::open(dir.path()).unwrap();
    for number in 0..300 {
        let record = ContainerRecord {
            id: format!("{number:064x}"),
            name: format!("name{number}"),
            image: None,
            layer: None,
            created: number,
            spec: document("{}"),
            state: document("{}"),
        };
        store.metadata().insert_container(&record).unwrap();
    }
    // The files as they are at this moment are what the next engine would find.
    for name in ["metadata.db", "metadata.db-wal", "format"] {
        fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
    }
    assert_eq!(Store::open(copy.path()).unwrap().metadata().containers().unwrap().len(), 300);
}

#[test]
fn a_second_engine_is_told_which_root_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert_eq!(error.class(), Class::Conflict);
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(store);
    Store::open(dir.path()).unwrap();
}

#[test]
fn an_old_folder_without_layers_or_content_still_opens() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    for folder in ["content", "layers", "containers", "trash"] {
        fs::remove_dir_all(dir.path().join(folder)).unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.metadata().containers().unwrap().len(), 200);
    assert!(store.collect().is_ok());
}
