//! The shim's place in the exec root.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{Mode, OFlags, fstat, open};
use serde::{Deserialize, Serialize};

use crate::address;
use crate::protocol::{Launch, VERSION};

/// The container's run directory, with our socket and our description.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    /// The folder itself: as long as we have it, no other one has its number.
    folder: OwnedFd,
}

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

/// A run directory itself, whatever is under its name later.
///
/// # Errors
/// What open(2) says.
pub(super) fn open_folder(run_dir: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(run_dir, flags, Mode::empty()).map_err(io::Error::from);
    folder.context(|| format!("open {}", run_dir.display()))
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
        let place = Self { path: run_dir.to_owned(), folder: open_folder(run_dir)? };
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
        let path = self.path.join(DESCRIPTION);
        fs::write(&path, json).context(|| format!("write {}", path.display()))
    }

    /// Removes the directory with everything in it. One that is there by now in place of ours is the next run's: an engine that
    /// did not find us has swept ours away.
    pub(crate) fn leave(&self) -> Result<()> {
        let removed = match self.is_ours() {
            Ok(true) => fs::remove_dir_all(&self.path),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.context(|| format!("remove {}", self.path.display())),
        }
    }

    fn is_ours(&self) -> io::Result<bool> {
        let (ours, there) = (fstat(&self.folder)?, fs::symlink_metadata(&self.path)?);
        Ok((ours.st_dev, ours.st_ino) == (there.dev(), there.ino()))
    }
}
