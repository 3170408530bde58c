use std::fs;
use std::os::unix::fs::MetadataExt;

use dhow_errdefs::Class;
use dhow_oci::Digest;
use dhow_store::Store;

#[test]
fn a_container_without_layers_has_the_mount_points() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let overlay = store.snapshots().prepare("c1", None).unwrap();
    assert_eq!(overlay.lower.len(), 1);
    let mut found: Vec<_> = fs::read_dir(&overlay.lower[0]).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, [".dockerenv", "dev", "etc", "proc", "sys"]);
    assert_eq!(fs::read_link(overlay.lower[0].join("etc/mtab")).unwrap(), std::path::Path::new("/proc/mounts"));
    assert!(overlay.upper.is_dir() && overlay.work.is_dir());
    assert_eq!(store.snapshots().overlay("c1", None).unwrap(), overlay);
}

#[test]
fn preparing_again_keeps_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let overlay = store.snapshots().prepare("c1", None).unwrap();
    fs::write(overlay.upper.join("file"), "12345").unwrap();
    fs::hard_link(overlay.upper.join("file"), overlay.upper.join("other")).unwrap();
    store.snapshots().prepare("c1", None).unwrap();
    let usage = store.snapshots().usage("c1").unwrap();
    assert_eq!((usage.bytes, usage.entries), (5, 1), "a file with two names is one file");
}

#[test]
fn the_mark_of_a_volatile_mount_can_be_taken_away() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let overlay = store.snapshots().prepare("c1", None).unwrap();
    store.snapshots().permit_volatile("c1").unwrap();
    let kept = overlay.work.join("work/other");
    let mark = overlay.work.join("work/incompat/volatile");
    fs::create_dir_all(&mark).unwrap();
    fs::create_dir_all(&kept).unwrap();
    store.snapshots().permit_volatile("c1").unwrap();
    assert!(!overlay.work.join("work/incompat").exists() && kept.exists());
    fs::create_dir_all(mark.join("unknown")).unwrap();
    assert!(store.snapshots().permit_volatile("c1").is_err(), "only the mark itself goes");
    assert_eq!(store.snapshots().permit_volatile("../c1").unwrap_err().class(), Class::InvalidArgument);
}

#[test]
fn the_writable_root_is_like_the_images() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let lease = store.lease();
    let mut header = tar::Header::new_gnu();
    header.set_path("./").unwrap();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o1711);
    header.set_size(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let bytes = [&header.as_bytes()[..], &[0; 1024]].concat();
    let layer = store.layers().apply(&lease, None, &bytes[..], &Default::default()).unwrap();
    let overlay = store.snapshots().prepare("c1", Some(&layer.chain_id)).unwrap();
    assert_eq!(fs::metadata(overlay.upper).unwrap().mode() & 0o7777, 0o1711);
}

#[test]
fn removing_is_instant_and_deletes_in_the_background() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let overlay = store.snapshots().prepare("c1", None).unwrap();
    for number in 0..500 {
        fs::write(overlay.upper.join(number.to_string()), "x").unwrap();
    }
    assert!(store.snapshots().remove("c1").unwrap());
    assert!(!store.snapshots().dir("c1").exists());
    assert!(!store.snapshots().remove("c1").unwrap());
    store.wait_for_deletions();
    assert_eq!(fs::read_dir(dir.path().join("trash")).unwrap().count(), 0);
    assert_eq!(store.snapshots().usage("c1").unwrap_err().class(), Class::NotFound);
}

#[test]
fn an_id_cannot_be_a_path() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for bad in ["", ".", "..", "a/b", "/etc", "../containers"] {
        assert!(store.snapshots().prepare(bad, None).is_err(), "{bad:?}");
        assert_eq!(store.snapshots().remove(bad).unwrap_err().class(), Class::InvalidArgument);
    }
}

#[test]
fn a_chain_that_is_not_there_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let error = store.snapshots().prepare("c1", Some(&Digest::of(b"x"))).unwrap_err();
    assert_eq!(error.class(), Class::NotFound);
    assert!(!store.snapshots().dir("c1").exists());
}

/// Also those that are made from spare folders, of this engine or the one before.
#[test]
fn many_containers_each_get_folders_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let store = Store::open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..30 {
                        let id = format!("{round}-{thread}-{number}");
                        let overlay = store.snapshots().prepare(&id, None).unwrap();
                        assert_eq!(fs::metadata(&overlay.upper).unwrap().mode() & 0o7777, 0o755);
                        assert!(overlay.work.is_dir());
                        fs::File::create_new(overlay.upper.join("mine")).unwrap();
                        store.snapshots().prepare(&id, None).unwrap();
                        assert!(overlay.upper.join("mine").exists(), "prepared again, it is the same folder");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(dir.path().join("containers")).unwrap().count(), 120);
    }
}
