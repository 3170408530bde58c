//! How much is in a tree.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a tree holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of file contents; a file with several names counts once. What `docker ps -s` shows.
    pub bytes: u64,
    /// Bytes that the file system gave to it.
    pub allocated: u64,
    /// Files, folders and everything else.
    pub entries: u64,
}

/// Walks a tree that may change meanwhile: what vanishes is not counted, nor is what is so deep that no path leads there.
///
/// # Errors
/// What the file system says of the folder itself.
pub fn of(root: &Path) -> io::Result<Usage> {
    let mut usage = Usage::default();
    let mut linked = HashSet::new();
    let mut folders = vec![root.to_path_buf()];
    let mut first = true;
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if !first && (error.kind() == io::ErrorKind::NotFound || is_too_deep(&error)) => continue,
            Err(error) => return Err(error),
        };
        first = false;
        for entry in entries {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.nlink() > 1 && !linked.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            usage.entries += 1;
            usage.allocated += metadata.blocks() * 512;
            usage.bytes += if metadata.is_file() { metadata.len() } else { 0 };
        }
    }
    Ok(usage)
}

fn is_too_deep(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::NAMETOOLONG.raw_os_error())
}
