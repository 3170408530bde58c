//! Puts the entries of an archive into a tree.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufRead;
use std::os::fd::AsFd;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::attributes::{Attributes, check_names, step};
use super::fingerprint::Fingerprinter;
use super::manifest::{Line, Manifest};
use super::name::{Meaning, Name};
use super::tree::{FOLDER, Spot, Tree, is_folder, is_whiteout, open_plain, refused};
use dhow_archive::{Archive, Entry, Extent, Kind};

/// A file as long as that goes to the disk at once, so that the sync at the end is short.
const LARGE: u64 = 1 << 20;

/// So many bytes of extended attributes of folders are kept until everything is in them: more than any image has.
const KEPT_XATTRS: usize = 64 << 20;

/// Unpacks one archive into one tree.
#[derive(Debug)]
pub(super) struct Extractor {
    tree: Tree,
    manifest: Manifest,
    attributes: Attributes,
    entries: u64,
    entries_max: u64,
    /// Bytes of file contents.
    size: u64,
    /// What folders shall be like when everything is in them, by where they are.
    folders: BTreeMap<Name, Entry>,
    /// Bytes of their extended attributes.
    kept_xattrs: usize,
}

/// What became of an archive.
#[derive(Debug)]
pub(super) struct Extracted {
    /// Bytes of file contents.
    pub(super) size: u64,
    /// Folders that the archive did not describe.
    pub(super) implied: Vec<Name>,
    /// Whether the archive described the root.
    pub(super) root: bool,
    pub(super) notes: Vec<String>,
}

impl Extractor {
    pub(super) fn new(tree: Tree, manifest: Manifest, attributes: Attributes, entries_max: u64) -> Self {
        Self { tree, manifest, attributes, entries: 0, entries_max, size: 0, folders: BTreeMap::new(), kept_xattrs: 0 }
    }

    /// Unpacks everything up to the end of the stream.
    pub(super) fn run<R: BufRead>(mut self, mut archive: Archive<R>) -> Result<Extracted> {
        while let Some(entry) = archive.next()? {
            self.entries += 1;
            self.place(entry, &mut archive)?;
            if self.entries + self.tree.implied() as u64 > self.entries_max {
                return Err(Error::exhausted(format!("the archive has more than {} entries", self.entries_max)));
            }
        }
        archive.finish()?;
        self.finish()
    }

    fn place<R: BufRead>(&mut self, entry: Entry, archive: &mut Archive<R>) -> Result<()> {
        match Name::parse(&entry.path)?.meaning()? {
            Meaning::Thing(name) => self.thing(&name, entry, archive),
            Meaning::Whiteout(name) => self.whiteout(&name),
            Meaning::Opaque(name) => {
                let folder = step(self.tree.folder(&name), "open", &name)?;
                step(self.attributes.opaque(folder.fd.as_fd()), "mark as opaque", &name)
            }
            Meaning::Ignored => Ok(()),
        }
    }

    fn thing<R: BufRead>(&mut self, name: &Name, entry: Entry, archive: &mut Archive<R>) -> Result<()> {
        check_names(name, &entry)?;
        if name.is_root() {
            if entry.kind != Kind::Directory {
                return Err(refused(name, "is not a folder"));
            }
            return self.describe(name.clone(), entry);
        }
        let spot = self.tree.spot(name)?;
        let line = match &entry.kind {
            Kind::Directory => return self.directory(&spot, entry),
            Kind::File { size, extents } => self.file(&spot, &entry, (*size, extents.as_deref()), archive)?,
            Kind::Symlink(target) => self.symlink(&spot, &entry, target)?,
            Kind::Hardlink(target) => self.hardlink(&spot, target)?,
            Kind::Character { major, minor } => {
                self.node(&spot, &entry, (FileType::CharacterDevice, *major, *minor))?
            }
            Kind::Block { major, minor } => self.node(&spot, &entry, (FileType::BlockDevice, *major, *minor))?,
            Kind::Fifo => self.node(&spot, &entry, (FileType::Fifo, 0, 0))?,
        };
        self.manifest.add(&spot.name(), &line)
    }

    /// A folder stays where one is already; its attributes are set at the end, when nothing changes its time any more.
    fn directory(&mut self, spot: &Spot<'_>, entry: Entry) -> Result<()> {
        let place = spot.name();
        let make = || rustix::fs::mkdirat(&spot.folder.fd, spot.last, Mode::RWXU);
        let made = make();
        if made == Err(Errno::EXIST) {
            let there = step(spot.stat(), "look at", &place)?;
            if !there.as_ref().is_some_and(is_folder) {
                self.clear(spot)?;
                step(make(), "make folder", &place)?;
                // It hid what the layers below have there, and the new folder goes on hiding it.
                if there.as_ref().is_some_and(is_whiteout) {
                    let opened =
                        step(open_plain(spot.folder.fd.as_fd(), &Name::parse(spot.last)?, FOLDER), "open", &place)?;
                    step(self.attributes.opaque(opened.as_fd()), "mark as opaque", &place)?;
                }
            }
        } else {
            step(made, "make folder", &place)?;
        }
        self.manifest.add(&place, &Line::Directory)?;
        self.describe(place, entry)
    }

    fn describe(&mut self, folder: Name, entry: Entry) -> Result<()> {
        self.kept_xattrs += entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if self.kept_xattrs > KEPT_XATTRS {
            let text = format!("the archive's folders have more than {KEPT_XATTRS} bytes of extended attributes");
            return Err(Error::exhausted(text));
        }
        self.folders.insert(folder, entry);
        Ok(())
    }

    fn file<R: BufRead>(
        &mut self,
        spot: &Spot<'_>,
        entry: &Entry,
        (size, extents): (u64, Option<&[Extent]>),
        archive: &mut Archive<R>,
    ) -> Result<Line> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = self.instead(spot, || rustix::fs::openat(&spot.folder.fd, spot.last, flags, mode))?;
        let file = File::from(file);
        let whole = [Extent { offset: 0, length: size }];
        let mut hasher = Fingerprinter::default();
        for extent in extents.unwrap_or(&whole) {
            self.size += extent.length;
            archive
                .copy_to(&file, *extent, || "write".to_owned(), |piece| hasher.update(piece))
                .context(|| format!("write {}", spot.name()))?;
        }
        if extents.is_some() {
            file.set_len(size).context(|| format!("write {}", spot.name()))?;
        }
        step(self.attributes.set(file.as_fd(), entry), "set attributes of", &spot.name())?;
        if size >= LARGE {
            // Whether it does is for the sync to find out.
            let _ = dhow_sys::writeback::begin(&file, 0, size);
        }
        Ok(match extents {
            None => Line::File { size, fingerprint: hasher.finish() },
            Some(_) => Line::Special,
        })
    }

    /// The target is kept as written: it is followed by the container, in the container.
    fn symlink(&mut self, spot: &Spot<'_>, entry: &Entry, target: &[u8]) -> Result<Line> {
        let place = || spot.name();
        if target.is_empty() || target.contains(&0) {
            return Err(refused(&place(), "is a link with a bad target"));
        }
        self.instead(spot, || rustix::fs::symlinkat(target, &spot.folder.fd, spot.last))?;
        step(self.attributes.set_at(spot, entry, false), "set attributes of", &place())?;
        Ok(Line::Symlink(target.to_vec()))
    }

    fn hardlink(&mut self, spot: &Spot<'_>, target: &[u8]) -> Result<Line> {
        let place = spot.name();
        let target = Name::parse(target)?;
        let missing = |error: Error| match error.class() {
            Class::NotFound => refused(&place, &format!("links to {target}, which is not in it")),
            _ => error,
        };
        let other = self.tree.existing_spot(&target).map_err(missing)?;
        if other.name() == place {
            return Ok(Line::Hardlink);
        }
        match step(other.stat(), "look at", &target)? {
            None => return Err(refused(&place, &format!("links to {target}, which is not in it"))),
            Some(stat) if is_folder(&stat) => return Err(refused(&place, "is a hard link to a folder")),
            Some(_) => {}
        }
        self.instead(spot, || {
            rustix::fs::linkat(&other.folder.fd, other.last, &spot.folder.fd, spot.last, AtFlags::empty())
        })?;
        Ok(Line::Hardlink)
    }

    fn node(&mut self, spot: &Spot<'_>, entry: &Entry, (kind, major, minor): (FileType, u32, u32)) -> Result<Line> {
        let make = || {
            let device = rustix::fs::makedev(major, minor);
            rustix::fs::mknodat(&spot.folder.fd, spot.last, kind, Mode::RUSR | Mode::WUSR, device)
        };
        let place = || spot.name();
        match self.instead(spot, make) {
            Err(error) if error.os_error() == Some(Errno::PERM.raw_os_error()) && !self.attributes.is_privileged() => {
                self.attributes.refused_devices += 1;
            }
            result => {
                result?;
                step(self.attributes.set_at(spot, entry, true), "set attributes of", &place())?;
            }
        }
        Ok(Line::Special)
    }

    /// A whiteout speaks of the layers below only: what this layer has under the name stays, whichever came first.
    fn whiteout(&mut self, name: &Name) -> Result<()> {
        let spot = self.tree.spot(name)?;
        let place = spot.name();
        match step(spot.stat(), "look at", &place)? {
            None => {}
            Some(stat) if is_folder(&stat) => {
                let opened = step(self.tree.folder(name), "open", &place)?;
                return step(self.attributes.opaque(opened.fd.as_fd()), "mark as opaque", &place);
            }
            Some(_) => return Ok(()),
        }
        let device = rustix::fs::makedev(0, 0);
        match rustix::fs::mknodat(&spot.folder.fd, spot.last, FileType::CharacterDevice, Mode::empty(), device) {
            Err(Errno::PERM) => step(self.whiteout_file(&spot), "make whiteout", &place)?,
            result => step(result, "make whiteout", &place)?,
        }
        self.manifest.add(&place, &Line::Whiteout)
    }

    /// Where the kernel refuses the device: an empty file with an attribute, in a folder whose attribute says that there
    /// are such files (Documentation/filesystems/overlayfs.rst, "Whiteouts and opaque directories"; Linux 6.7).
    fn whiteout_file(&self, spot: &Spot<'_>) -> Result<(), Errno> {
        let prefix = self.attributes.namespace.prefix();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        drop(rustix::fs::openat(&spot.folder.fd, spot.last, flags, Mode::empty())?);
        let path = spot.path();
        rustix::fs::lsetxattr(path, format!("{prefix}whiteout"), b"y", XattrFlags::empty())?;
        match rustix::fs::fsetxattr(&spot.folder.fd, format!("{prefix}opaque"), b"x", XattrFlags::CREATE) {
            // It is "x" already, or "y": then nothing shows through anyway.
            Err(Errno::EXIST) => Ok(()),
            result => result,
        }
    }

    /// Makes something; if something else has the name, instead of that.
    fn instead<T>(&mut self, spot: &Spot<'_>, make: impl Fn() -> Result<T, Errno>) -> Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                self.clear(spot)?;
                step(make(), "make", &spot.name())
            }
            result => step(result, "make", &spot.name()),
        }
    }

    fn clear(&mut self, spot: &Spot<'_>) -> Result<()> {
        let gone = spot.name();
        self.folders.remove(&gone);
        gone.remove_below(&mut self.folders);
        self.tree.clear(spot)
    }

    fn finish(mut self) -> Result<Extracted> {
        let root = self.tree.root().clone();
        let mut implied = Vec::new();
        // Deepest first: what was done to a folder's contents must not change it any more.
        for (name, entry) in self.folders.iter().rev() {
            let set =
                open_plain(root.fd.as_fd(), name, FOLDER).and_then(|folder| self.attributes.set(folder.as_fd(), entry));
            step(set, "set attributes of", name)?;
        }
        for name in self.tree.into_implied() {
            if !self.folders.contains_key(&name) {
                // The process's umask may have closed it.
                let set = open_plain(root.fd.as_fd(), &name, FOLDER)
                    .and_then(|folder| rustix::fs::fchmod(folder, Mode::from_raw_mode(0o755)));
                step(set, "set permissions of", &name)?;
                implied.push(name);
            }
        }
        self.manifest.finish()?;
        let described = self.folders.keys().next().is_some_and(Name::is_root);
        Ok(Extracted { size: self.size, implied, root: described, notes: self.attributes.notes() })
    }
}
