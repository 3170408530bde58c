//! Writable folders made ahead of time, so that the start of a container only renames one.
//!
//! A file system may take its time for new inodes: ext4 does not give away one that was deleted in the last minutes and
//! looks at each of them first, which costs most where containers come and go (`recently_deleted` in fs/ext4/ialloc.c).
//! Folders of removed containers are never used again: something may still have them open.

use std::fs::{self, File};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// How many there are at most.
const FULL: usize = 16;

/// When there are no more than this, new ones are made.
const LOW: usize = 8;

/// How long after that: the container that took the last one is about to start, and needs the processors.
const LATER: Duration = Duration::from_millis(20);

/// `spare/`: folders with `upper` and `work` in them that belong to nobody yet.
#[derive(Debug)]
pub(super) struct Spares {
    shelf: Arc<Shelf>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shelf {
    dir: File,
    ready: Mutex<Vec<u64>>,
}

impl Spares {
    /// Takes over those that a former engine made; makes none until the first one is wanted.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let step = || format!("open {}", path.display());
        let mut ready = Vec::new();
        for entry in fs::read_dir(path).context(step)? {
            let name = entry.context(step)?.file_name();
            ready.extend(name.to_str().and_then(|name| name.parse::<u64>().ok()));
        }
        let next = ready.iter().max().map_or(0, |last| last + 1);
        let shelf = Arc::new(Shelf { dir: File::open(path).context(step)?, ready: Mutex::new(ready) });
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = {
            let shelf = Arc::clone(&shelf);
            thread::Builder::new()
                .name("spares".into())
                .spawn(move || shelf.fill_when(&woken, next))
                .context(|| "start the thread for spare folders")?
        };
        Ok(Self { shelf, wake: Some(wake), thread: Some(thread) })
    }

    /// Gives a spare folder the place `name` in `dir`. Says whether there was one, and the place was free.
    pub(super) fn place(&self, dir: &File, name: &str) -> bool {
        let (spare, left) = {
            let mut ready = self.shelf.ready();
            (ready.pop(), ready.len())
        };
        if left <= LOW
            && let Some(wake) = &self.wake
        {
            // Full: the thread is awake already.
            let _ = wake.try_send(());
        }
        let Some(spare) = spare else { return false };
        let placed = rustix::fs::renameat_with(&self.shelf.dir, spare.to_string(), dir, name, RenameFlags::NOREPLACE);
        if placed == Err(Errno::EXIST) {
            // Good for another one. With any other error it is the folder that is not as it should be.
            self.shelf.ready().push(spare);
        }
        placed.is_ok()
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shelf {
    fn ready(&self) -> MutexGuard<'_, Vec<u64>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fill_when(&self, woken: &Receiver<()>, mut next: u64) {
        while woken.recv().is_ok() {
            thread::sleep(LATER);
            while self.ready().len() < FULL {
                // Without spares a start makes its folders itself, and says what is wrong.
                if self.make(next).is_err() {
                    break;
                }
                self.ready().push(next);
                next += 1;
            }
        }
    }

    /// Made under another name, so that what has a number is complete.
    fn make(&self, number: u64) -> Result<(), Errno> {
        super::make_dir(&self.dir, Path::new("new"), super::PRIVATE)?;
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let new = rustix::fs::openat(&self.dir, "new", flags, Mode::empty())?;
        super::make_dir(&new, Path::new("work"), super::WORK)?;
        super::make_dir(&new, Path::new("upper"), super::UPPER)?;
        rustix::fs::chmodat(&new, "upper", super::UPPER, rustix::fs::AtFlags::empty())?;
        rustix::fs::renameat(&self.dir, "new", &self.dir, number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_somebody_took_away_is_not_tried_again_and_again() {
        let root = tempfile::tempdir().unwrap();
        let (shelf, places) = (root.path().join("spare"), root.path().join("places"));
        fs::create_dir_all(shelf.join("1")).unwrap();
        fs::create_dir(&places).unwrap();
        let spares = Spares::open(&shelf).unwrap();
        spares.shelf.ready().push(2);
        let dir = File::open(&places).unwrap();
        assert!(!spares.place(&dir, "a"), "the second is not there");
        assert!(spares.place(&dir, "b"));
        assert!(places.join("b").is_dir());
    }
}
