//! What a container has changed: its writable folder against the layers below, by Docker's rules.
//!
//! A folder counts as changed when its owner, mode or capabilities changed, or something in it; a file also when its size
//! or time did. What was only touched without a difference (overlay copies a file when it is opened for writing) is none.

use std::collections::HashSet;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use super::upper::Upper;

/// A difference between a container and its image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Absolute, as the container sees it.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: ChangeKind,
}

/// What happened to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is different.
    Modified,
    /// It was not there.
    Added,
    /// It is not there any more.
    Deleted,
}

/// A writable folder and the layers below it, top first.
pub(crate) struct Comparison {
    pub(crate) marks: Upper,
    pub(crate) lower: Vec<File>,
}

/// A folder of the container's that is being compared.
struct Level {
    folder: OwnedFd,
    /// Relative to the root; empty for the root itself.
    path: Vec<u8>,
    names: std::vec::IntoIter<CString>,
    /// Which layers have this folder, top first, as far as they show through.
    below: Vec<usize>,
    /// Nothing of these shows through, because of this folder or of one that it is in.
    opaque: bool,
    /// Whether it is not among the changes itself (yet).
    unchanged: bool,
}

/// Something of the container's: where it is and what it is.
struct New<'a> {
    folder: BorrowedFd<'a>,
    name: &'a CStr,
    stat: &'a Stat,
}

/// Something in the layers below: what it is, and in which of them it was found.
struct Found {
    stat: Stat,
    layer: usize,
}

impl Comparison {
    /// All changes, sorted by path.
    pub(crate) fn run(&self, upper: OwnedFd) -> Result<Vec<Change>> {
        let names = names(upper.as_fd()).context(|| "read the container's root")?;
        let below = (0..self.lower.len()).collect();
        let mut levels = vec![Level { folder: upper, path: Vec::new(), names, below, opaque: false, unchanged: false }];
        let mut changes = Vec::new();
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            let path = join(&level.path, name.to_bytes());
            let before = changes.len();
            let inner = self.entry(level, &name, path, &mut changes);
            let inner = inner.map_err(io::Error::from).context(|| format!("compare {}", name.to_string_lossy()))?;
            if changes.len() > before {
                mark_changed(&mut levels, &mut changes);
            }
            levels.extend(inner);
        }
        changes.sort_unstable();
        Ok(changes)
    }

    /// Compares one entry; a folder's contents are to be compared next.
    fn entry(
        &self,
        level: &Level,
        name: &CStr,
        path: Vec<u8>,
        changes: &mut Vec<Change>,
    ) -> Result<Option<Level>, Errno> {
        let stat = match statat(&level.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        let old = self.find(&level.below, &path)?;
        if self.marks.is_whiteout(level.folder.as_fd(), name, &stat) {
            if old.is_some() {
                changes.push(change(&path, ChangeKind::Deleted));
            }
            return Ok(None);
        }
        let new = New { folder: level.folder.as_fd(), name, stat: &stat };
        let changed = match &old {
            None => Some(ChangeKind::Added),
            Some(old) if self.differs(old, &path, &new) => Some(ChangeKind::Modified),
            Some(_) => None,
        };
        changes.extend(changed.map(|kind| change(&path, kind)));
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match openat(&level.folder, name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            folder => folder?,
        };
        let below = self.visible(&level.below, old, &path)?;
        let names = names(folder.as_fd()).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        let opaque = level.opaque || self.marks.hides(folder.as_fd());
        let mut inner = Level { folder, path, names, below, opaque, unchanged: changed.is_none() };
        if opaque {
            let before = changes.len();
            self.hidden(&inner, changes)?;
            if changes.len() > before && inner.unchanged {
                changes.push(change(&inner.path, ChangeKind::Modified));
                inner.unchanged = false;
            }
        }
        Ok(Some(inner))
    }

    /// What an opaque folder does not let through any more.
    fn hidden(&self, folder: &Level, changes: &mut Vec<Change>) -> Result<(), Errno> {
        let mut seen: HashSet<CString> = folder.names.as_slice().iter().cloned().collect();
        for layer in &folder.below {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let opened = openat(&self.lower[*layer], folder.path.as_slice(), flags, Mode::empty())?;
            for entry in Dir::read_from(&opened)? {
                let name = entry?.file_name().to_owned();
                if matches!(name.to_bytes(), b"." | b"..") || !seen.insert(name.clone()) {
                    continue;
                }
                let stat = statat(&opened, &name, AtFlags::SYMLINK_NOFOLLOW)?;
                if !self.marks.is_whiteout(opened.as_fd(), &name, &stat) {
                    changes.push(change(&join(&folder.path, name.to_bytes()), ChangeKind::Deleted));
                }
            }
        }
        Ok(())
    }

    /// The topmost thing of that name in these layers.
    fn find(&self, layers: &[usize], path: &[u8]) -> Result<Option<Found>, Errno> {
        for &layer in layers {
            match statat(&self.lower[layer], path, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => {}
                stat => {
                    let stat = stat?;
                    let hidden = self.marks.is_whiteout(self.lower[layer].as_fd(), &text(path)?, &stat);
                    return Ok((!hidden).then_some(Found { stat, layer }));
                }
            }
        }
        Ok(None)
    }

    /// Which layers a folder is made of.
    fn visible(&self, layers: &[usize], top: Option<Found>, path: &[u8]) -> Result<Vec<usize>, Errno> {
        let mut visible = Vec::new();
        let Some(top) = top else { return Ok(visible) };
        for &layer in layers.iter().skip_while(|layer| **layer != top.layer) {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&self.lower[layer], path, flags, Mode::empty()) {
                Ok(folder) => {
                    visible.push(layer);
                    if self.marks.hides(folder.as_fd()) {
                        break;
                    }
                }
                Err(Errno::NOENT) => {}
                // Something else of that name, a whiteout perhaps, hides the rest.
                Err(Errno::NOTDIR | Errno::LOOP) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(visible)
    }

    fn differs(&self, old: &Found, path: &[u8], new: &New<'_>) -> bool {
        let (old_stat, new_stat) = (&old.stat, new.stat);
        let of_all = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
        if of_all(old_stat) != of_all(new_stat) {
            return true;
        }
        let kind = FileType::from_raw_mode(new_stat.st_mode);
        if kind != FileType::Directory {
            let whole = old_stat.st_mtime_nsec == 0 || new_stat.st_mtime_nsec == 0;
            let same = whole || old_stat.st_mtime_nsec == new_stat.st_mtime_nsec;
            if (old_stat.st_mtime, old_stat.st_size) != (new_stat.st_mtime, new_stat.st_size) || !same {
                return true;
            }
        }
        kind == FileType::RegularFile
            && capability(self.lower[old.layer].as_fd(), path) != capability(new.folder, new.name.to_bytes())
    }
}

/// A folder with changes in it is a changed one, and so are those it is in.
fn mark_changed(levels: &mut [Level], changes: &mut Vec<Change>) {
    for level in levels.iter_mut().rev() {
        if level.unchanged {
            level.unchanged = false;
            changes.push(change(&level.path, ChangeKind::Modified));
        }
    }
}

/// The capabilities that a program gets; empty for none.
fn capability(folder: BorrowedFd<'_>, path: &[u8]) -> Vec<u8> {
    let path = [format!("/proc/self/fd/{}/", folder.as_raw_fd()).as_bytes(), path].concat();
    let mut value = [0_u8; 64];
    let length = rustix::fs::lgetxattr(path, "security.capability", &mut value[..]).unwrap_or_default();
    value[..length].to_vec()
}

fn change(path: &[u8], kind: ChangeKind) -> Change {
    let path = [b"/", path].concat();
    Change { path: PathBuf::from(OsStr::from_bytes(&path)), kind }
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

fn text(path: &[u8]) -> Result<CString, Errno> {
    CString::new(path).map_err(|_| Errno::INVAL)
}

fn names(folder: BorrowedFd<'_>) -> io::Result<std::vec::IntoIter<CString>> {
    let names = dhow_archive::names(folder)?.collect::<io::Result<Vec<_>>>()?;
    Ok(names.into_iter())
}
