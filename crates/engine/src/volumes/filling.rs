//! Filling an empty volume so that nobody ever takes a half of it for the whole: not even after the engine was killed.
//!
//! The copy is made in a folder of its own, `filling`. When it is whole it is renamed to `filled`, and from then on its
//! entries belong to the volume: they are moved into the data one by one, and whoever finds the folder (another container,
//! the next engine) first moves the rest. The data folder itself stays the same one, because containers may run that have
//! the empty volume mounted.
//!
//! The two folders lie beside the data of a volume in the data root. What is mounted has no beside: there they lie inside,
//! under names that nobody else gives, and are passed over when the volume is looked at. Containers that have it mounted can
//! reach them there, and put a link to the host in their place at any moment: so everything is reached by descriptors.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use dhow_archive::names;
use dhow_errdefs::{Result, ResultExt};
use dhow_store::delete_in;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, mkdirat, openat, renameat, renameat_with, statat};
use rustix::io::Errno;

use super::fill;

/// Where a volume is filled.
#[derive(Debug)]
pub(super) struct Filling {
    /// The folder in which the others are.
    place: OwnedFd,
    /// Where that is, for messages.
    path: PathBuf,
    /// A copy that is being made, and is worth nothing yet.
    filling: &'static CStr,
    /// A copy that is whole, and whose rest has to be moved.
    filled: &'static CStr,
    data: &'static CStr,
}

impl Filling {
    /// Of a volume in the data root, by its folder.
    pub(super) fn beside(volume: &Path) -> Result<Self> {
        Self::at(volume, [c"filling", c"filled", c"_data"])
    }

    /// Of a volume that is mounted there.
    pub(super) fn inside(data: &Path) -> Result<Self> {
        Self::at(data, [c".dhow-filling", c".dhow-filled", c"."])
    }

    fn at(path: &Path, [filling, filled, data]: [&'static CStr; 3]) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from);
        let place = place.context(|| format!("open {}", path.display()))?;
        Ok(Self { place, path: path.to_owned(), filling, filled, data })
    }

    /// Whether there is nothing in the volume.
    pub(super) fn is_empty(&self) -> Result<bool> {
        let step = || format!("read {}", self.shown(self.data));
        let ours = |name: &CStr| self.data == c"." && (name == self.filling || name == self.filled);
        for name in self.data().and_then(names).context(step)? {
            if !ours(&name.context(step)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fills it, if it is empty, with what is in the folder that `source` opens, if there is one, and makes it like that
    /// folder. Nobody else may fill it at the same time. Who cannot be filled because nobody may write there stays empty.
    pub(super) fn fill(&self, source: impl FnOnce() -> Result<Option<OwnedFd>>, stepped: &dyn Fn()) -> Result<()> {
        self.resume()?;
        if !self.is_empty()? {
            return Ok(());
        }
        let Some(source) = source()? else { return Ok(()) };
        match mkdirat(&self.place, self.filling, Mode::RWXU) {
            Err(Errno::ROFS) => return Ok(()),
            made => made.map_err(io::Error::from).context(|| format!("create {}", self.shown(self.filling)))?,
        }
        let copied = self
            .folder(self.filling)
            .and_then(|target| fill::tree(source.as_fd(), target.as_fd(), stepped))
            .and_then(|()| Ok(renameat(&self.place, self.filling, &self.place, self.filled)?))
            .context(|| "copy what the image has there");
        if copied.is_err() {
            // What is left after a failure goes with the next attempt.
            let _ = delete_in(self.place.as_fd(), self.filling);
        }
        copied.and_then(|()| self.resume())
    }

    /// Ends what an engine that was killed had begun.
    pub(super) fn resume(&self) -> Result<()> {
        let removed = delete_in(self.place.as_fd(), self.filling);
        removed.context(|| format!("remove {}", self.shown(self.filling)))?;
        let step = || format!("move {} into the volume", self.shown(self.filled));
        match self.folder(self.filled) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Somebody who has the volume mounted has put something in its place.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            filled => {
                let filled = filled.context(step)?;
                let moved = self.data().and_then(|data| move_all(filled.as_fd(), data.as_fd()));
                moved.context(step)?;
            }
        }
        delete_in(self.place.as_fd(), self.filled).map(drop).context(step)
    }

    /// Beside it nobody but the engine and its owner writes, who may have put a link to another disk there.
    fn data(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&self.place, self.data, flags, Mode::empty())?)
    }

    /// Opens a folder of ours; a link in its place is none.
    fn folder(&self, name: &CStr) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&self.place, name, flags, Mode::empty())?)
    }

    fn shown(&self, name: &CStr) -> String {
        self.path.join(name.to_string_lossy().as_ref()).display().to_string()
    }
}

/// Moves what is in a folder. What a container has made meanwhile under the same name is newer and stays.
fn move_all(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    // Read to its end first: what is taken away while a folder is read may hide the rest.
    for name in names(from)?.collect::<io::Result<Vec<_>>>()? {
        move_one(from, to, &name)?;
    }
    // After the entries: it may take the right to make more.
    fill::folder_itself(from, to)
}

fn move_one(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    match renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        // Network and user-space file systems do not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(renameat(from, name, to, name)?),
            there => Ok(there.map(drop)?),
        },
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn volume() -> tempfile::TempDir {
        let volume = tempfile::tempdir().unwrap();
        fs::create_dir(data(volume.path())).unwrap();
        volume
    }

    fn data(volume: &Path) -> PathBuf {
        volume.join("_data")
    }

    fn write_two_files(folder: &Path) {
        for name in ["a", "b"] {
            fs::write(folder.join(name), name).unwrap();
        }
    }

    fn two_files() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        write_two_files(folder.path());
        folder
    }

    fn opened(folder: &tempfile::TempDir) -> Result<Option<OwnedFd>> {
        Ok(Some(File::open(folder.path()).unwrap().into()))
    }

    fn fill(filling: &Filling, source: &tempfile::TempDir) -> Result<()> {
        filling.fill(|| opened(source), &|| {})
    }

    fn listed(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A tree that nobody can copy: no path reaches its end.
    fn too_deep() -> tempfile::TempDir {
        let folder = two_files();
        let mut at: OwnedFd = File::open(folder.path()).unwrap().into();
        for _ in 0..2100 {
            mkdirat(&at, "deep", Mode::RWXU).unwrap();
            at = openat(&at, "deep", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        folder
    }

    #[test]
    fn a_copy_that_fails_half_way_leaves_an_empty_volume() {
        let (volume, deep) = (volume(), too_deep());
        let filling = Filling::beside(volume.path()).unwrap();
        assert!(fill(&filling, &deep).is_err());
        assert_eq!(listed(volume.path()), ["_data"]);
        assert!(filling.is_empty().unwrap());
        fill(&filling, &two_files()).unwrap();
        assert_eq!(listed(&data(volume.path())), ["a", "b"]);
        assert_eq!(listed(volume.path()), ["_data"]);
        assert!(dhow_store::delete_tree(deep.path()).unwrap());
    }

    #[test]
    fn a_copy_that_was_cut_off_is_dropped_and_one_that_was_whole_is_finished() {
        let volume = volume();
        let path = |name: &str| volume.path().join(name);
        fs::create_dir(path("filling")).unwrap();
        fs::write(path("filling/a"), "half").unwrap();
        Filling::beside(volume.path()).unwrap().resume().unwrap();
        assert_eq!(listed(volume.path()), ["_data"]);

        fs::create_dir(path("filled")).unwrap();
        write_two_files(&path("filled"));
        fs::write(path("_data/a"), "moved, and changed by a container").unwrap();
        Filling::beside(volume.path()).unwrap().resume().unwrap();
        assert_eq!(
            (listed(volume.path()), listed(&path("_data"))),
            (vec!["_data".into()], vec!["a".into(), "b".into()])
        );
        assert!(fs::read_to_string(path("_data/a")).unwrap().starts_with("moved"));
    }

    #[test]
    fn what_is_there_is_not_filled_over() {
        let volume = volume();
        fs::write(volume.path().join("_data/mine"), "").unwrap();
        fill(&Filling::beside(volume.path()).unwrap(), &two_files()).unwrap();
        assert_eq!(listed(&data(volume.path())), ["mine"]);
    }

    #[test]
    fn a_folder_that_the_image_lacks_leaves_nothing_behind() {
        let volume = volume();
        Filling::beside(volume.path()).unwrap().fill(|| Ok(None), &|| {}).unwrap();
        assert_eq!(listed(volume.path()), ["_data"]);
    }

    #[test]
    fn what_is_mounted_is_filled_inside_and_what_was_cut_off_is_done_again() {
        let mounted = tempfile::tempdir().unwrap();
        let inside = Filling::inside(mounted.path()).unwrap();
        fs::create_dir(mounted.path().join(".dhow-filling")).unwrap();
        fs::write(mounted.path().join(".dhow-filling/a"), "half").unwrap();
        assert!(inside.is_empty().unwrap());
        fill(&inside, &two_files()).unwrap();
        assert_eq!(listed(mounted.path()), ["a", "b"]);
        assert_eq!(fs::read_to_string(mounted.path().join("a")).unwrap(), "a");
        fs::create_dir(mounted.path().join(".dhow-filled")).unwrap();
        fs::write(mounted.path().join(".dhow-filled/c"), "c").unwrap();
        inside.fill(|| panic!("there is something in it"), &|| {}).unwrap();
        assert_eq!(listed(mounted.path()), ["a", "b", "c"]);
    }

    /// A container that has the volume mounted puts links to the host where the engine is about to work.
    #[test]
    fn links_that_a_container_puts_in_the_way_lead_nowhere() {
        let (mounted, host) = (tempfile::tempdir().unwrap(), two_files());
        let mode = || fs::metadata(host.path()).unwrap().permissions().mode();
        let before = mode();
        let inside = Filling::inside(mounted.path()).unwrap();
        for name in [".dhow-filling", ".dhow-filled"] {
            symlink(host.path(), mounted.path().join(name)).unwrap();
        }
        inside.resume().unwrap();
        assert_eq!(listed(mounted.path()), [""; 0]);

        for name in [".dhow-filling", ".dhow-filled"] {
            symlink(host.path(), mounted.path().join(name)).unwrap();
        }
        let source = two_files();
        let swap = || {
            // As soon as there is a folder: a link in its place, and the folder elsewhere.
            let _ = fs::rename(mounted.path().join(".dhow-filling"), mounted.path().join("away"));
            let _ = symlink(host.path(), mounted.path().join(".dhow-filling"));
        };
        let _ = inside.fill(|| opened(&source), &swap);
        let _ = inside.resume();
        assert_eq!((listed(host.path()), mode()), (vec!["a".into(), "b".into()], before));
        assert_eq!(fs::read_to_string(host.path().join("a")).unwrap(), "a");
    }

    #[test]
    fn files_are_linked_to_none_behind_a_link_that_took_a_folders_place() {
        let (mounted, host, source) = (tempfile::tempdir().unwrap(), two_files(), tempfile::tempdir().unwrap());
        fs::create_dir_all(source.path().join("one")).unwrap();
        fs::create_dir_all(source.path().join("two")).unwrap();
        for folder in ["one", "two"] {
            fs::write(source.path().join(folder).join("a"), "image").unwrap();
            fs::hard_link(source.path().join(folder).join("a"), source.path().join(folder).join("again")).unwrap();
        }
        fs::hard_link(source.path().join("one/a"), source.path().join("two/b")).unwrap();
        let swap = || {
            for folder in ["one", "two"] {
                let made = mounted.path().join(".dhow-filling").join(folder);
                if fs::rename(&made, mounted.path().join(format!("away-{folder}"))).is_ok() {
                    symlink(host.path(), &made).unwrap();
                }
            }
        };
        let _ = Filling::inside(mounted.path()).unwrap().fill(|| opened(&source), &swap);
        let linked = ["a", "b"]
            .map(|name| std::os::unix::fs::MetadataExt::nlink(&fs::metadata(host.path().join(name)).unwrap()));
        assert_eq!(linked, [1, 1]);
    }
}
