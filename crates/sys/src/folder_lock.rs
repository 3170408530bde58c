//! A lock on a folder that one process works in, with what that process says about itself.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Longer than what anybody says.
const WORDS: u64 = 4096;

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
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
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
    use super::*;

    #[test]
    fn who_has_it_can_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let lock = FolderLock::take(folder.path()).unwrap().unwrap();
        assert_eq!(FolderLock::take(folder.path()).unwrap().unwrap_err().said, "");
        lock.say("unix:///a/longer/path").unwrap();
        lock.say("unix:///a").unwrap();
        assert_eq!(FolderLock::take(folder.path()).unwrap().unwrap_err().said, "unix:///a");
        drop(lock);
        let next = FolderLock::take(folder.path()).unwrap().unwrap();
        assert_eq!(FolderLock::take(folder.path()).unwrap().unwrap_err().said, "");
        drop(next);
    }
}
