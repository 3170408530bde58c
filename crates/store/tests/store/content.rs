use std::fs;
use std::io::Write;

use dhow_errdefs::Class;
use dhow_oci::Digest;
use dhow_store::Store;

fn files(store: &Store) -> usize {
    let count = |folder| fs::read_dir(store.root().join(folder)).unwrap().count();
    count("content/sha256") + count("content/ingest")
}

#[test]
fn a_blob_is_visible_when_it_is_verified_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let lease = store.lease();
    let digest = Digest::of(b"hello");
    let mut ingest = store.content().ingest(100).unwrap();
    ingest.write_all(b"hel").unwrap();
    ingest.write_all(b"lo").unwrap();
    assert_eq!(store.content().stat(&digest).unwrap(), None);
    let blob = ingest.commit(&lease, Some(&digest), Some(5)).unwrap();
    assert_eq!((blob.digest, blob.size), (digest, 5));
    assert_eq!(store.content().read(&digest).unwrap(), b"hello");
    assert_eq!(store.content().list().unwrap(), [blob]);
    assert!(store.content().delete(&digest).unwrap());
    assert_eq!(store.content().reader(&digest).unwrap_err().class(), Class::NotFound);
    assert!(!store.content().delete(&digest).unwrap());
}

#[test]
fn what_is_not_what_was_expected_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let lease = store.lease();
    let begin = || {
        let mut ingest = store.content().ingest(100).unwrap();
        ingest.write_all(b"hello").unwrap();
        ingest
    };
    let error = begin().commit(&lease, Some(&Digest::of(b"other")), None).unwrap_err();
    assert_eq!(error.class(), Class::DataLoss);
    assert_eq!(begin().commit(&lease, None, Some(6)).unwrap_err().class(), Class::DataLoss);
    drop(begin());
    assert_eq!(files(&store), 0);
}

#[test]
fn a_blob_larger_than_agreed_is_refused_before_it_fills_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut ingest = store.content().ingest(4).unwrap();
    ingest.write_all(b"1234").unwrap();
    assert_eq!(Class::from(ingest.write_all(b"5").unwrap_err().kind()), Class::ResourceExhausted);
    drop(ingest);
    assert_eq!(files(&store), 0);
}

#[test]
fn a_damaged_document_is_not_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let digest = store.content().put(&store.lease(), b"config").unwrap();
    fs::write(store.content().path(&digest), b"Config").unwrap();
    assert_eq!(store.content().read(&digest).unwrap_err().class(), Class::DataLoss);
}

#[test]
fn several_write_the_same_blob_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| store.content().put(&store.lease(), b"the same").unwrap());
        }
    });
    assert_eq!(files(&store), 1);
}
