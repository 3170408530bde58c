//! Whose an anonymous volume is: the file `made-for` beside its record names the container that it was made for.
//!
//! It is there before the container's record and goes before it, unless the volume shall go with the container: so an
//! engine that was killed between the two leaves no volume that nobody would ever remove. It is a file of its own because a
//! full disk must keep nobody from deleting it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};

use super::Volumes;
use crate::core::Core;
use crate::create::{Mount, Source};

const FILE: &str = "made-for";

/// Writes down in a volume's folder whose it is.
pub(super) fn write(folder: &Path, container: &str) -> Result<()> {
    let path = folder.join(FILE);
    fs::write(&path, container).context(|| format!("write {}", path.display()))
}

/// The volumes among mounts that were made for their container, or for one that it has them from.
pub(super) fn own(mounts: &[Mount]) -> impl Iterator<Item = &str> {
    mounts.iter().filter_map(|mount| match &mount.source {
        Source::Volume { name, anonymous: true, .. } => Some(name.as_str()),
        _ => None,
    })
}

impl Volumes {
    /// It is nobody's from now on.
    pub(super) fn disown(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name).join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context(|| format!("remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    fn owner(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(name).join(FILE)).ok()
    }
}

impl Core {
    /// Has the anonymous volumes of a container that goes stay.
    pub(crate) fn leave_anonymous_volumes(&self, mounts: &[Mount]) -> Result<()> {
        own(mounts).try_for_each(|name| self.volumes.disown(name))
    }

    /// Removes the volumes of containers that are not there: an engine was killed while it made or removed them.
    pub(crate) fn remove_abandoned_volumes(&self, known: &HashSet<String>) {
        for (name, record) in self.volumes.all() {
            // Whoever is being made at this moment holds its volumes.
            if !record.is_anonymous() || self.volumes.owner(&name).is_none_or(|owner| known.contains(&owner)) {
                continue;
            }
            if let Err(error) = self.remove_volume(&name, false, None) {
                tracing::debug!(volume = name, %error, "a volume of a container that is gone stays");
            }
        }
    }
}
