//! A layer between the archive and the record.

use std::fs;
use std::io::BufRead;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use dhow_archive::Archive;
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;

use super::attributes::Attributes;
use super::extract::{Extracted, Extractor};
use super::manifest::Manifest;
use super::name::Name;
use super::tree::Tree;
use super::{Layers, Limits, UnpackOptions, pipeline};
use crate::room::Room;

/// A layer that is unpacked and verified but not recorded; gone when dropped.
#[derive(Debug)]
pub struct Unpacked<'a> {
    pub(super) layers: &'a Layers,
    /// `layers/new-<number>` until it is recorded.
    folder: PathBuf,
    diff_id: Digest,
    extracted: Extracted,
    kept: bool,
}

impl Unpacked<'_> {
    /// The digest of the uncompressed tar.
    #[must_use]
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }

    /// Bytes of file contents.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.extracted.size
    }

    /// What could not be made as the archive said, because this process may not (devices, owners): for the person.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.extracted.notes
    }

    pub(super) fn diff(&self) -> PathBuf {
        self.folder.join("diff")
    }

    pub(super) fn implied(&self) -> &[Name] {
        &self.extracted.implied
    }

    /// Whether the archive said what the root is like.
    pub(super) fn describes_root(&self) -> bool {
        self.extracted.root
    }

    /// Gives it its final place. The caller answers for it from now on.
    pub(super) fn keep(mut self, target: &Path) -> Result<()> {
        fs::rename(&self.folder, target)
            .context(|| format!("rename {} to {}", self.folder.display(), target.display()))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Unpacked<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // If even that fails, the next start finds it.
            let _ = self.layers.trash.discard(&self.folder);
        }
    }
}

/// Unpacks an archive into a new folder.
pub(super) fn run<'a>(
    layers: &'a Layers,
    archive: impl BufRead + Send,
    options: &UnpackOptions,
) -> Result<Unpacked<'a>> {
    let new = New::create(layers)?;
    let extractor = new.extractor(options.limits.entries)?;
    let room = match options.limits.bytes {
        Some(bytes) => Room::limited(bytes),
        None => Room::on_disk(&layers.dir)?,
    };
    let lenient = options.diff_id.is_some();
    let (extracted, diff_id) =
        pipeline::run(archive, &options.limits, room, |tar| extractor.run(Archive::new(tar, lenient)))?;
    match options.diff_id {
        Some(expected) if expected != diff_id => {
            Err(Error::data_loss(format!("layer has digest {diff_id}, expected {expected}")))
        }
        _ => Ok(new.unpacked(diff_id, extracted)),
    }
}

/// Unpacks a tar of that many bytes into a new folder, on this thread alone; `digest` is asked at the end for its digest.
pub(super) fn plain<'a>(
    layers: &'a Layers,
    tar: impl BufRead,
    size: u64,
    digest: impl FnOnce() -> Result<Digest>,
) -> Result<Unpacked<'a>> {
    Room::on_disk(&layers.dir)?.check(size, "the archive is").context(|| "unpack a layer")?;
    let new = New::create(layers)?;
    let extracted = new.extractor(Limits::default().entries)?.run(Archive::new(tar, false))?;
    Ok(new.unpacked(digest()?, extracted))
}

/// A folder that goes away again unless it is kept.
struct New<'a> {
    layers: &'a Layers,
    folder: PathBuf,
}

impl<'a> New<'a> {
    fn create(layers: &'a Layers) -> Result<Self> {
        let number = layers.next.fetch_add(1, Ordering::Relaxed);
        let folder = layers.dir.join(format!("new-{number}"));
        fs::DirBuilder::new().mode(0o711).create(&folder).context(|| format!("create {}", folder.display()))?;
        Ok(Self { layers, folder })
    }

    fn extractor(&self, entries: u64) -> Result<Extractor> {
        let tree = Tree::create(&self.folder)?;
        let manifest = Manifest::create(&self.folder.join("manifest"))?;
        Ok(Extractor::new(tree, manifest, Attributes::new(self.layers.namespace), entries))
    }

    fn unpacked(mut self, diff_id: Digest, extracted: Extracted) -> Unpacked<'a> {
        Unpacked { layers: self.layers, folder: std::mem::take(&mut self.folder), diff_id, extracted, kept: false }
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if !self.folder.as_os_str().is_empty() {
            let _ = self.layers.trash.discard(&self.folder);
        }
    }
}
