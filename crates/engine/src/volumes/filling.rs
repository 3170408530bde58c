//! Filling an empty volume so that nobody ever takes a half of it for the whole: not even after the engine was killed.
//!
//! The copy is made in a folder of its own, `filling`. When it is whole it is renamed to `filled`, and from then on its
//! entries belong to the volume: they are moved into the data one by one, and whoever finds the folder (another container,
//! the next engine) first moves the rest. The data folder itself stays the same one, because containers may run that have
//! the empty volume mounted.
//!
//! The two folders lie beside the data of a volume in the data root. What is mounted has no beside: there they lie inside,
//! under names that nobody else gives, and are passed over when the volume is looked at.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::fill;

/// Where a volume is filled.
#[derive(Debug)]
pub(super) struct Filling {
    /// A copy that is being made, and is worth nothing yet.
    filling: PathBuf,
    /// A copy that is whole, and whose rest has to be moved.
    filled: PathBuf,
    data: PathBuf,
}

impl Filling {
    /// Of a volume in the data root, by its folder.
    pub(super) fn beside(volume: &Path) -> Self {
        Self { filling: volume.join("filling"), filled: volume.join("filled"), data: volume.join("_data") }
    }

    /// Of a volume that is mounted there.
    pub(super) fn inside(data: &Path) -> Self {
        Self { filling: data.join(".dhow-filling"), filled: data.join(".dhow-filled"), data: data.to_owned() }
    }

    /// Whether there is nothing in the volume.
    pub(super) fn is_empty(&self) -> Result<bool> {
        let step = || format!("read {}", self.data.display());
        for entry in fs::read_dir(&self.data).context(step)? {
            let path = entry.context(step)?.path();
            if path != self.filling && path != self.filled {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fills it, if it is empty, by `copy`, which makes a copy in the folder it is given and says whether there was anything
    /// to copy. Nobody else may fill it at the same time.
    pub(super) fn fill(&self, copy: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
        self.resume()?;
        if !self.is_empty()? {
            return Ok(());
        }
        super::make(&self.filling, 0o700)?;
        let copied = copy(&self.filling);
        if !matches!(copied, Ok(true)) {
            // What is left after a failure goes with the next attempt.
            let _ = fs::remove_dir_all(&self.filling);
            return copied.map(drop);
        }
        fs::rename(&self.filling, &self.filled).context(|| format!("rename {}", self.filling.display()))?;
        self.resume()
    }

    /// Ends what an engine that was killed had begun.
    pub(super) fn resume(&self) -> Result<()> {
        if self.filling.exists() {
            fs::remove_dir_all(&self.filling).context(|| format!("remove {}", self.filling.display()))?;
        }
        if self.filled.exists() {
            let step = || format!("move {} into the volume", self.filled.display());
            move_all(&self.filled, &self.data).context(step)?;
        }
        Ok(())
    }
}

/// Moves what is in a folder. What a container has made meanwhile under the same name is newer and stays.
fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        move_one(&entry.path(), &to.join(entry.file_name()))?;
    }
    // After the entries: it may take the right to make more.
    fill::folder_itself(from, to)?;
    fs::remove_dir_all(from)
}

fn move_one(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // Network and user-space file systems do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) if fs::symlink_metadata(to).is_err() => {
            fs::rename(from, to)
        }
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
        Err(error) => Err(error.into()),
    }
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

    fn data(volume: &Path) -> PathBuf {
        volume.join("_data")
    }

    fn fill(volume: &Path, copy: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
        Filling::beside(volume).fill(copy)
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
        assert!(Filling::beside(volume.path()).is_empty().unwrap());
        fill(volume.path(), two_files).unwrap();
        assert_eq!(names(&data(volume.path())), ["a", "b"]);
        assert_eq!(names(volume.path()), ["_data"]);
    }

    #[test]
    fn a_copy_that_was_cut_off_is_dropped_and_one_that_was_whole_is_finished() {
        let volume = volume();
        let path = |name: &str| volume.path().join(name);
        fs::create_dir(path("filling")).unwrap();
        fs::write(path("filling/a"), "half").unwrap();
        Filling::beside(volume.path()).resume().unwrap();
        assert_eq!(names(volume.path()), ["_data"]);

        fs::create_dir(path("filled")).unwrap();
        two_files(&path("filled")).unwrap();
        fs::write(path("_data/a"), "moved, and changed by a container").unwrap();
        Filling::beside(volume.path()).resume().unwrap();
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

    #[test]
    fn what_is_mounted_is_filled_inside_and_what_was_cut_off_is_done_again() {
        let mounted = tempfile::tempdir().unwrap();
        let inside = Filling::inside(mounted.path());
        fs::create_dir(mounted.path().join(".dhow-filling")).unwrap();
        fs::write(mounted.path().join(".dhow-filling/a"), "half").unwrap();
        assert!(inside.is_empty().unwrap());
        inside.fill(two_files).unwrap();
        assert_eq!(names(mounted.path()), ["a", "b"]);
        assert_eq!(fs::read_to_string(mounted.path().join("a")).unwrap(), "a");
        fs::create_dir(mounted.path().join(".dhow-filled")).unwrap();
        fs::write(mounted.path().join(".dhow-filled/c"), "c").unwrap();
        inside.fill(|_| panic!("there is something in it")).unwrap();
        assert_eq!(names(mounted.path()), ["a", "b", "c"]);
    }
}
