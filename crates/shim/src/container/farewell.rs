//! The hooks `poststop`: what a container has left on the host is theirs to undo.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{ContainerStatus, Hook, State};
use dhow_runtime::hooks;
use rustix::fs::{AtFlags, Mode, OFlags, open, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::place::open_folder;
use crate::protocol::{Launch, MAX_FRAME};

/// What all of them may take together: an engine that waits longer for a shim's end ends it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The file in the run directory that says what is still to be run.
const NAME: &str = "farewell.json";

/// Hooks to be run when nothing is left, and what they are told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Farewell {
    hooks: Vec<Hook>,
    state: State,
    /// The run directory itself.
    #[serde(skip)]
    folder: Option<OwnedFd>,
}

/// Runs the last hooks of a container whose shim was killed before it could, once nothing else is left of it but its run
/// directory; gives what went wrong.
#[must_use]
pub fn say_farewell(run_dir: &Path) -> Vec<String> {
    let path = run_dir.join(NAME);
    let read = read(&path).and_then(|text| Ok(serde_json::from_slice::<Farewell>(&text)?));
    match read {
        Ok(farewell) => Farewell { folder: open_folder(run_dir).ok(), ..farewell }.run(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => vec![format!("read {}: {error}", path.display())],
    }
}

/// Reads what is ours, and nothing that would hold us up or has no end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = Vec::new();
    file.take(MAX_FRAME as u64).read_to_end(&mut text)?;
    Ok(text)
}

impl Farewell {
    /// Writes down what there is to run, before the first hook runs: a shim can be killed at any time.
    pub(super) fn of(launch: &Launch) -> Result<Self> {
        let mut farewell = Self {
            folder: None,
            hooks: launch.spec.hooks.as_ref().map(|hooks| hooks.poststop.clone()).unwrap_or_default(),
            state: State {
                oci_version: launch.spec.oci_version.clone(),
                id: launch.id.clone(),
                status: ContainerStatus::Stopped,
                pid: None,
                bundle: launch.run_dir.clone(),
                annotations: launch.spec.annotations.clone(),
            },
        };
        if farewell.hooks.is_empty() {
            return Ok(farewell);
        }
        farewell.folder = Some(open_folder(&launch.run_dir)?);
        let path = launch.run_dir.join(NAME);
        let json = serde_json::to_vec(&farewell).map_err(|error| Error::internal("encode hooks").with_cause(error))?;
        dhow_sys::atomic::write(&path, &json, 0o600, dhow_sys::atomic::Sync::No)
            .context(|| format!("write {}", path.display()))?;
        Ok(farewell)
    }

    /// Runs them, if nobody else has begun to, and gives what went wrong. One that sweeps while this shim is at it runs none of
    /// them a second time; who is killed amid them leaves it at that.
    pub(super) fn run(&self) -> Vec<String> {
        if self.hooks.is_empty() {
            return Vec::new();
        }
        // In the folder of this run, also where by now another one has its name.
        match self.folder.as_ref().map_or(Err(Errno::NOENT), |folder| unlinkat(folder, NAME, AtFlags::empty())) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Vec::new(),
            Err(error) => return vec![format!("claim {} of {}: {error}", NAME, self.state.bundle.display())],
        }
        let failures = hooks::run_last(&self.hooks, &self.state, Some(PATIENCE));
        failures.iter().map(ToString::to_string).collect()
    }
}
