//! Local volumes: `volumes/<name>/_data` in the data root.
//!
//! Just as much as containers need: a volume is made when a container first mentions it, filled from the image while it
//! is empty, and an anonymous one goes with its container if that is asked for.

mod fill;
mod filling;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Result, ResultExt};
use dhow_store::Store;

use crate::create::{Mount, Source};
use crate::rootfs::Root;

/// The folder of all volumes.
#[derive(Debug)]
pub(crate) struct Volumes {
    dir: PathBuf,
}

impl Volumes {
    pub(crate) fn open(data_root: &Path) -> Result<Self> {
        let dir = data_root.join("volumes");
        make(&dir, 0o711)?;
        for volume in fs::read_dir(&dir).context(|| format!("list {}", dir.display()))?.flatten() {
            if let Err(error) = filling::resume(&volume.path()) {
                // Whoever mounts it tries again.
                tracing::warn!(%error, "a volume that was being filled");
            }
        }
        Ok(Self { dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the content of a volume is.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("_data")
    }

    /// Makes the volumes that are mentioned and not there, and fills empty ones from the image's files at their place.
    /// `root` is opened only if there is something to fill. Tells `made` about each that was not there.
    pub(crate) fn prepare(&self, mounts: &[Mount], root: impl Fn() -> Result<Root>, made: impl Fn(&str)) -> Result<()> {
        for mount in mounts {
            let Source::Volume { name, copy, subpath, .. } = &mount.source else { continue };
            let (volume, data) = (self.dir.join(name), self.data(name));
            if make(&volume, 0o701)? {
                made(name);
            }
            make(&data, 0o755)?;
            filling::resume(&volume)?;
            if *copy && subpath.is_empty() && filling::is_empty(&data)? {
                let copy = |target: &Path| fill::from_image(&root()?, &mount.destination, target);
                filling::fill(&volume, copy).context(|| format!("fill volume {name} from {}", mount.destination))?;
            }
        }
        Ok(())
    }

    /// Removes the anonymous volumes among the mounts; tells `removed` about each.
    pub(crate) fn remove_anonymous(&self, mounts: &[Mount], store: &Store, removed: impl Fn(&str)) -> Result<()> {
        for mount in mounts {
            if let Source::Volume { name, anonymous: true, .. } = &mount.source
                && store.discard(&self.dir.join(name))?
            {
                removed(name);
            }
        }
        Ok(())
    }
}

/// Makes a folder that may be there already; says whether it was not.
fn make(dir: &Path, mode: u32) -> Result<bool> {
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        result => result.map(|()| true).context(|| format!("create {}", dir.display())),
    }
}
