//! Copying what an image has at a volume's place into the volume, and one volume into another.
//!
//! Neither side is trusted: an image is anybody's, and a container may have the volume mounted and be at work in it. So trees
//! are walked by descriptors, links are copied and never followed, and however deep a tree is, nothing recurses.

mod file;

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, linkat, mkdirat, mknodat, openat, openat2,
    readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::rootfs::Root;

/// No path reaches deeper (`PATH_MAX`), and each level costs two descriptors.
const DEEPEST: usize = 2048;

/// The folder at `place` in an image, if it has one there.
pub(super) fn in_image(root: &Root, place: &str) -> Result<Option<OwnedFd>> {
    root.open(place, OFlags::RDONLY | OFlags::DIRECTORY).context(|| format!("open {place} of the image"))
}

/// Copies all of a folder into an empty one, which becomes like it. Tells that it goes on by `stepped`.
pub(super) fn content(source: &Path, target: &Path, stepped: &dyn Fn()) -> io::Result<()> {
    tree(open_folder(source)?.as_fd(), open_folder(target)?.as_fd(), stepped)
}

/// The same with open folders.
pub(super) fn tree(source: BorrowedFd<'_>, target: BorrowedFd<'_>, stepped: &dyn Fn()) -> io::Result<()> {
    let mut copier = Copier { top: target, path: Vec::new(), linked: HashMap::new(), stepped };
    let mut levels = vec![copier.level(source.try_clone_to_owned()?, target.try_clone_to_owned()?)?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.folders.pop() else {
            folder_itself(level.source.as_fd(), level.target.as_fd())?;
            levels.pop();
            continue;
        };
        copier.path.truncate(level.path);
        let (from, to) = copier.descend(level, &name)?;
        if levels.len() == DEEPEST {
            return Err(io::Error::other(format!("its folders are more than {DEEPEST} levels deep")));
        }
        levels.push(copier.level(from, to)?);
    }
    Ok(())
}

/// Gives a folder the owner, mode, attributes and times of another whose place it takes.
pub(super) fn folder_itself(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    file::same(source, target, &fstat(source)?)
}

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn open(folder: BorrowedFd<'_>, name: &CStr, more: OFlags) -> Result<OwnedFd, Errno> {
    openat(folder, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | more, Mode::empty())
}

/// A folder all of whose files are copied.
struct Level {
    source: OwnedFd,
    target: OwnedFd,
    /// Those in it that are not.
    folders: Vec<CString>,
    /// How long the path to it is.
    path: usize,
}

/// A copy that is being made.
struct Copier<'a> {
    top: BorrowedFd<'a>,
    /// Of the folder that is being copied, below the top.
    path: Vec<u8>,
    /// Files with several names by device and number, and the path of the first one.
    linked: HashMap<(u64, u64), Vec<u8>>,
    stepped: &'a dyn Fn(),
}

impl Copier<'_> {
    fn descend(&mut self, level: &Level, name: &CStr) -> io::Result<(OwnedFd, OwnedFd)> {
        let (source, target) = (level.source.as_fd(), level.target.as_fd());
        mkdirat(target, name, Mode::RWXU)?;
        self.path.extend_from_slice(&[name.to_bytes(), b"/"].concat());
        Ok((open(source, name, OFlags::DIRECTORY)?, open(target, name, OFlags::DIRECTORY)?))
    }

    /// Copies what is in a folder, but for the folders.
    fn level(&mut self, source: OwnedFd, target: OwnedFd) -> io::Result<Level> {
        let mut folders = Vec::new();
        for entry in Dir::read_from(&source)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let stat = statat(&source, name, AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => folders.push(name.to_owned()),
                kind => {
                    let copied = self.copy((source.as_fd(), target.as_fd()), name, (kind, &stat));
                    copied.map_err(|error| self.named(name, error))?;
                }
            }
            (self.stepped)();
        }
        Ok(Level { source, target, folders, path: self.path.len() })
    }

    /// An error with the path of what could not be copied: one of a thousand files may be what a file system cannot hold.
    fn named(&self, name: &CStr, error: io::Error) -> io::Error {
        let path = [self.path.as_slice(), name.to_bytes()].concat();
        let text = format!("copy {}", String::from_utf8_lossy(&path));
        io::Error::new(error.kind(), Error::new((&error).into(), text).with_cause(error))
    }

    fn copy(
        &mut self,
        (source, target): (BorrowedFd<'_>, BorrowedFd<'_>),
        name: &CStr,
        (kind, stat): (FileType, &Stat),
    ) -> io::Result<()> {
        if self.is_linked(target, name, stat)? {
            return Ok(());
        }
        match kind {
            FileType::RegularFile => return self.regular((source, target), name),
            FileType::Symlink => symlinkat(readlinkat(source, name, Vec::new())?, target, name)?,
            FileType::Socket => return Ok(()),
            _ => match mknodat(target, name, kind, Mode::from_raw_mode(stat.st_mode), stat.st_rdev) {
                // Without root there are no devices, and a volume can do without them.
                Err(Errno::PERM) => return Ok(()),
                result => result?,
            },
        }
        file::same_by_name(target, name, stat, kind == FileType::Symlink)
    }

    fn regular(&self, (source, target): (BorrowedFd<'_>, BorrowedFd<'_>), name: &CStr) -> io::Result<()> {
        let from = File::from(open(source, name, OFlags::NONBLOCK | OFlags::NOCTTY)?);
        let stat = fstat(&from)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other(format!("{} is being changed", name.to_string_lossy())));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let to = File::from(openat(target, name, flags, Mode::RUSR | Mode::WUSR)?);
        file::contents(&from, &to, self.stepped)?;
        file::same(from.as_fd(), to.as_fd(), &stat)
    }

    /// Gives what was copied under another name this one, too.
    fn is_linked(&mut self, target: BorrowedFd<'_>, name: &CStr, stat: &Stat) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let key = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.linked.get(&key) {
            match self.link(first, target, name) {
                // The first one was left out, or has as many names as there can be, or cannot be reached by a path.
                Err(Errno::NOENT | Errno::MLINK | Errno::NAMETOOLONG) => {}
                linked => return Ok(linked.map(|()| true)?),
            }
        }
        self.linked.insert(key, [self.path.as_slice(), name.to_bytes()].concat());
        Ok(false)
    }

    /// The way to the first name leads through folders that others may have put links in the place of.
    fn link(&self, first: &[u8], target: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        let at = first.iter().rposition(|byte| *byte == b'/');
        let (folder, file) = at.map_or((&b"."[..], first), |at| (&first[..at], &first[at + 1..]));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        linkat(openat2(self.top, folder, flags, Mode::empty(), resolve)?, file, target, name, AtFlags::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_store::Overlay;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    #[test]
    fn a_tree_arrives_with_modes_links_and_times() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["lower/data/sub", "upper", "work", "volume"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("lower/data/sub/file"), "x").unwrap();
        fs::set_permissions(path("lower/data/sub/file"), fs::Permissions::from_mode(0o4750)).unwrap();
        fs::set_permissions(path("lower/data"), fs::Permissions::from_mode(0o1777)).unwrap();
        symlink("/etc/shadow", path("lower/data/link")).unwrap();
        let overlay =
            Overlay { lower: vec![path("lower")], upper: path("upper"), work: path("work"), userxattr: false };
        let Ok(root) = Root::of_overlay(&overlay) else {
            eprintln!("SKIPPED: overlay cannot be mounted here");
            return;
        };
        let volume = open_folder(&path("volume")).unwrap();
        tree(in_image(&root, "/data").unwrap().unwrap().as_fd(), volume.as_fd(), &|| {}).unwrap();
        let (copied, original) = (path("volume/sub/file"), path("lower/data/sub/file"));
        let (copied, original) = (fs::metadata(copied).unwrap(), fs::metadata(original).unwrap());
        assert_eq!((copied.mode(), copied.mtime()), (original.mode(), original.mtime()));
        assert_eq!(fs::read_link(path("volume/link")).unwrap(), Path::new("/etc/shadow"));
        assert_eq!(fs::metadata(path("volume")).unwrap().mode() & 0o7777, 0o1777);
        assert!(in_image(&root, "/missing").unwrap().is_none());
    }

    #[test]
    fn capabilities_of_a_program_arrive_though_its_owner_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("from")).unwrap();
        fs::create_dir(path("to")).unwrap();
        fs::write(path("from/ping"), "x").unwrap();
        // `cap_net_raw=ep` (capabilities(7), VFS_CAP_REVISION_2)
        let value = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let of = |name: &str| File::open(path(name)).unwrap();
        let chowned = std::os::unix::fs::chown(path("from/ping"), Some(5), Some(6));
        let set =
            rustix::fs::fsetxattr(of("from/ping"), c"security.capability", &value, rustix::fs::XattrFlags::empty());
        if chowned.is_err() || set.is_err() {
            eprintln!("SKIPPED: this file system or user gives no capabilities to files");
            return;
        }
        content(&path("from"), &path("to"), &|| {}).unwrap();
        let mut copied = [0; 20];
        assert_eq!(rustix::fs::fgetxattr(of("to/ping"), c"security.capability", &mut copied[..]), Ok(20));
        assert_eq!((copied, fs::metadata(path("to/ping")).unwrap().uid()), (value, 5));
    }

    #[test]
    fn files_with_several_names_and_with_holes_are_such_files_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path("from/sub")).unwrap();
        fs::create_dir(path("to")).unwrap();
        let holes = File::create(path("from/sub/holes")).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&holes, b"here", 64 << 20).unwrap();
        holes.set_len(128 << 20).unwrap();
        fs::hard_link(path("from/sub/holes"), path("from/other")).unwrap();
        content(&path("from"), &path("to"), &|| {}).unwrap();
        let [one, two] = ["to/sub/holes", "to/other"].map(|name| fs::metadata(path(name)).unwrap());
        assert_eq!((one.ino(), one.nlink(), one.len()), (two.ino(), 2, 128 << 20));
        assert!(one.blocks() * 512 < 1 << 20, "{} blocks", one.blocks());
        let mut here = [0; 4];
        std::os::unix::fs::FileExt::read_exact_at(&File::open(path("to/other")).unwrap(), &mut here, 64 << 20).unwrap();
        assert_eq!(&here, b"here");
    }
}
