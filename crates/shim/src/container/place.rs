//! The shim's place in the exec root.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use serde::{Deserialize, Serialize};

use crate::address;
use crate::protocol::{Launch, VERSION};

/// The container's run directory, with our socket and our description.
#[derive(Debug)]
pub(crate) struct Place(PathBuf);

/// The description's name in the run directory.
const DESCRIPTION: &str = "shim.json";

/// What `shim.json` holds: for people, for engines of other versions, and for who sweeps what a shim has left.
#[derive(Serialize, Deserialize)]
struct Description {
    version: u32,
    id: String,
    pid: u32,
    /// Not told by shims of before it was asked for.
    #[serde(default)]
    cgroup: Option<String>,
}

/// The cgroup that a shim has made for its container, or was about to make, as it is written down in its run directory.
#[must_use]
pub fn cgroup_in(run_dir: &Path) -> Option<String> {
    let description: Description = serde_json::from_slice(&fs::read(run_dir.join(DESCRIPTION)).ok()?).ok()?;
    description.cgroup
}

impl Place {
    /// Makes the directory and listens in it.
    pub(crate) fn take(launch: &Launch) -> Result<(Self, UnixListener)> {
        let run_dir = &launch.run_dir;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(run_dir)
            .context(|| format!("make {}", run_dir.display()))?;
        let place = Self(run_dir.to_owned());
        let listener =
            address::listen(run_dir, address::NAME).and_then(|listener| place.describe(launch).map(|()| listener));
        match listener {
            Ok(listener) => Ok((place, listener)),
            Err(error) => {
                // The first error is the one to be told.
                let _ = place.leave();
                Err(error)
            }
        }
    }

    fn describe(&self, launch: &Launch) -> Result<()> {
        let description = Description {
            version: VERSION,
            id: launch.id.clone(),
            pid: std::process::id(),
            cgroup: launch.cgroup.clone(),
        };
        let json =
            serde_json::to_vec(&description).map_err(|error| Error::internal("encode shim.json").with_cause(error))?;
        let path = self.0.join(DESCRIPTION);
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
