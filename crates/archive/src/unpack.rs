//! From an archive into a tree that is there already, by the rules of `docker cp`.
//!
//! Names are cleaned first and must not climb out of the destination. What they then lead through is resolved by the
//! kernel below the root, so that a link, whenever it was put there, leads to a place in the tree or nowhere.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::os::fd::BorrowedFd;

use dhow_errdefs::{Error, Result};

use crate::place::Target;
use crate::read::{Archive, Entry, Kind};

/// `PATH_MAX`: nothing could be called by a longer name.
const LONGEST: usize = 4096;

/// Who owns what comes out of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Whom the archive says.
    Archived,
    /// This user and group.
    Of(u32, u32),
    /// Whoever unpacks it.
    Caller,
}

/// How to unpack.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Who owns what comes out.
    pub owner: Owner,
    /// Folders are replaced only by folders, and nothing else by a folder.
    pub keeps_kinds: bool,
    /// Names that begin with the first begin with the second instead.
    pub rename: Option<(Vec<u8>, Vec<u8>)>,
    /// The tree becomes as it was: the destination itself gets what the archive says of `./`, and the attributes of
    /// overlays that are in the tree come back.
    pub exact: bool,
    /// The destination, as messages name it.
    pub shown: String,
}

/// Unpacks everything up to the end of the archive into the folder `destination` below `root`.
///
/// What is there already is replaced; folders are merged. A file appears with all its contents or not at all.
///
/// # Errors
/// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for names that climb and for kinds that the rules keep apart;
/// what is wrong with the archive; what the file system says.
pub fn unpack<R: BufRead>(
    archive: &mut Archive<R>,
    root: BorrowedFd<'_>,
    destination: &[u8],
    rules: &Rules,
) -> Result<()> {
    let mut target = Target::new(root, destination, rules);
    // By name: an archive may say the same of a folder as often as it likes.
    let mut folders = BTreeMap::new();
    let mut itself = None;
    while let Some(mut entry) = archive.next()? {
        if let Some((from, to)) = &rules.rename {
            rename(&mut entry, from, to);
        }
        let Some(name) = clean(&entry.path).ok_or_else(|| outside(&entry.path, rules))? else {
            itself = Some(entry).filter(|entry| entry.kind == Kind::Directory);
            continue;
        };
        if let Kind::Hardlink(other) = &mut entry.kind {
            *other = clean(other).flatten().ok_or_else(|| outside(&entry.path, rules))?;
        }
        target.put(&name, &entry, archive)?;
        if entry.kind == Kind::Directory {
            folders.insert(name, entry.mtime);
        }
    }
    // What came into a folder has changed its time.
    for (name, time) in &folders {
        target.touch(name, *time)?;
    }
    // At last: it may take the right to make more.
    match itself.filter(|_| rules.exact) {
        Some(entry) => target.become_like(&entry),
        None => Ok(()),
    }
}

/// Replaces the beginning of an entry's name; the name that a hard link means goes with it.
fn rename(entry: &mut Entry, from: &[u8], to: &[u8]) {
    let replace = |name: &mut Vec<u8>| {
        if let Some(rest) = name.strip_prefix(from)
            && (from.is_empty() || rest.is_empty() || rest.starts_with(b"/"))
        {
            *name = [to, rest].concat();
        }
    };
    replace(&mut entry.path);
    if let Kind::Hardlink(other) = &mut entry.kind {
        replace(other);
    }
}

/// Plain components joined by slashes. `Some(None)`: the destination itself. `None`: somewhere outside.
fn clean(name: &[u8]) -> Option<Option<Vec<u8>>> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in name.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()?),
            _ => components.push(component),
        }
    }
    let clean = components.join(&b'/');
    if clean.len() > LONGEST || clean.contains(&0) {
        return None;
    }
    Some((!clean.is_empty()).then_some(clean))
}

fn outside(name: &[u8], rules: &Rules) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::invalid(format!("{name:?} is outside of {:?}", rules.shown))
}

#[cfg(test)]
mod tests;
