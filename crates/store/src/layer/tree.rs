//! The folder a layer is unpacked into. Everything is done relative to descriptors of folders inside it.
//!
//! A folder's descriptor is found in one of two ways. Step by step from a folder that is known already, never following a
//! link; that is the ordinary case. Where that meets a link, by `openat2(RESOLVE_IN_ROOT)` from the layer's root: the
//! kernel follows the link as if the layer were the whole world.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::rc::Rc;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use super::name::Name;
use crate::trash::remove;

/// Descriptors kept open; a tar is written folder by folder, so few are needed at once.
const CACHED: usize = 64;

/// How folders are opened.
pub(super) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An open folder in the tree.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    /// Where it really is, without links.
    pub(super) name: Name,
}

/// A place in the tree where something is or shall be: a folder and a name in it.
#[derive(Debug)]
pub(super) struct Spot<'a> {
    pub(super) folder: Rc<Folder>,
    /// One component; empty for the root itself.
    pub(super) last: &'a [u8],
}

impl Spot<'_> {
    /// Where it really is.
    pub(super) fn name(&self) -> Name {
        self.folder.name.join(self.last)
    }

    /// What is there, links not followed.
    pub(super) fn stat(&self) -> Result<Option<Stat>, Errno> {
        match rustix::fs::statat(&self.folder.fd, self.last, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A path by which extended attributes are reached without opening what has them: `/proc/self/fd/<folder>/x`.
    pub(super) fn path(&self) -> OsString {
        let mut path = format!("/proc/self/fd/{}/", self.folder.fd.as_raw_fd()).into_bytes();
        path.extend_from_slice(self.last);
        OsString::from_vec(path)
    }
}

/// A layer's folder while it is unpacked.
#[derive(Debug)]
pub(super) struct Tree {
    /// The folder around it, for what is on its way out.
    scratch: File,
    root: Rc<Folder>,
    /// By name as written, which may lead through links.
    folders: HashMap<Name, Rc<Folder>>,
    /// Folders that were made because something is in them, by where they are.
    implied: BTreeMap<Name, ()>,
    /// The path of the root as the kernel tells it, to find out where a link led.
    prefix: Vec<u8>,
}

impl Tree {
    /// Makes the folder `diff` in `scratch` and opens it.
    pub(super) fn create(scratch: &Path) -> Result<Self> {
        let step = || format!("create {}/diff", scratch.display());
        let scratch = File::open(scratch).context(step)?;
        rustix::fs::mkdirat(&scratch, "diff", Mode::from_raw_mode(0o755)).map_err(io::Error::from).context(step)?;
        let fd = rustix::fs::openat(&scratch, "diff", FOLDER | OFlags::NOFOLLOW, Mode::empty())
            .map_err(io::Error::from)
            .context(step)?;
        let prefix = where_is(fd.as_fd()).map_err(io::Error::from).context(step)?;
        let root = Rc::new(Folder { fd, name: Name::parse(b"")? });
        Ok(Self { scratch, root, folders: HashMap::new(), implied: BTreeMap::new(), prefix })
    }

    pub(super) fn root(&self) -> &Rc<Folder> {
        &self.root
    }

    /// Folders nobody described, parents first: they are there because something is in them.
    pub(super) fn into_implied(self) -> impl Iterator<Item = Name> {
        self.implied.into_keys()
    }

    /// The place of `name`, with the folders it is in made where they are missing.
    pub(super) fn spot<'a>(&mut self, name: &'a Name) -> Result<Spot<'a>> {
        let parent = name.parent();
        let folder = self.folder(&parent).map_err(io::Error::from).context(|| format!("open {parent}"))?;
        Ok(Spot { folder, last: name.split().1 })
    }

    /// The place of `name`, if the folders it is in are there.
    pub(super) fn existing_spot<'a>(&mut self, name: &'a Name) -> Result<Spot<'a>> {
        let parent = name.parent();
        let folder = self.existing(&parent).map_err(io::Error::from).context(|| format!("open {parent}"))?;
        Ok(Spot { folder, last: name.split().1 })
    }

    /// How many folders were made because something is in them.
    pub(super) fn implied(&self) -> usize {
        self.implied.len()
    }

    /// The folder of that name, made if it is missing.
    pub(super) fn folder(&mut self, name: &Name) -> Result<Rc<Folder>, Errno> {
        match self.existing(name) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        let parent = self.folder(&name.parent())?;
        let last = name.split().1;
        // A link that leads nowhere exists and cannot be opened: that ends here with the first error.
        match rustix::fs::mkdirat(&parent.fd, last, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => return Err(Errno::NOENT),
            result => result?,
        }
        self.implied.insert(parent.name.join(last), ());
        self.existing(name)
    }

    fn existing(&mut self, name: &Name) -> Result<Rc<Folder>, Errno> {
        if name.is_root() {
            return Ok(Rc::clone(&self.root));
        }
        if let Some(folder) = self.folders.get(name) {
            return Ok(Rc::clone(folder));
        }
        let parent = self.existing(&name.parent())?;
        let last = name.split().1;
        let folder = match rustix::fs::openat(&parent.fd, last, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => Folder { fd, name: parent.name.join(last) },
            // With O_DIRECTORY a link is "not a directory" too.
            Err(Errno::LOOP | Errno::NOTDIR) => self.through_links(name)?,
            Err(error) => return Err(error),
        };
        if self.folders.len() >= CACHED {
            self.folders.clear();
        }
        let folder = Rc::new(folder);
        self.folders.insert(name.clone(), Rc::clone(&folder));
        Ok(folder)
    }

    fn through_links(&self, name: &Name) -> Result<Folder, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let fd = rustix::fs::openat2(&self.root.fd, name.as_bytes(), FOLDER, Mode::empty(), resolve)?;
        let found = where_is(fd.as_fd())?;
        // The kernel resolved it below the root; anything else would be a fault we must not build on.
        let below = found.strip_prefix(self.prefix.as_slice()).ok_or(Errno::XDEV)?;
        let name = Name::parse(below).map_err(|_| Errno::XDEV)?;
        Ok(Folder { fd, name })
    }

    /// Takes away what is there, a whole tree if it is one, so that something else can have its name.
    pub(super) fn clear(&mut self, spot: &Spot<'_>) -> Result<()> {
        let step = || format!("replace {}", spot.name());
        // It may have been a folder on the way to others, or a link to one.
        self.folders.clear();
        match rustix::fs::unlinkat(&spot.folder.fd, spot.last, AtFlags::empty()) {
            Err(Errno::ISDIR) => {}
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(io::Error::from(error)).context(step),
        }
        let gone = spot.name();
        self.implied.remove(&gone);
        gone.remove_below(&mut self.implied);
        rustix::fs::renameat_with(&spot.folder.fd, spot.last, &self.scratch, "replaced", RenameFlags::NOREPLACE)
            .map_err(io::Error::from)
            .context(step)?;
        let name = CString::from(c"replaced");
        remove::tree(self.scratch.as_fd(), &name).context(step)
    }
}

/// A folder by its place in the tree, no links on the way.
pub(super) fn open_plain(root: BorrowedFd<'_>, name: &Name, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let path = if name.is_root() { b".".as_slice() } else { name.as_bytes() };
    rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Whether it is a folder.
pub(super) fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// Whether it is a whiteout: a character device 0, 0.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn where_is(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(rustix::fs::readlink(link, Vec::new())?.into_bytes())
}

/// The error for a name that cannot be what the archive says.
pub(super) fn refused(name: &Name, why: &str) -> Error {
    Error::invalid(format!("{name} in the archive {why}"))
}
