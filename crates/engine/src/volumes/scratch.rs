//! Folders beside the volumes, in which something is made that becomes a volume, or the content of one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_errdefs::Result;

use super::{Volumes, make};
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
        make(&this.path, 0o700)?;
        make(&this.data(), 0o755)?;
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

impl Volumes {
    /// A place for one. No volume can have a colon in its name, so nobody who makes one takes it.
    pub(super) fn scratch_name(&self, what: &str) -> PathBuf {
        self.dir.join(format!(".{what}:{}", random_id()))
    }
}
