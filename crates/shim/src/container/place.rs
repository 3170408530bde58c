//! The shim's place in the exec root.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use serde::Serialize;

use crate::address;
use crate::protocol::VERSION;

/// The container's run directory, with our socket and our description.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

/// What `shim.json` holds: for people and for engines of other versions.
#[derive(Serialize)]
struct Description<'a> {
    version: u32,
    id: &'a str,
    pid: u32,
}

impl Place {
    /// Makes the directory and listens in it.
    pub(crate) fn take(run_dir: &Path, id: &str) -> Result<(Self, UnixListener)> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(run_dir)
            .context(|| format!("make {}", run_dir.display()))?;
        let place = Self(run_dir.to_owned());
        let listener =
            address::listen(run_dir, address::NAME).and_then(|listener| place.describe(id).map(|()| listener));
        match listener {
            Ok(listener) => Ok((place, listener)),
            Err(error) => {
                // The first error is the one to be told.
                let _ = place.leave();
                Err(error)
            }
        }
    }

    fn describe(&self, id: &str) -> Result<()> {
        let description = Description { version: VERSION, id, pid: std::process::id() };
        let json =
            serde_json::to_vec(&description).map_err(|error| Error::internal("encode shim.json").with_cause(error))?;
        let path = self.0.join("shim.json");
        fs::write(&path, json).context(|| format!("write {}", path.display()))
    }

    /// Removes the directory with everything in it.
    pub(crate) fn leave(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result.context(|| format!("remove {}", self.0.display())),
        }
    }
}
