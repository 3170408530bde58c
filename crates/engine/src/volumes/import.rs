//! Making a volume of an archive, or of an image that is a backup of one: wholly or not at all.
//!
//! The archive is nobody's friend, and may take long to come. It is unpacked into a folder beside the volumes, in which
//! nobody waits for anything; when it has ended well, and is on the disk, the folder becomes the volume, or its content
//! changes places with the volume's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use dhow_archive::{Archive, Owner, Rules};
use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_image::VolumeBackup;
use tokio::runtime::Handle;

use super::copies::to_be_replaced;
use super::scratch::Scratch;
use super::{LOCAL, Record, Volume, VolumeFormat, check_name, to_disk};
use crate::Engine;
use crate::core::Core;
use crate::engine::blocking;

/// A volume that is to be made of something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeImport {
    /// Its name.
    pub name: String,
    /// Its labels, beside those of a backup. A volume that is there takes none.
    pub labels: BTreeMap<String, String>,
    /// Take the place of what is in a volume that is there.
    pub replace: bool,
}

/// What a volume is made of.
pub enum VolumeSource {
    /// An archive; without a format it is a tar, and an OCI layout is refused.
    Archive(Box<dyn Read + Send>, Option<VolumeFormat>),
    /// An image that is here.
    Image(String),
}

impl std::fmt::Debug for VolumeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Image(_)) { "Image" } else { "Archive" })
    }
}

impl Engine {
    /// Makes a volume of what was backed up, or fills one that is empty.
    ///
    /// # Errors
    /// `Conflict` if a volume of that name is not empty and not to be replaced, a container that runs uses it, or it is given
    /// labels;
    /// `InvalidArgument` for a bad archive; `ResourceExhausted` when the disk is full. Nothing is left then.
    pub async fn volume_import(&self, import: VolumeImport, source: VolumeSource) -> Result<Volume> {
        let core = Arc::clone(&self.core);
        blocking(move || {
            let name = import.name.clone();
            core.import_volume(import, source).context(|| format!("import {name}"))
        })
        .await
    }
}

impl Core {
    fn import_volume(self: &Arc<Self>, import: VolumeImport, source: VolumeSource) -> Result<Volume> {
        check_name(&import.name)?;
        {
            let _turn = self.volumes.turns.take_watched(&import.name, &self.volumes.watch())?;
            self.can_import(&import)?;
        }
        let folder = Scratch::new(self, "import")?;
        let known = self.unpack_into(&folder.data(), source)?;
        let new = self.settle(&import, &folder, known)?;
        // What was in the volume before.
        drop(folder);
        let name = import.name.as_str();
        let record = self.volumes.find(name)?;
        if new {
            self.tell_of_volume("create", name, &[]);
        }
        self.tell_of_volume("import", name, &[]);
        Ok(self.volume(name, &record, self.volume_users(name).len()))
    }

    /// Refuses what can be refused before anything has come, and again before it takes its place.
    fn can_import(&self, import: &VolumeImport) -> Result<()> {
        let VolumeImport { name, labels, replace } = import;
        let Some(record) = self.volumes.get(name) else { return Ok(()) };
        if !record.is_plain() {
            return Err(Error::invalid("only volumes in the data root can be imported into"));
        }
        if !self.volumes.is_at_home(name) {
            return Err(Error::invalid(format!("{} is a link or a mount", self.volumes.data(name).display())));
        }
        let empty = self.volumes.filling(name)?.is_empty()?;
        if !empty && record.protected {
            return Err(to_be_replaced(name));
        }
        if !labels.is_empty() {
            return Err(Error::conflict(format!("volume {name} is there already and keeps the labels that it has"))
                .with_hint("leave --label out, or import under another name"));
        }
        if !empty && !replace {
            return Err(Error::conflict(format!("volume {name} is not empty"))
                .with_hint("import under another name, or say --replace"));
        }
        self.is_at_rest(name)
    }

    /// Fills a folder; the labels that the source knows are the answer.
    fn unpack_into(&self, data: &Path, source: VolumeSource) -> Result<BTreeMap<String, String>> {
        let of_image = |backup: VolumeBackup, tar: &mut dyn BufRead| {
            // Its end is known by its digest.
            unpack(Archive::new(tar, true), data)?;
            Ok(backup.labels)
        };
        match source {
            VolumeSource::Image(image) => self.images.volume_of(&image, of_image),
            VolumeSource::Archive(archive, Some(VolumeFormat::Oci)) => {
                self.images.load_volume(archive, of_image).map_err(of_the_upload).map_err(no_layout)
            }
            VolumeSource::Archive(archive, format) => {
                let whole = unpack(Archive::new(dhow_image::inflate(archive)?, false), data);
                whole.map_err(of_the_upload)?;
                if format.is_none() && is_layout(data) {
                    return Err(Error::invalid("this is an OCI layout, not what is in a volume")
                        .with_hint("say --as oci, or --as tar if a volume had it in it"));
                }
                Ok(BTreeMap::new())
            }
        }
    }

    /// Makes the folder the volume, or its content the volume's; says whether the volume is new. `known` are the labels that
    /// came with the content.
    fn settle(&self, import: &VolumeImport, folder: &Scratch, known: BTreeMap<String, String>) -> Result<bool> {
        to_disk(folder.path())?;
        let name = import.name.as_str();
        // Whoever starts with it meanwhile gets the new content.
        let _closed = Handle::current().block_on(self.volumes.close_doors([name].into_iter()))?;
        let _turn = self.volumes.turns.take_watched(name, &self.volumes.watch())?;
        // As it is now, not as it was when the archive began to come.
        self.can_import(import)?;
        if self.volumes.get(name).is_some() {
            return self.volumes.exchange(name, &folder.data()).map(|()| false);
        }
        let mut labels = known;
        labels.extend(import.labels.clone());
        let record = Record::new(LOCAL, (!labels.is_empty()).then_some(labels), None);
        self.volumes.publish(name, folder.path(), record).map(|_| true)
    }
}

fn unpack(mut archive: Archive<impl BufRead>, data: &Path) -> Result<()> {
    let root = File::open(data).context(|| format!("open {}", data.display()))?;
    let rules =
        Rules { owner: Owner::Archived, keeps_kinds: false, rename: None, exact: true, shown: "the volume".to_owned() };
    dhow_archive::unpack(&mut archive, root.as_fd(), b"", &rules)?;
    archive.finish()
}

/// A volume of a registry may have one, too; then its archive says so in its format.
fn is_layout(data: &Path) -> bool {
    ["oci-layout", "index.json", "blobs"].iter().all(|name| fs::symlink_metadata(data.join(name)).is_ok())
}

/// The advice for archives that are no image is not for those that are to be a volume.
fn no_layout(error: Error) -> Error {
    if error.class() != Class::InvalidArgument {
        return error;
    }
    error.with_hint("--as oci takes what `volume backup --as oci` writes; a tar of files is imported without it")
}

/// Damage in what a client has sent is the client's, not the engine's.
fn of_the_upload(error: Error) -> Error {
    if error.class() == Class::DataLoss { error.with_class(Class::InvalidArgument) } else { error }
}
