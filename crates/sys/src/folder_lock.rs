//! A lock on a folder that one process works in, with what that process says about itself.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

/// Longer than what anybody says.
const WORDS: u64 = 4096;

/// How long a process that was being forked when its parent was killed may take to its execve(2).
const PATIENCE: Duration = Duration::from_secs(2);

/// The pause between looks at such a one; the kernel tells of that moment nowhere.
const PAUSE: Duration = Duration::from_millis(1);

/// The lock. The kernel drops it with the process. These calls allocate.
#[derive(Debug)]
pub struct FolderLock {
    file: File,
    path: PathBuf,
}

/// Somebody else has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// What that one [says](FolderLock::say) about itself; empty if it has not said anything.
    pub said: String,
}

impl FolderLock {
    /// Takes the lock of a folder that is there, or tells who has it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn take(folder: &Path) -> Result<std::result::Result<Self, Taken>> {
        let path = folder.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let file = open.context(|| format!("open {}", path.display()))?;
        match lock(&file) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut said = String::new();
                // Whoever cannot be heard has said nothing.
                let heard = (&file).take(WORDS).read_to_string(&mut said);
                return Ok(Err(Taken { said: heard.map(|_| said).unwrap_or_default() }));
            }
            Err(errno) => return Err(std::io::Error::from(errno)).context(|| format!("lock {}", path.display())),
        }
        let lock = Self { file, path };
        // What was said is somebody else's.
        lock.say("")?;
        Ok(Ok(lock))
    }

    /// Says something about this process to whoever finds the lock taken.
    ///
    /// # Errors
    /// What the file system says.
    pub fn say(&self, words: &str) -> Result<()> {
        let said = self.file.set_len(0).and_then(|()| self.file.write_all_at(words.as_bytes(), 0));
        said.context(|| format!("write {}", self.path.display()))
    }
}

/// Takes flock(2), whose copies tell everybody that the folder is taken, and beside it the kind of lock that belongs to the
/// process and to none that it forks (fcntl_locking(2)). Where both are one (NFS) the first is enough.
fn lock(file: &File) -> rustix::io::Result<()> {
    let patience = Instant::now() + PATIENCE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let _ = fcntl_lock(file, FlockOperation::NonBlockingLockExclusive);
                return Ok(());
            }
            // A copy of somebody's who was killed goes by itself.
            Err(Errno::WOULDBLOCK) if !has_owner(file) && Instant::now() < patience => thread::sleep(PAUSE),
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether the process that took the lock lives.
fn has_owner(file: &File) -> bool {
    fcntl_getlk(file, &Flock::from(FlockType::WriteLock)).is_ok_and(|owner| owner.is_some())
}

impl Drop for FolderLock {
    /// A process that is just being forked holds a copy of the open file until its execve(2), and the lock with it:
    /// giving the lock up takes it from all copies.
    fn drop(&mut self) {
        let given_up = flock(&self.file, FlockOperation::Unlock);
        debug_assert!(given_up.is_ok(), "a lock that is held can be given up");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// In a process of its own it has the lock of a folder until its standard input ends; in this one it does nothing.
    #[test]
    fn holds() {
        let Some(folder) = std::env::var_os(FOLDER) else { return };
        let lock = FolderLock::take(Path::new(&folder)).unwrap().unwrap();
        lock.say("unix:///a/longer/path").unwrap();
        lock.say("unix:///a").unwrap();
        println!("taken");
        let _ = std::io::stdin().read(&mut [0]);
    }

    const FOLDER: &str = "DHOW_TEST_LOCKED_FOLDER";

    /// Somebody else who has the lock.
    fn holder(folder: &Path) -> Child {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "folder_lock::tests::holds", "--nocapture"]).env(FOLDER, folder);
        let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap() == "taken"));
        holder
    }

    #[test]
    fn who_has_it_can_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut holder = holder(folder.path());
        assert_eq!(FolderLock::take(folder.path()).unwrap().unwrap_err().said, "unix:///a");
        holder.kill().unwrap();
        holder.wait().unwrap();
        drop(FolderLock::take(folder.path()).unwrap().unwrap());
        assert_eq!(std::fs::read(folder.path().join("lock")).unwrap(), b"");
    }

    /// As of an engine that was killed while it started something.
    #[test]
    fn a_copy_without_its_owner_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("lock")).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let mut copy = Command::new("cat").stdout(file).stdin(Stdio::piped()).spawn().unwrap();
        let end = thread::spawn(move || {
            thread::sleep(50 * PAUSE);
            drop(copy.stdin.take());
            copy.wait().unwrap();
        });
        FolderLock::take(folder.path()).unwrap().unwrap();
        end.join().unwrap();
    }
}
