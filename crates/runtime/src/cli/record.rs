//! A container between two calls: a directory `<root>/<id>`.
//!
//! ```text
//! config.json   the spec as it was at creation; the bundle may change or go
//! start.sock    where the container waits until it is started
//! state.json    this module's Record, replaced whole; without it the directory is what a killed `create` has left
//! ```

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use dhow_cgroups::{Cgroup, Hierarchy};
use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::runtime::{ContainerStatus, Spec, State};
use dhow_sys::atomic::{self, Sync};
use dhow_sys::process::{Stat, field};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

use super::Globals;
use crate::gate;

/// Version of the files' form.
const FORMAT: u32 = 1;

/// What is written down about a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) pid: i32,
    /// When the process was started, in ticks since boot: with the pid it names a process for good.
    start_time: u64,
    /// RFC 3339.
    pub(crate) created: String,
    pub(crate) cgroup: Option<String>,
    pub(crate) owner: u32,
}

/// A container on disk.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) directory: PathBuf,
    pub(crate) record: Record,
}

/// Claims an id by making its directory.
pub(crate) fn claim(globals: &Globals, id: &str) -> Result<PathBuf> {
    check_id(id)?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o711).create(&globals.root).context(|| format!("make {}", globals.root.display()))?;
    let directory = globals.root.join(id);
    match builder.recursive(false).create(&directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Error::already_exists(format!("container with id exists: {id}")))
        }
        result => result.context(|| format!("make {}", directory.display())).map(|()| directory),
    }
}

/// An id becomes a file name: no path, nothing hidden.
fn check_id(id: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if id.is_empty() || id.starts_with('.') || id.len() > 255 || !id.bytes().all(plain) {
        return Err(Error::invalid(format!("invalid container id {id:?}")));
    }
    Ok(())
}

impl Record {
    /// A record of a process that was just made.
    pub(crate) fn new(id: &str, bundle: &Path, spec: &Spec, pid: i32, cgroup: Option<String>) -> Self {
        let root = spec.root.as_ref().map(|root| root.path.as_path()).unwrap_or(Path::new("rootfs"));
        Self {
            format: FORMAT,
            id: id.to_owned(),
            bundle: bundle.to_path_buf(),
            rootfs: bundle.join(root),
            pid,
            start_time: start_time(pid).unwrap_or_default(),
            created: jiff::Timestamp::now().to_string(),
            cgroup,
            owner: rustix::process::getuid().as_raw(),
        }
    }

    /// Writes the record, beside the spec.
    pub(crate) fn save(&self, directory: &Path) -> Result<()> {
        write_json(&directory.join("state.json"), self)
    }
}

/// Writes the spec: before anything else is made, so that what a killed `create` leaves can be found and removed.
pub(crate) fn save_spec(directory: &Path, spec: &Spec) -> Result<()> {
    write_json(&directory.join("config.json"), spec)
}

/// What is there of a container whose `create` has not come to its end.
#[derive(Debug)]
pub(crate) struct HalfMade {
    pub(crate) directory: PathBuf,
    /// Its path; `None`: it was not even written down, so it is not made.
    cgroup: Option<String>,
}

/// The directory of an id that has no record yet, or one that cannot be read.
pub(crate) fn half_made(globals: &Globals, id: &str) -> Result<Option<HalfMade>> {
    check_id(id)?;
    let directory = globals.root.join(id);
    let record = read_json::<serde_json::Value>(&directory.join("state.json"));
    if !directory.is_dir() || record.is_ok() {
        return Ok(None);
    }
    let spec: Spec = read_json(&directory.join("config.json")).unwrap_or_default();
    Ok(Some(HalfMade { directory, cgroup: spec.linux.and_then(|linux| linux.cgroups_path) }))
}

impl HalfMade {
    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        open_cgroup(self.cgroup.as_deref())
    }
}

fn open_cgroup(path: Option<&str>) -> Result<Option<Cgroup>> {
    let Some(path) = path else { return Ok(None) };
    match Cgroup::open(&Hierarchy::detect()?, path) {
        Err(error) if error.class() == Class::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_vec(value).map_err(|error| Error::internal("write JSON").with_cause(error))?;
    // Below /run as a rule: a power cut ends the container too.
    atomic::write(path, &text, 0o600, Sync::No).context(|| format!("write {}", path.display()))
}

/// Reads a JSON file.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| {
        let damaged = if error.is_eof() || error.is_syntax() { Class::DataLoss } else { Class::InvalidArgument };
        Error::new(damaged, format!("read {}", path.display())).with_cause(error)
    })
}

impl Container {
    /// Finds a container.
    pub(crate) fn load(globals: &Globals, id: &str) -> Result<Self> {
        check_id(id)?;
        let directory = globals.root.join(id);
        let record: Record = read_json(&directory.join("state.json")).map_err(|error| match error.class() {
            Class::NotFound => Error::not_found(format!("container {id:?} does not exist")),
            _ => error,
        })?;
        if record.format != FORMAT {
            return Err(Error::invalid(format!("container {id:?} was made by another version of dhow")));
        }
        Ok(Self { directory, record })
    }

    /// The spec it was created with.
    pub(crate) fn spec(&self) -> Result<Spec> {
        read_json(&self.directory.join("config.json"))
    }

    /// The socket at which it waits for its start.
    pub(crate) fn gate(&self) -> PathBuf {
        self.directory.join("start.sock")
    }

    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        open_cgroup(self.record.cgroup.as_deref())
    }

    /// A descriptor of its first process; `None` when that has ended, even if its number is in use again.
    pub(crate) fn process(&self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.record.pid)?, PidfdFlags::empty()).ok()?;
        // Asked after the descriptor was opened, so that the answer is about the same process.
        (start_time(self.record.pid)? == self.record.start_time).then_some(pidfd)
    }

    /// Where it is in its life.
    pub(crate) fn status(&self) -> Result<ContainerStatus> {
        if self.process().is_none() {
            return Ok(ContainerStatus::Stopped);
        }
        if gate::is_open(&self.gate())? {
            return Ok(ContainerStatus::Created);
        }
        let frozen = self.cgroup()?.map(|cgroup| cgroup.is_frozen()).transpose()?.unwrap_or(false);
        Ok(if frozen { ContainerStatus::Paused } else { ContainerStatus::Running })
    }

    /// The document of `state` and of hooks.
    pub(crate) fn state(&self, spec: &Spec, status: ContainerStatus) -> State {
        State {
            oci_version: spec.oci_version.clone(),
            id: self.record.id.clone(),
            status,
            pid: (status != ContainerStatus::Stopped).then_some(self.record.pid),
            bundle: self.record.bundle.clone(),
            annotations: spec.annotations.clone(),
        }
    }
}

/// The start time of a process that has not ended: of a zombie there is none.
fn start_time(pid: i32) -> Option<u64> {
    let stat = Stat::of(pid).ok()?;
    let state: char = stat.get(field::STATE)?;
    if matches!(state, 'Z' | 'X' | 'x') { None } else { stat.get(field::BEGAN) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use rustix::process::{Pid, WaitId, WaitIdOptions};

    use super::*;

    #[test]
    fn ids_are_file_names() {
        for good in ["a", "0f3e", "a_b-c.d+e"] {
            assert!(check_id(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", ".x", "a/b", "a b", "ä"] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn who_has_ended_has_no_start_time() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = child.id() as i32;
        assert!(start_time(pid).is_some());
        child.kill().unwrap();
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::Pid(Pid::from_raw(pid).unwrap()), ended).unwrap();
        assert_eq!(start_time(pid), None, "a zombie");
        child.wait().unwrap();
        assert_eq!(start_time(pid), None);
    }
}
