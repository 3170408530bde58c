//! Deletion in the background: a rename now, the work later.

pub(crate) mod remove;

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dhow_errdefs::{Result, ResultExt};
use rustix::io::Errno;

/// The folder `trash/` and the thread that empties it.
#[derive(Debug)]
pub(crate) struct Trash {
    dir: PathBuf,
    next: AtomicU64,
    queue: Option<Sender<CString>>,
    pending: Arc<Pending>,
    thread: Option<JoinHandle<()>>,
}

/// Counts what is queued and not yet deleted, for those who wait.
#[derive(Debug, Default)]
struct Pending {
    count: Mutex<usize>,
    none: Condvar,
}

impl Trash {
    /// Starts the thread and queues what is in `dir` already.
    pub(crate) fn open(dir: PathBuf) -> Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let pending = Arc::new(Pending::default());
        let thread = {
            let folder = File::open(&dir).context(|| format!("open {}", dir.display()))?;
            let pending = Arc::clone(&pending);
            thread::Builder::new()
                .name("trash".into())
                .spawn(move || empty(&folder, &receiver, &pending))
                .context(|| "start the trash thread")?
        };
        let trash = Self { dir, next: AtomicU64::new(0), queue: Some(sender), pending, thread: Some(thread) };
        for entry in fs::read_dir(&trash.dir).context(|| format!("list {}", trash.dir.display()))? {
            trash.queue(&entry.context(|| format!("list {}", trash.dir.display()))?.path());
        }
        Ok(trash)
    }

    /// Takes a file or a tree away at once and deletes it later. Says whether it was there.
    pub(crate) fn discard(&self, path: &Path) -> Result<bool> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let target = self.dir.join(format!("{}-{number}", std::process::id()));
            // Leftovers of a former engine with the same process number; rename would replace an empty directory.
            if fs::symlink_metadata(&target).is_ok() {
                continue;
            }
            return match fs::rename(path, &target) {
                Ok(()) => {
                    self.queue(&target);
                    Ok(true)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                // A folder that somebody keeps on another disk. Nobody is spared the work then.
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    delete_tree(path).context(|| format!("remove {}", path.display()))
                }
                Err(error) => Err(error).context(|| format!("move {} into the trash", path.display())),
            };
        }
    }

    /// Waits until everything discarded so far is deleted, or has proved to be undeletable.
    pub(crate) fn wait(&self) {
        let count = self.pending.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _none = self.pending.none.wait_while(count, |count| *count > 0).unwrap_or_else(PoisonError::into_inner);
    }

    fn queue(&self, path: &Path) {
        let Some(Ok(name)) = path.file_name().map(|name| CString::new(name.as_bytes())) else { return };
        self.pending.add();
        if let Some(queue) = &self.queue
            && queue.send(name).is_err()
        {
            // The thread died: the next start empties the folder.
            self.pending.done();
        }
    }
}

impl Drop for Trash {
    /// Does not wait for the backlog: the next start deletes what is left.
    fn drop(&mut self) {
        self.pending.stop();
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Pending {
    const STOPPED: usize = usize::MAX;

    fn add(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn done(&self) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if *count != Self::STOPPED {
            *count -= 1;
        }
        if *count == 0 {
            self.none.notify_all();
        }
    }

    fn stop(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) = Self::STOPPED;
    }

    fn is_stopped(&self) -> bool {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) == Self::STOPPED
    }
}

/// Deletes a tree at once, whatever a container has made of it: a path longer than `PATH_MAX`, more levels than a stack
/// has room for. Says whether it was there.
///
/// # Errors
/// What the file system says. What can be deleted is.
pub fn delete_tree(path: &Path) -> io::Result<bool> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    match File::open(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        parent => delete_in(parent?.as_fd(), &CString::new(name.as_bytes())?),
    }
}

/// The same of a tree in an open folder, where others may be at work.
///
/// # Errors
/// As [`delete_tree`].
pub fn delete_in(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    remove::in_place(folder, name)
}

/// How long to wait for descriptors or memory that others have.
const WANT: Duration = Duration::from_millis(100);

fn empty(dir: &File, queue: &Receiver<CString>, pending: &Pending) {
    let again = |error| {
        let wants = matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM);
        if wants {
            thread::sleep(WANT);
        }
        wants
    };
    while let Ok(name) = queue.recv() {
        // What cannot be deleted (a file system is mounted in it, the disk fails) stays for the next start; it harms
        // nobody in the trash, and there is nobody to tell.
        let _ = remove::tree_while(dir.as_fd(), &name, &|| pending.is_stopped(), &again);
        pending.done();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn what_lies_on_another_disk_is_deleted_there() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
        let device = |dir: &tempfile::TempDir| fs::metadata(dir.path()).unwrap().dev();
        if device(&here) == device(&there) {
            eprintln!("SKIPPED: the folder for temporary files is in memory");
            return;
        }
        let trash = Trash::open(here.path().to_owned()).unwrap();
        let (folder, file) = (there.path().join("folder"), there.path().join("file"));
        fs::create_dir_all(folder.join("a/b/c")).unwrap();
        fs::write(folder.join("a/b/c/file"), "x").unwrap();
        std::os::unix::fs::symlink(here.path(), folder.join("link")).unwrap();
        fs::write(&file, "x").unwrap();
        assert_eq!([&folder, &file, &file].map(|path| trash.discard(path).unwrap()), [true, true, false]);
        assert!(!folder.exists() && !file.exists() && here.path().exists());
    }
}
