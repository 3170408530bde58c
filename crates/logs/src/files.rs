//! The files of a log: the current one, and what it was before, numbered from the newest.
//!
//! ```text
//! x.log        written to
//! x.log.1      the newest that was rotated; x.log.1.gz when it is compressed
//! …
//! x.log.new    the next current file, for a moment
//! x.log.gz     a compressed file in the making
//! ```
//!
//! Who opens files holds a shared flock(2) on their directory for that moment, so that no number changes meanwhile; the
//! writer puts a rotation off then, and never waits for a reader.
//!
//! A reader that follows holds a shared flock(2) on the file it reads. While it does, that file and the newer ones are
//! not removed before they are [`Kept::spare`] files too old: a reader that is a little slow loses nothing.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;

use crate::compress;

/// Which file it is, whatever its name has become, as long as somebody has it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl From<&Metadata> for Identity {
    fn from(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

/// The identity of an open file.
pub(crate) fn identity(file: &File) -> io::Result<Identity> {
    Ok(Identity::from(&file.metadata()?))
}

/// What a compressed file was made of: device, inode, length, time of the last change in nanoseconds. An inode alone is
/// used again as soon as its file is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin(pub(crate) [i128; 4]);

impl From<&Metadata> for Origin {
    fn from(metadata: &Metadata) -> Self {
        let time = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Self([metadata.dev().into(), metadata.ino().into(), metadata.len().into(), time])
    }
}

/// What a file that is open can be recognised by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whereabouts {
    pub(crate) identity: Identity,
    /// What a compressed file that has taken its place names; `None` for one that is compressed itself.
    pub(crate) origin: Option<Origin>,
}

/// How many files there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// Files, the current one among them.
    pub(crate) files: u32,
    /// So many more while somebody follows who has not come to them yet.
    pub(crate) spare: u32,
}

/// The path of the file that is `age` rotations old.
pub(crate) fn path_of(base: &Path, age: u32) -> PathBuf {
    if age == 0 { base.to_owned() } else { with_suffix(base, &age.to_string()) }
}

/// The same for a compressed file.
pub(crate) fn packed_path_of(base: &Path, age: u32) -> PathBuf {
    with_suffix(base, &format!("{age}.gz"))
}

/// Where a file is compressed to, before it has a number.
pub(crate) fn unfinished_path_of(base: &Path) -> PathBuf {
    with_suffix(base, "gz")
}

fn with_suffix(base: &Path, suffix: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(".");
    path.push(suffix);
    path.into()
}

/// Opens the current file for appending.
pub(crate) fn open_current(base: &Path) -> io::Result<File> {
    create(base, fs::OpenOptions::new().create(true))
}

/// Makes a file that was not there.
pub(crate) fn create_fresh(path: &Path) -> io::Result<File> {
    let _ = fs::remove_file(path);
    create(path, fs::OpenOptions::new().create_new(true))
}

fn create(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    // Reading is for the writer's look at the end. 0640 is Docker's mode for log files.
    options.append(true).read(true).mode(0o640).open(path)
}

/// Makes room for a new current file and returns it; `None`: somebody opens files at this moment, and it is not `urgent`.
///
/// The new file is made first, under another name: if the disk has no room for it, nothing has changed.
pub(crate) fn rotate(base: &Path, kept: Kept, urgent: bool) -> io::Result<Option<File>> {
    let directory = File::open(base.parent().unwrap_or(Path::new("/")))?;
    if rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err() && !urgent {
        return Ok(None);
    }
    let fresh = with_suffix(base, "new");
    let file = create_fresh(&fresh)?;
    let mut ages = ages(base)?;
    while let Some((oldest, names)) = ages.last_key_value().filter(|(age, _)| *age + 1 >= kept.files) {
        // A current file that was the only one is replaced below.
        if names.is_followed(base, *oldest) && oldest + 1 < kept.files.saturating_add(kept.spare) {
            break;
        }
        if *oldest > 0 {
            names.paths(base, *oldest).try_for_each(|path| ignore_missing(fs::remove_file(path)))?;
        }
        ages.pop_last();
    }
    for (age, names) in ages.into_iter().rev() {
        let mut renames = names.paths(base, age).zip(names.paths(base, age + 1));
        renames.try_for_each(|(from, to)| ignore_missing(fs::rename(from, to)))?;
    }
    fs::rename(&fresh, base)?;
    Ok(Some(file))
}

/// Keeps the numbers of the files from changing, for as long as the result lives. A writer that was stopped in the middle
/// of a rotation is not waited for.
fn hold_still(base: &Path) -> Option<File> {
    let directory = File::open(base.parent()?).ok()?;
    for _ in 0..100 {
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::AGAIN) => std::thread::sleep(Duration::from_millis(1)),
            _ => break,
        }
    }
    Some(directory)
}

/// Which files of an age there are: both for a moment, while one is compressed.
#[derive(Debug, Clone, Copy, Default)]
struct Names {
    plain: bool,
    packed: bool,
}

impl Names {
    fn paths(self, base: &Path, age: u32) -> impl Iterator<Item = PathBuf> {
        let plain = self.plain.then(|| path_of(base, age));
        plain.into_iter().chain(self.packed.then(|| packed_path_of(base, age)))
    }

    fn is_followed(self, base: &Path, age: u32) -> bool {
        self.paths(base, age).any(|path| File::open(path).is_ok_and(|file| !can_be_locked(&file)))
    }
}

/// How old the files are that there are.
fn ages(base: &Path) -> io::Result<BTreeMap<u32, Names>> {
    let (Some(directory), Some(name)) = (base.parent(), base.file_name()) else { return Ok(BTreeMap::new()) };
    let mut found: BTreeMap<u32, Names> = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let Some(suffix) = entry.as_bytes().strip_prefix(name.as_bytes()) else { continue };
        let Some(age) = age(suffix) else { continue };
        let names = found.entry(age).or_default();
        if suffix.ends_with(b".gz") {
            names.packed = true;
        } else {
            names.plain = true;
        }
    }
    Ok(found)
}

/// Nothing for the current file, `.7` and `.7.gz` for others.
fn age(suffix: &[u8]) -> Option<u32> {
    if suffix.is_empty() {
        return Some(0);
    }
    let number = std::str::from_utf8(suffix.strip_prefix(b".")?).ok()?;
    number.strip_suffix(".gz").unwrap_or(number).parse().ok().filter(|age| (1..u32::MAX).contains(age))
}

/// Whether nobody follows who has come to this file.
pub(crate) fn can_be_locked(file: &File) -> bool {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
        && rustix::fs::flock(file, FlockOperation::Unlock).is_ok()
}

/// Keeps the file, and those that are newer, for a reader that follows.
pub(crate) fn follow(file: &File) {
    // Without a lock a slow reader can miss files; it says so then.
    let _ = rustix::io::retry_on_intr(|| rustix::fs::flock(file, FlockOperation::LockShared));
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A file of a log that was opened.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) file: File,
    pub(crate) identity: Identity,
    pub(crate) packed: bool,
}

/// The files that are newer than one, or some of them.
#[derive(Debug)]
pub(crate) struct Newer {
    /// The oldest first.
    pub(crate) files: Vec<Found>,
    /// That one was among the files that are there still.
    pub(crate) reached: bool,
}

/// How many files a follower has open at a time.
const STEP: usize = 64;

/// Opens every file of the log; `following`: keeps them, and those that are newer.
pub(crate) fn open_all(base: &Path, following: bool) -> io::Result<Vec<Found>> {
    let _still = hold_still(base);
    let mut found = Vec::new();
    for age in existing(base)?.into_keys().rev() {
        add(&mut found, base, age)?;
    }
    if following {
        found.iter().for_each(|found| follow(&found.file));
    }
    Ok(found)
}

/// Opens and keeps the files of the log that are newer than one, the oldest of them, and not more than a few. Without that
/// one it is the oldest that are there.
pub(crate) fn open_newer(base: &Path, than: Option<Whereabouts>) -> io::Result<Newer> {
    let _still = hold_still(base);
    let ages = existing(base)?;
    let known = than.and_then(|than| ages.iter().find(|(age, names)| is(base, **age, **names, than)));
    let below = known.map_or(u32::MAX, |(age, _)| *age);
    let mut found = Vec::new();
    for (age, _) in ages.range(..below).rev().take(STEP) {
        add(&mut found, base, *age)?;
    }
    found.iter().for_each(|found| follow(&found.file));
    Ok(Newer { files: found, reached: known.is_some() })
}

fn existing(base: &Path) -> io::Result<BTreeMap<u32, Names>> {
    match ages(base) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        ages => ages,
    }
}

/// Whether it is the file of that age, which may have been compressed meanwhile.
fn is(base: &Path, age: u32, names: Names, file: Whereabouts) -> bool {
    let plain = || fs::metadata(path_of(base, age)).is_ok_and(|metadata| Identity::from(&metadata) == file.identity);
    let packed = || {
        File::open(packed_path_of(base, age)).is_ok_and(|packed| {
            let same = identity(&packed).is_ok_and(|identity| identity == file.identity);
            same || (file.origin.is_some() && compress::origin(&packed) == file.origin)
        })
    };
    (names.plain && plain()) || (names.packed && packed())
}

/// Opens the file of that age. For a moment it is there plain and compressed.
fn add(found: &mut Vec<Found>, base: &Path, age: u32) -> io::Result<()> {
    for (path, packed) in [(path_of(base, age), false), (packed_path_of(base, age), true)] {
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => {
                let file = result?;
                found.push(Found { identity: identity(&file)?, file, packed });
                break;
            }
        }
    }
    Ok(())
}

/// Whether the file is the current one of the log. Without a current one (in the middle of a rotation) nobody is.
pub(crate) fn is_current(base: &Path, file: Identity) -> io::Result<bool> {
    match fs::metadata(base) {
        Ok(metadata) => Ok(Identity::from(&metadata) == file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const fn kept(files: u32) -> Kept {
        Kept { files, spare: 10 }
    }

    fn names(base: &Path) -> Vec<String> {
        let entries = fs::read_dir(base.parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn rotation_keeps_so_many_files_and_forgets_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        let mut file = open_current(&base).unwrap();
        for number in 0..5 {
            write!(file, "{number}").unwrap();
            file = rotate(&base, kept(3), false).unwrap().unwrap();
        }
        write!(file, "5").unwrap();
        let contents = |age| fs::read_to_string(path_of(&base, age)).unwrap();
        assert_eq!([contents(0), contents(1), contents(2)].concat(), "543");
        assert_eq!(names(&base).len(), 3);
        assert_eq!(open_all(&base, false).unwrap().len(), 3);
    }

    #[test]
    fn newer_files_are_found_whatever_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        let first = identity(&open_current(&base).unwrap()).unwrap();
        assert!(is_current(&base, first).unwrap());
        rotate(&base, kept(4), false).unwrap().unwrap();
        let last = identity(&rotate(&base, kept(4), false).unwrap().unwrap()).unwrap();
        let newer = open_newer(&base, Some(Whereabouts { identity: first, origin: None })).unwrap();
        assert!(newer.reached);
        assert_eq!(newer.files.len(), 2);
        assert_eq!(newer.files[1].identity, last);
        assert!(!is_current(&base, first).unwrap());
    }

    #[test]
    fn one_file_alone_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        let mut file = open_current(&base).unwrap();
        file.write_all(b"old").unwrap();
        rotate(&base, kept(1), false).unwrap().unwrap();
        assert_eq!(fs::read(&base).unwrap(), b"");
        assert_eq!(names(&base).len(), 1);
    }

    #[test]
    fn a_missing_number_hides_no_file_and_is_closed_by_none() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        for name in ["x.log", "x.log.1", "x.log.3", "x.log.4.gz", "x.log.x", "other.log.9"] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let files = open_all(&base, false).unwrap();
        assert_eq!(files.iter().map(|file| file.packed).collect::<Vec<_>>(), [true, false, false, false]);
        rotate(&base, kept(5), false).unwrap().unwrap();
        assert_eq!(names(&base), ["other.log.9", "x.log", "x.log.1", "x.log.2", "x.log.4", "x.log.x"]);
    }

    #[test]
    fn what_somebody_follows_is_kept_for_a_while_with_all_that_is_newer() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        open_current(&base).unwrap();
        let followed = File::open(&base).unwrap();
        follow(&followed);
        for _ in 0..6 {
            rotate(&base, kept(2), false).unwrap().unwrap();
        }
        assert_eq!(names(&base).len(), 7);
        drop(followed);
        rotate(&base, kept(2), false).unwrap().unwrap();
        assert_eq!(names(&base).len(), 2);
        let followed = File::open(&base).unwrap();
        follow(&followed);
        for _ in 0..30 {
            rotate(&base, kept(2), false).unwrap().unwrap();
        }
        assert!(names(&base).len() <= 12);
    }

    #[test]
    fn a_rotation_is_put_off_while_somebody_opens_files() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        open_current(&base).unwrap();
        let still = hold_still(&base);
        assert!(rotate(&base, kept(2), false).unwrap().is_none());
        assert!(rotate(&base, kept(2), true).unwrap().is_some());
        drop(still);
        assert!(rotate(&base, kept(2), false).unwrap().is_some());
    }
}
