//! Folders beside the volumes, in which something is made that becomes a volume, or the content of one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::atomic;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Record, Volumes, check_name, lock, make, names_to_disk};
use crate::core::Core;
use crate::create::random_id;

/// Such a folder. It goes with this, unless it has become something; when the engine is killed, the next one removes it.
pub(super) struct Scratch {
    core: Arc<Core>,
    path: PathBuf,
}

impl Scratch {
    /// An empty one; `what` is for people who look.
    pub(super) fn new(core: &Arc<Core>, what: &str) -> Result<Self> {
        let this = Self { core: Arc::clone(core), path: core.volumes.scratch_name(what) };
        make_folders(&this.path)?;
        Ok(this)
    }

    /// Whether a folder beside the volumes is one of these. Others with a dot are an administrator's.
    pub(super) fn is_name(name: &str) -> bool {
        name.starts_with('.') && name.contains(':')
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the content is made.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("_data")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.core.store.discard(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "what was made beside the volumes stays until the next start");
        }
    }
}

/// As a volume has them: whoever knows a volume gets to its content, and nobody to a list of them.
pub(super) fn make_folders(folder: &Path) -> Result<()> {
    make(folder, 0o701)?;
    make(&folder.join("_data"), 0o755).map(drop)
}

impl Volumes {
    /// A place for one. No volume can have a colon in its name, so nobody who makes one takes it.
    pub(super) fn scratch_name(&self, what: &str) -> PathBuf {
        self.dir.join(format!(".{what}:{}", random_id()))
    }

    /// The folder becomes a volume, whole. One that somebody named is on the disk when they hear of it; others are as fast as
    /// their containers.
    pub(super) fn publish(&self, name: &str, folder: &Path, record: Record) -> Result<Arc<Record>> {
        check_name(name)?;
        let sync = if record.is_anonymous() { atomic::Sync::No } else { atomic::Sync::Yes };
        record.write(folder, sync)?;
        let target = self.dir.join(name);
        if target.exists() {
            let text = format!("{} is there, but this engine cannot read what volume it is", target.display());
            return Err(Error::conflict(text).with_hint("the engine's log says why; move the folder away, or mend it"));
        }
        fs::rename(folder, &target).context(|| format!("create {}", target.display()))?;
        let record = Arc::new(record);
        lock(&self.known).insert(name.to_owned(), Arc::clone(&record));
        if sync == atomic::Sync::Yes {
            names_to_disk(&self.dir)?;
        }
        Ok(record)
    }

    /// Lets a folder change places with the content of a volume.
    pub(super) fn exchange(&self, name: &str, new: &Path) -> Result<()> {
        let data = self.data(name);
        // Else what was about to come from an image would come into the new content.
        self.filling(name)?.resume()?;
        make(&data, 0o755)?;
        let swapped = renameat_with(CWD, new, CWD, &data, RenameFlags::EXCHANGE).map_err(io::Error::from);
        swapped.context(|| format!("rename {}", new.display()))?;
        names_to_disk(&self.dir.join(name))
    }
}
