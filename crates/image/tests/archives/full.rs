//! A disk that has no more room.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use dhow_errdefs::{Class, Error};
use dhow_image::{Images, ImportOptions, LoadOptions};
use dhow_store::Store;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use crate::world::{World, layer};

/// A small file system that is unmounted when the test ends.
struct Disk(TempDir);

impl Disk {
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        match mount("tmpfs", dir.path(), "tmpfs", MountFlags::empty(), Some(c"size=8m")) {
            Ok(()) => Some(Self(dir)),
            Err(error) => {
                eprintln!("SKIPPED: a tmpfs cannot be mounted here: {error}");
                None
            }
        }
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self) {
        let mut file = File::create(self.root().join("fill")).expect("made");
        while file.write_all(&[1; 4096]).is_ok() {}
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(self.root(), UnmountFlags::DETACH).expect("it is mounted");
    }
}

fn assert_refused(images: &Images, disk: &Disk, refused: Result<impl std::fmt::Debug, Error>) {
    let error = refused.expect_err("there is no room");
    assert_eq!(error.class(), Class::ResourceExhausted, "{error}");
    let text = format!("{error} {}", error.hint().unwrap_or_default());
    assert!(text.contains("no space left on device"), "{text}");
    assert!(text.contains(&disk.root().display().to_string()), "says where: {text}");
    let store = images.store();
    store.wait_for_deletions();
    assert_eq!(store.content().list().expect("blobs"), []);
    for folder in ["content/ingest", "trash"] {
        assert_eq!(std::fs::read_dir(disk.root().join(folder)).expect("a folder").count(), 0, "{folder}");
    }
    assert_eq!(std::fs::read_dir(disk.root().join("layers")).expect("a folder").count(), 1, "the empty layer");
}

#[test]
fn an_import_says_that_the_disk_is_full_and_leaves_nothing() {
    let Some(disk) = Disk::new() else { return };
    let images = Images::open(Arc::new(Store::open(disk.root()).expect("a new data root")));
    let import = |archive: &[u8]| images.import(archive, &ImportOptions::default());
    assert_refused(&images, &disk, import(&layer("file", &"x".repeat(16 << 20))));
    disk.fill();
    assert_refused(&images, &disk, import(&layer("file", "x")));
}

#[test]
fn a_load_says_that_the_disk_is_full_and_leaves_nothing() {
    let elsewhere = World::new();
    elsewhere.import("large", &"x".repeat(16 << 20));
    let archive = elsewhere.save(&["large"]);
    let Some(disk) = Disk::new() else { return };
    let images = Images::open(Arc::new(Store::open(disk.root()).expect("a new data root")));
    let load = || images.load(&archive[..], &LoadOptions::default(), &|_| {});
    assert_refused(&images, &disk, load());
    disk.fill();
    assert_refused(&images, &disk, load());
}
