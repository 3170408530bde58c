//! The files of a log: the current one, and what it was before, numbered from the newest.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Which file it is, whatever its name has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// The identity of an open file.
pub(crate) fn identity(file: &File) -> io::Result<Identity> {
    let metadata = file.metadata()?;
    Ok(Identity(metadata.dev(), metadata.ino()))
}

/// The path of the file that is `age` rotations old.
pub(crate) fn path_of(base: &Path, age: u32) -> PathBuf {
    if age == 0 { base.to_owned() } else { with_suffix(base, &age.to_string()) }
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

fn create(path: &Path, options: &mut fs::OpenOptions) -> io::Result<File> {
    // Reading is for the writer's look at the end. 0640 is Docker's mode for log files.
    options.append(true).read(true).mode(0o640).open(path)
}

/// Makes room for a new current file and returns it. `keep` files are there afterwards at most, with the new one.
///
/// The new file is made first, under another name: if the disk has no room for it, nothing has changed.
pub(crate) fn rotate(base: &Path, keep: u32) -> io::Result<File> {
    let fresh = with_suffix(base, "new");
    let _ = fs::remove_file(&fresh);
    let file = create(&fresh, fs::OpenOptions::new().create_new(true))?;
    for age in (1..keep).rev() {
        match fs::rename(path_of(base, age - 1), path_of(base, age)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(&fresh, base)?;
    Ok(file)
}

/// Opens every file of the log that is newer than `than` (all, if that one is not found), the oldest first.
///
/// Names are tried from the newest on, because a file's number only grows: a rotation meanwhile shows a file twice at
/// most, and hides none.
pub(crate) fn open_newer(base: &Path, than: Option<Identity>) -> io::Result<Vec<File>> {
    let mut found: Vec<(Identity, File)> = Vec::new();
    for age in 0.. {
        let file = match File::open(path_of(base, age)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Between two renames of a rotation the current name is missing for a moment.
                if age == 0 { continue } else { break }
            }
            result => result?,
        };
        let identity = identity(&file)?;
        if Some(identity) == than {
            break;
        }
        if found.iter().all(|(known, _)| *known != identity) {
            found.push((identity, file));
        }
    }
    Ok(found.into_iter().rev().map(|(_, file)| file).collect())
}

/// Whether the file is the current one of the log. Without a current one (in the middle of a rotation) nobody is.
pub(crate) fn is_current(base: &Path, file: Identity) -> io::Result<bool> {
    match fs::metadata(base) {
        Ok(metadata) => Ok(Identity(metadata.dev(), metadata.ino()) == file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn rotation_keeps_so_many_files_and_forgets_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        let mut file = open_current(&base).unwrap();
        for number in 0..5 {
            write!(file, "{number}").unwrap();
            file = rotate(&base, 3).unwrap();
        }
        write!(file, "5").unwrap();
        let contents = |age| fs::read_to_string(path_of(&base, age)).unwrap();
        assert_eq!([contents(0), contents(1), contents(2)].concat(), "543");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(open_newer(&base, None).unwrap().len(), 3);
    }

    #[test]
    fn newer_files_are_found_whatever_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        let first = identity(&open_current(&base).unwrap()).unwrap();
        assert!(is_current(&base, first).unwrap());
        rotate(&base, 4).unwrap();
        let last = identity(&rotate(&base, 4).unwrap()).unwrap();
        let newer = open_newer(&base, Some(first)).unwrap();
        assert_eq!(newer.len(), 2);
        assert_eq!(identity(&newer[1]).unwrap(), last);
        assert!(!is_current(&base, first).unwrap());
    }

    #[test]
    fn one_file_alone_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("x.log");
        let mut file = open_current(&base).unwrap();
        file.write_all(b"old").unwrap();
        rotate(&base, 1).unwrap();
        assert_eq!(fs::read(&base).unwrap(), b"");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
