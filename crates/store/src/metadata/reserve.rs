//! Room on the disk that is kept for taking things away.
//!
//! To remove a record the database first needs more room, and so does opening it: without a reserve nothing could be
//! removed from a full disk by the means of the engine.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FallocateFlags;

/// In bytes: enough for several removals while somebody else fills the disk.
const SIZE: u64 = 1 << 20;

/// In bytes: the WAL of some removals, or the index that every opening makes.
const PIECE: u64 = 128 << 10;

#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    spent: AtomicBool,
}

impl Reserve {
    /// The reserve of a database; nothing is done yet.
    pub(super) fn of(database: &Path) -> Self {
        Self { path: database.with_extension("reserve"), spent: AtomicBool::new(true) }
    }

    /// Takes the room where it was given away or never taken. Not to get it is no fault: the disk is full then, or the
    /// file system cannot promise room.
    pub(super) fn refill(&self) {
        if !self.spent.load(Ordering::Relaxed) {
            return;
        }
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.path);
        let Ok(file) = file else { return };
        let had = file.metadata().map_or(0, |metadata| metadata.len());
        if rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SIZE).is_ok() {
            self.spent.store(false, Ordering::Relaxed);
        } else {
            // Some file systems keep what they found until there was no more: others need that now.
            let _ = file.set_len(had);
        }
    }

    /// Gives a piece away, not all: whoever fills the disk may be quicker than we. Says whether there was any.
    pub(super) fn spend(&self) -> bool {
        self.spent.store(true, Ordering::Relaxed);
        let Ok(file) = OpenOptions::new().write(true).open(&self.path) else { return false };
        let had = file.metadata().map_or(0, |metadata| metadata.len());
        had > 0 && file.set_len(had.saturating_sub(PIECE)).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use dhow_errdefs::Class;

    use super::super::{ContainerRecord, Document, Metadata};

    /// A small file system that is unmounted when the test ends.
    struct Disk(tempfile::TempDir);

    impl Disk {
        fn new() -> Option<Self> {
            let dir = tempfile::tempdir().expect("a folder");
            let flags = rustix::mount::MountFlags::empty();
            match rustix::mount::mount("tmpfs", dir.path(), "tmpfs", flags, Some(c"size=4m")) {
                Ok(()) => Some(Self(dir)),
                Err(error) => {
                    eprintln!("SKIPPED: a tmpfs cannot be mounted here: {error}");
                    None
                }
            }
        }

        fn fill(&self) {
            let mut file = std::fs::File::create(self.0.path().join("fill")).expect("made");
            while file.write_all(&[1; 4096]).is_ok() {}
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH).expect("it is mounted");
        }
    }

    fn record(number: u32) -> ContainerRecord {
        let document = || Document { format: 1, json: format!("\"{}\"", "x".repeat(5000)) };
        ContainerRecord {
            id: format!("{number:064x}"),
            name: format!("box{number}"),
            image: None,
            layer: None,
            created: 1,
            spec: document(),
            state: document(),
        }
    }

    fn open(path: &Path) -> Metadata {
        Metadata::open(&path.join("metadata.db")).expect("it opens")
    }

    #[test]
    fn a_full_disk_can_be_opened_and_relieved() {
        let Some(disk) = Disk::new() else { return };
        let metadata = open(disk.0.path());
        (0..10).for_each(|number| metadata.insert_container(&record(number)).expect("there is room"));
        disk.fill();
        // What fits into blocks that the WAL holds already may still succeed.
        let refused = (10..200).find_map(|number| metadata.insert_container(&record(number)).err());
        assert_eq!(refused.expect("the disk is full").class(), Class::ResourceExhausted);
        assert!(metadata.delete_container(&record(1).id).expect("the reserve is for this"));
        drop(metadata);

        let metadata = open(disk.0.path());
        assert!(metadata.delete_container(&record(2).id).expect("room was left"));
    }

    #[test]
    fn a_database_on_a_full_disk_opens() {
        let Some(disk) = Disk::new() else { return };
        drop(open(disk.0.path()));
        disk.fill();
        drop(open(disk.0.path()));
    }
}
