//! Files that are replaced whole or not at all. (These functions allocate: not for the child of a fork.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether the data must be on the disk when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// No: it survives a killed process, not a power cut. For files under /run and for the start path.
    No,
    /// Yes: the file and its directory are synced.
    Yes,
}

/// Replaces `path` with `contents`: a reader sees the old file or the new one. The file gets `mode`.
///
/// # Errors
/// What the file system says; the old file is then untouched and no temporary file stays.
pub fn write(path: &Path, contents: &[u8], mode: u32, sync: Sync) -> io::Result<()> {
    let temporary = beside(path);
    let result = write_new(&temporary, contents, mode, sync).and_then(|()| fs::rename(&temporary, path));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
        return result;
    }
    match (sync, path.parent()) {
        (Sync::Yes, Some(parent)) => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn write_new(path: &Path, contents: &[u8], mode: u32, sync: Sync) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(contents)?;
    if sync == Sync::Yes { file.sync_all() } else { Ok(()) }
}

/// A name in the same directory that no other writer uses.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{number}.tmp", process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        write(&path, b"one", 0o600, Sync::Yes).unwrap();
        write(&path, b"two", 0o600, Sync::No).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failure_leaves_the_old_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::create_dir(&path).unwrap();
        assert!(write(&path, b"new", 0o600, Sync::No).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
