//! Backups of volumes: a tar of what is in one, or an image with it (docs/design/0021).
//!
//! A backup is of one moment. Its containers are frozen only while a copy is made beside the volumes; the reader of the
//! archive, who may be slow or never come back, gets the copy. Copies of engines that were killed go when the next one
//! opens, as do all scratch folders among the volumes.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use dhow_archive::{Exact, Meaning, Packer, View};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_image::VolumeBackup;
use dhow_oci::{Digest, Reference};
use rustix::fs::Stat;

use super::copies::{SNAPSHOT_OF, at_one_moment, without_anonymity};
use super::scratch::Scratch;
use crate::core::Core;
use crate::create::random_id;
use crate::engine::to_the_end;
use crate::files::{WatchedSink, answered, start_thread};
use crate::watch::{Watch, watched};
use crate::{ArchiveSink, Engine};

/// What an archive of a volume is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VolumeFormat {
    /// A tar of what is in it.
    #[default]
    Tar,
    /// An OCI layout with an image of one layer.
    Oci,
}

impl Engine {
    /// Writes an archive of a volume. Returns when it has begun; what follows, or what cuts it, goes into the sink.
    /// `live`: nothing is frozen or copied, the archive has what is found while it is written.
    ///
    /// # Errors
    /// `NotFound`; `ResourceExhausted` if there is no room for the copy. Then the sink is not used.
    pub async fn volume_backup(
        &self,
        name: &str,
        (format, live): (VolumeFormat, bool),
        sink: Box<dyn ArchiveSink>,
    ) -> Result<()> {
        let backup = to_the_end(Backup::take(Arc::clone(&self.core), name.to_owned(), live)).await?;
        let watch = self.core.volumes.watch();
        let (sink, answer) = WatchedSink::new(&watch, sink);
        let end = start_thread(watch.clone(), move |watch| {
            let mut sink = FirstByte(sink);
            let written = match format {
                VolumeFormat::Tar => backup.write(&Exact, &mut sink, watch),
                VolumeFormat::Oci => backup.save(&mut sink, watch),
            };
            if written.is_ok() {
                backup.tell();
            }
            drop(backup);
            sink.0.finish(written);
        })?;
        answered(watch, answer, end).await
    }

    /// Makes an image of a volume, to be pushed, say; its ID is the answer.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for a name that cannot be given, and for files that no layer can hold;
    /// `ResourceExhausted` when the disk is full.
    pub async fn volume_backup_image(&self, name: &str, live: bool, reference: &Reference) -> Result<Digest> {
        let core = Arc::clone(&self.core);
        let backup = to_the_end(Backup::take(Arc::clone(&core), name.to_owned(), live)).await?;
        let reference = reference.clone();
        watched(self.core.volumes.patience(), move |watch| {
            let write = |out: &mut dyn Write| backup.write(&AsLayer, out, watch);
            let id = core.images.keep_volume(&backup.described()?, &reference, write)?;
            core.image_event("import", &id, None);
            core.image_event("tag", &id, Some(&reference.familiar()));
            backup.tell();
            Ok(id)
        })
        .await
    }
}

/// A backup that is being made, and the copy that it is of, which goes with it.
struct Backup {
    core: Arc<Core>,
    name: String,
    /// Not there: it is of the volume itself, as it is found.
    copy: Option<Scratch>,
}

impl Backup {
    async fn take(core: Arc<Core>, name: String, live: bool) -> Result<Self> {
        core.volumes.find(&name)?;
        let backup = Self { core: Arc::clone(&core), name: name.clone(), copy: None };
        if live {
            return Ok(backup);
        }
        let taken = at_one_moment(&core, (&name, None), |copy| Ok(Self { copy: Some(copy), ..backup })).await;
        taken.context(|| format!("back up {name}"))
    }

    /// With the folder of the volume's content, which nobody removes or unmounts meanwhile.
    fn with_volume<T>(&self, watch: &Watch, work: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let volumes = &self.core.volumes;
        let _hold = volumes.hold([self.name.clone()]);
        let user = format!("backup-{}", random_id());
        volumes.outlast_turn(&self.name, watch)?;
        let attached = volumes.borrow(&self.name, &user, watch)?;
        // What comes from an image comes whole.
        drop(volumes.fills.take_watched(&self.name, watch)?);
        work(&attached.content)
    }

    /// Writes the tar. It is given up only while it reads a volume that may be elsewhere: a copy is on the engine's own disk,
    /// and so is what becomes of the tar.
    fn write(&self, view: &dyn View, out: &mut dyn Write, watch: &Watch) -> Result<()> {
        let mut pack = |content: &Path| {
            let folder = File::open(content).context(|| format!("open {}", content.display()))?;
            let mut packer = Packer::new(BufWriter::with_capacity(128 << 10, Going(out, watch)), view);
            packer.folder(folder.into(), b".")?;
            packer.finish().map(drop)
        };
        match &self.copy {
            Some(copy) => watch.take_effect().and_then(|()| pack(&copy.data())),
            None => self.with_volume(watch, pack).and_then(|()| watch.take_effect()),
        }
    }

    /// Writes the OCI layout.
    fn save(&self, out: &mut dyn Write, watch: &Watch) -> Result<()> {
        self.core.images.save_volume(&self.described()?, |layer| self.write(&AsLayer, layer, watch), out)
    }

    fn described(&self) -> Result<VolumeBackup> {
        let labels = self.core.volumes.find(&self.name)?.labels.clone();
        let mut labels = labels.map(without_anonymity).unwrap_or_default();
        // What is made of a backup is no snapshot.
        labels.remove(SNAPSHOT_OF);
        Ok(VolumeBackup { name: self.name.clone(), labels })
    }

    fn tell(&self) {
        self.core.tell_of_volume("backup", &self.name, &[]);
    }
}

/// A tree that becomes the layer of an image.
struct AsLayer;

impl View for AsLayer {
    fn meaning(&self, _: BorrowedFd<'_>, name: &CStr, _: &Stat) -> Result<Meaning> {
        if name.to_bytes().starts_with(b".wh.") {
            let name = name.to_string_lossy();
            let text = format!("an image cannot hold {name:?}: names with .wh. in front mean whiteouts");
            return Err(Error::invalid(text).with_hint("back it up as a tar"));
        }
        Ok(Meaning::Thing)
    }

    fn keeps_holes(&self) -> bool {
        true
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// Tells that work goes on with each piece that is written.
struct Going<'a>(&'a mut dyn Write, &'a Watch);

impl Write for Going<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.go_on().map_err(io::Error::other)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A sink whose first byte is announced: until then a failure can be answered with words.
struct FirstByte(WatchedSink<()>);

impl Write for FirstByte {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.announce(()).map_err(io::Error::other)?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
