//! Filling an empty volume so that nobody ever sees a half of it: not even after the engine was killed.
//!
//! The copy is made in a folder beside the volume's data, `filling`. When it is whole it is renamed to `filled`, and from
//! then on its entries belong to the volume: they are moved into the data one by one, and whoever finds the folder
//! (another container, the next engine) first moves the rest. The data folder itself stays the same one, because
//! containers may run that have the empty volume mounted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with};

use super::fill;

/// A copy that is being made, and is worth nothing yet.
const FILLING: &str = "filling";
/// A copy that is whole, and whose rest has to be moved.
const FILLED: &str = "filled";

/// Whether a folder has no entries.
pub(super) fn is_empty(folder: &Path) -> Result<bool> {
    let mut entries = fs::read_dir(folder).context(|| format!("read {}", folder.display()))?;
    Ok(entries.next().is_none())
}

/// Fills a volume by `copy`, which makes a copy in the folder it is given and says whether there was anything to copy.
pub(super) fn fill(volume: &Path, copy: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
    let _alone = lock(volume)?;
    resume_alone(volume)?;
    if !is_empty(&data(volume))? {
        return Ok(());
    }
    let filling = volume.join(FILLING);
    super::make(&filling, 0o700)?;
    let copied = copy(&filling);
    if !matches!(copied, Ok(true)) {
        // What is left after a failure goes with the next attempt.
        let _ = fs::remove_dir_all(&filling);
        return copied.map(drop);
    }
    fs::rename(&filling, volume.join(FILLED)).context(|| format!("rename {}", filling.display()))?;
    resume_alone(volume)
}

/// Ends what an engine that was killed had begun.
pub(super) fn resume(volume: &Path) -> Result<()> {
    if [FILLING, FILLED].iter().any(|name| volume.join(name).exists()) {
        let _alone = lock(volume)?;
        resume_alone(volume)?;
    }
    Ok(())
}

fn resume_alone(volume: &Path) -> Result<()> {
    let (filling, filled) = (volume.join(FILLING), volume.join(FILLED));
    if filling.exists() {
        fs::remove_dir_all(&filling).context(|| format!("remove {}", filling.display()))?;
    }
    if filled.exists() {
        move_all(&filled, &data(volume)).context(|| format!("move {} into the volume", filled.display()))?;
    }
    Ok(())
}

/// Moves what is in a folder. What a container has made meanwhile under the same name is newer and stays.
fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        match renameat_with(CWD, entry.path(), CWD, to.join(entry.file_name()), RenameFlags::NOREPLACE) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // After the entries: it may take the right to make more.
    fill::folder_itself(from, to)?;
    fs::remove_dir_all(from)
}

fn data(volume: &Path) -> PathBuf {
    volume.join("_data")
}

/// Two containers may be made with one new volume at the same time. The lock goes with the file.
fn lock(volume: &Path) -> Result<File> {
    let step = || format!("lock {}", volume.display());
    let folder = File::open(volume).context(step)?;
    flock(&folder, FlockOperation::LockExclusive).map_err(io::Error::from).context(step)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Error;

    fn volume() -> tempfile::TempDir {
        let volume = tempfile::tempdir().unwrap();
        fs::create_dir(data(volume.path())).unwrap();
        volume
    }

    fn two_files(target: &Path) -> Result<bool> {
        for name in ["a", "b"] {
            fs::write(target.join(name), name).unwrap();
        }
        Ok(true)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_copy_that_fails_half_way_leaves_an_empty_volume() {
        let volume = volume();
        let fails = |target: &Path| {
            fs::write(target.join("a"), "a").unwrap();
            Err(Error::exhausted("the disk is full"))
        };
        assert!(fill(volume.path(), fails).is_err());
        assert_eq!(names(volume.path()), ["_data"]);
        assert!(is_empty(&data(volume.path())).unwrap());
        fill(volume.path(), two_files).unwrap();
        assert_eq!(names(&data(volume.path())), ["a", "b"]);
        assert_eq!(names(volume.path()), ["_data"]);
    }

    #[test]
    fn a_copy_that_was_cut_off_is_dropped_and_one_that_was_whole_is_finished() {
        let volume = volume();
        let path = |name: &str| volume.path().join(name);
        fs::create_dir(path(FILLING)).unwrap();
        fs::write(path("filling/a"), "half").unwrap();
        resume(volume.path()).unwrap();
        assert_eq!(names(volume.path()), ["_data"]);

        fs::create_dir(path(FILLED)).unwrap();
        two_files(&path(FILLED)).unwrap();
        fs::write(path("_data/a"), "moved, and changed by a container").unwrap();
        resume(volume.path()).unwrap();
        assert_eq!((names(volume.path()), names(&path("_data"))), (vec!["_data".into()], vec!["a".into(), "b".into()]));
        assert!(fs::read_to_string(path("_data/a")).unwrap().starts_with("moved"));
    }

    #[test]
    fn what_is_there_is_not_filled_over() {
        let volume = volume();
        fs::write(volume.path().join("_data/mine"), "").unwrap();
        fill(volume.path(), two_files).unwrap();
        fill(volume.path(), |_| Ok(false)).unwrap();
        assert_eq!(names(&data(volume.path())), ["mine"]);
    }

    #[test]
    fn a_folder_that_the_image_lacks_leaves_nothing_behind() {
        let volume = volume();
        fill(volume.path(), |_| Ok(false)).unwrap();
        assert_eq!(names(volume.path()), ["_data"]);
    }
}
