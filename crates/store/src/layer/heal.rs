//! Putting back what is damaged in an unpacked layer, from the archive it came from.
//!
//! Containers may stand on the layer: what is not damaged is not touched, and contents are written into the files that
//! are there, so that all their names and whoever has them open see them.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{AtFlags, FileType, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::inherit::inherit;
use super::manifest::{self, Depth};
use super::name::Name;
use super::tree::{FOLDER, open_plain};
use super::{Layers, UnpackOptions, Unpacked};
use crate::metadata::LayerRecord;

/// Heals a layer from its archive, and compares again.
pub(super) fn run(layers: &Layers, layer: &LayerRecord, archive: impl Read + Send) -> Result<()> {
    let options = UnpackOptions { diff_id: Some(layer.diff_id), ..UnpackOptions::default() };
    let fresh = layers.unpack(archive, &options)?;
    let below = match &layer.parent {
        Some(parent) => layers.metadata.chain(parent)?,
        None => Vec::new(),
    };
    let below: Vec<_> = below.iter().map(|layer| layers.diff(layer)).collect();
    from(layers, layer, &fresh, &below)
}

/// Whether everything of a layer is as it was unpacked.
pub(super) fn is_whole(layers: &Layers, layer: &LayerRecord) -> bool {
    layers.verify(layer).is_ok_and(|damage| damage.is_empty())
}

/// Heals a layer from another copy of it, and compares again. `below`: the folders of the layers under it, top first.
pub(super) fn from(layers: &Layers, layer: &LayerRecord, fresh: &Unpacked<'_>, below: &[PathBuf]) -> Result<()> {
    inherit(&fresh.diff(), fresh.implied(), below)?;
    replace(layers, layer, fresh)?;
    let left = layers.verify(layer)?;
    if left.is_empty() {
        // What was healed was changed, but is as it was unpacked.
        let manifest = File::options().write(true).open(layers.folder(layer.number).join("manifest"));
        manifest.and_then(|file| file.set_modified(SystemTime::now())).context(|| "touch the layer's manifest")?;
    }
    let dir = File::open(&layers.dir).context(|| "open the layers")?;
    rustix::fs::syncfs(&dir).map_err(io::Error::from).context(|| "sync the layers")?;
    match left.first() {
        None => Ok(()),
        Some(damage) => Err(Error::data_loss(format!("{} {}", damage.path.display(), damage.what))),
    }
}

fn replace(layers: &Layers, layer: &LayerRecord, fresh: &Unpacked<'_>) -> Result<()> {
    let folder = layers.folder(layer.number);
    let step = || format!("heal {}", folder.display());
    let (manifest, diff) = (folder.join("manifest"), folder.join("diff"));
    std::fs::create_dir_all(&folder).context(step)?;
    std::fs::copy(fresh.diff().with_file_name("manifest"), &manifest).context(step)?;
    if !diff.is_dir() {
        return std::fs::rename(fresh.diff(), &diff).context(step);
    }
    let open = |path: &Path| File::open(path).context(step);
    let mend = Mend { layers, old: open(&diff)?, new: open(&fresh.diff())? };
    for (name, _) in manifest::compare_all(&manifest, &mend.old, Depth::Contents)? {
        mend.one(&name).context(|| format!("heal {name}"))?;
    }
    Ok(())
}

/// A damaged tree and a fresh one.
struct Mend<'a> {
    layers: &'a Layers,
    old: File,
    new: File,
}

impl Mend<'_> {
    fn one(&self, name: &Name) -> io::Result<()> {
        if is_file(self.old.as_fd(), name) && is_file(self.new.as_fd(), name) {
            match self.rewrite(name) {
                // A program that runs: its file gives way to another one.
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {}
                done => return done,
            }
        }
        self.exchange(name)
    }

    fn rewrite(&self, name: &Name) -> io::Result<()> {
        let mut from = File::from(open_plain(self.new.as_fd(), name, OFlags::RDONLY | OFlags::NOFOLLOW)?);
        let mut to = File::from(open_plain(self.old.as_fd(), name, OFlags::WRONLY | OFlags::NOFOLLOW)?);
        let times = times(&from)?;
        to.set_len(0)?;
        to.rewind()?;
        io::copy(&mut from, &mut to)?;
        to.flush()?;
        Ok(rustix::fs::futimens(&to, &times)?)
    }

    /// Takes away what is there and moves the fresh one to its place.
    fn exchange(&self, name: &Name) -> io::Result<()> {
        let ((_, last), parent) = (name.split(), name.parent());
        if name.is_root() {
            return Ok(());
        }
        let (from, to) = match (folder(&self.new, &parent), folder(&self.old, &parent)) {
            (Ok(from), Ok(to)) => (from, to),
            // The folder itself came, with all that is in it.
            (Err(Errno::NOENT), _) => return Ok(()),
            (Err(error), _) | (_, Err(error)) => return Err(error.into()),
        };
        if rustix::fs::statat(&from, last, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return Ok(());
        }
        let aside = format!("new-{}", self.layers.next.fetch_add(1, Ordering::Relaxed));
        let layers = File::open(&self.layers.dir)?;
        match rustix::fs::renameat(&to, last, &layers, aside.as_str()) {
            Ok(()) => drop(self.layers.trash.discard(&self.layers.dir.join(aside))),
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(rustix::fs::renameat(&from, last, &to, last)?)
    }
}

fn folder(root: &File, name: &Name) -> Result<OwnedFd, Errno> {
    open_plain(root.as_fd(), name, FOLDER)
}

fn is_file(root: BorrowedFd<'_>, name: &Name) -> bool {
    let found = open_plain(root, name, OFlags::PATH | OFlags::NOFOLLOW).and_then(|it| rustix::fs::fstat(&it));
    found.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

fn times(file: &File) -> io::Result<Timestamps> {
    let stat = rustix::fs::fstat(file)?;
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    Ok(Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec.cast_signed()),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
    })
}
