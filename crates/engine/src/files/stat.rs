//! What is at a path of a container.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use jiff::Timestamp;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat};
use rustix::io::Errno;

use super::path;
use crate::rootfs::Root;

/// More links than this lead in a circle (Go's limit).
const MOST_LINKS: usize = 255;

/// What is at a path, itself and not what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// The last component.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Kind and permissions, as stat(2) has them.
    pub mode: u32,
    /// When it was changed last.
    pub mtime: Timestamp,
    /// Where a link leads in the end, absolute; empty for what is none.
    pub link_target: String,
}

/// Something that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub file: OwnedFd,
    pub stat: Stat,
}

impl Found {
    pub(super) fn is_folder(&self) -> bool {
        FileType::from_raw_mode(self.stat.st_mode) == FileType::Directory
    }
}

/// What is at an absolute path; none if there is nothing.
pub(super) fn find(root: &Root, path: &str) -> Result<Option<Found>> {
    let step = || format!("lstat {path}");
    match resolve(root, path, OFlags::NOFOLLOW) {
        Ok(file) => {
            let stat = fstat(&file).map_err(io::Error::from).context(step)?;
            Ok(Some(Found { file, stat }))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(error @ (Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)) => {
            Err(Error::invalid(step()).with_cause(io::Error::from(error)))
        }
        Err(error) => Err(io::Error::from(error)).context(step),
    }
}

/// Opens a path inside the root, without being able to do anything with it.
pub(super) fn resolve(root: &Root, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::CLOEXEC;
    openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

pub(super) fn describe(root: &Root, path: &str, found: &Found) -> PathStat {
    let stat = &found.stat;
    let link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
    let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    PathStat {
        name: path::base(path).to_owned(),
        size: stat.st_size.cast_unsigned(),
        mode: stat.st_mode,
        mtime: Timestamp::new(stat.st_mtime, nanoseconds).unwrap_or_default(),
        link_target: if link { evaluate(root, path) } else { String::new() },
    }
}

/// Where a path leads in the end. A text for the client, which will ask for it again: nothing is decided by it here.
fn evaluate(root: &Root, path: &str) -> String {
    let mut done: Vec<String> = Vec::new();
    let mut left: Vec<String> = components(path);
    let mut links = 0;
    while let Some(component) = left.pop() {
        if component == ".." {
            done.pop();
            continue;
        }
        let here = format!("/{}", [done.as_slice(), std::slice::from_ref(&component)].concat().join("/"));
        let target = resolve(root, &here, OFlags::NOFOLLOW).and_then(|file| readlinkat(file, "", Vec::new()));
        match target.map(|target| target.to_string_lossy().into_owned()) {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                if Path::new(&target).is_absolute() {
                    done.clear();
                }
                left.extend(components(&target));
            }
            _ => done.push(component),
        }
    }
    format!("/{}", done.join("/"))
}

/// The components of a path, last first.
fn components(path: &str) -> Vec<String> {
    path.split('/').filter(|component| !matches!(*component, "" | ".")).rev().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_evaluated_inside() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        symlink("/a/b", at("l")).unwrap();
        symlink("../../../..", at("a/b/up")).unwrap();
        symlink("l/up/a", at("far")).unwrap();
        symlink("gone/x", at("a/dangling")).unwrap();
        symlink("circle", at("circle")).unwrap();
        let root = Root::of_folder(fs::File::open(dir.path()).unwrap().into());
        let target = |path: &str| describe(&root, path, &find(&root, path).unwrap().unwrap()).link_target;
        assert_eq!(target("/l"), "/a/b");
        assert_eq!(target("/far"), "/a");
        assert_eq!(target("/l/up"), "/");
        assert_eq!(target("/a/dangling"), "/a/gone/x");
        assert!(target("/circle").starts_with('/'));
        assert!(find(&root, "/l/").unwrap().unwrap().is_folder());
        assert!(!find(&root, "/l").unwrap().unwrap().is_folder());
        assert!(find(&root, "/nothing").unwrap().is_none());
        fs::write(at("file"), "").unwrap();
        assert_eq!(find(&root, "/file/").unwrap_err().to_string(), "lstat /file/: not a directory");
    }
}
