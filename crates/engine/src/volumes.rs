//! Volumes: named folders that outlive containers.
//!
//! A volume is a folder `volumes/NAME` in the data root: `volume.json` says what it is, `_data` is what the local driver
//! keeps in it. A volume is made when somebody asks for it or when a container first mentions it, filled from the image
//! while it is empty, and an anonymous one goes with its container if that is asked for.
//!
//! Whoever is about to use a volume [holds](Volumes::hold) it, so that nobody removes it meanwhile; containers that exist
//! use what they mention, whether they run or not. What changes one volume takes [turns](turns); what needs its content to
//! stand still closes its [door](doors).

mod backup;
mod copies;
mod doors;
mod fill;
mod filling;
mod filter;
mod import;
mod local;
mod mounting;
mod name;
mod owner;
mod plugins;
mod prepare;
mod record;
mod removal;
mod scratch;
mod service;
mod turns;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_store::Store;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::Config;
use crate::create::Mount;
use crate::watch::Watch;
use doors::Doors;
use filling::Filling;
use mounting::Uses;
use plugins::Plugins;
use scratch::Scratch;
use turns::Turns;

pub use backup::VolumeFormat;
pub use copies::CopyKind;
pub(crate) use doors::Passage;
pub use import::{VolumeImport, VolumeSource};
pub(crate) use mounting::unmount_all;
pub(crate) use name::check as check_name;
pub use plugins::PluginSettings;
pub(crate) use prepare::Wanted;
pub(crate) use record::Record;
pub(crate) use service::names;
pub use service::{Volume, VolumeList, VolumePrune, VolumeRequest, VolumesPruned};

/// The driver of volumes that live in the data root.
pub(crate) const LOCAL: &str = "local";

/// The label of volumes that nobody named.
pub(crate) const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// Every volume that this engine knows.
#[derive(Debug)]
pub(crate) struct Volumes {
    dir: PathBuf,
    known: Mutex<BTreeMap<String, Arc<Record>>>,
    held: Mutex<HashMap<String, usize>>,
    turns: Turns,
    /// Of filling what is mounted.
    fills: Turns,
    pub(crate) doors: Doors,
    uses: Mutex<Uses>,
    /// One file per use of a volume that has to be mounted.
    marks: PathBuf,
    plugins: Plugins,
}

/// Somebody is about to use some volumes.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    volumes: &'a Volumes,
    names: Vec<String>,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut held = lock(&self.volumes.held);
        for name in &self.names {
            if let Some(count) = held.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    held.remove(name);
                }
            }
        }
    }
}

impl Volumes {
    pub(crate) fn open(config: &Config, store: &Store) -> Result<Self> {
        let dir = config.data_root.join("volumes");
        make(&dir, 0o711)?;
        let mut known = BTreeMap::new();
        let list = || format!("list {}", dir.display());
        for entry in fs::read_dir(&dir).context(list)? {
            let entry = entry.context(list)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            if Scratch::is_name(&name) {
                // What an engine was about to make, or to remove, when it was killed. It may be large.
                if let Err(error) = store.discard(&entry.path()) {
                    tracing::warn!(name, %error, "what was made beside the volumes stays until the next start");
                }
                continue;
            }
            if check_name(&name).is_err() {
                // `lost+found` of a disk of its own, or an administrator's folder.
                continue;
            }
            match record::open(&entry.path(), &name) {
                Ok(record) => {
                    finish_filling(&entry.path(), &record);
                    known.insert(name, Arc::new(record));
                }
                // What nobody can read is left alone; a newer dhow may have written it.
                Err(error) => tracing::error!(name, %error, "the record of a volume cannot be read"),
            }
        }
        Ok(Self {
            dir,
            known: Mutex::new(known),
            held: Mutex::default(),
            turns: Turns::default(),
            fills: Turns::default(),
            doors: Doors::default(),
            uses: Mutex::default(),
            marks: config.exec_root.join("volumes"),
            plugins: Plugins::new(config.plugins.clone()),
        })
    }

    /// How long a call waits for a plugin, a file server, or others who wait for one.
    pub(crate) fn patience(&self) -> Duration {
        self.plugins.deadline()
    }

    /// Waits for turns no longer than that.
    pub(crate) fn watch(&self) -> Watch {
        Watch::patient(self.patience())
    }

    /// Where the content of a local volume is.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("_data")
    }

    /// Where it is filled.
    fn filling(&self, name: &str) -> Result<Filling> {
        filling_of(&self.dir.join(name))
    }

    /// Whether its content lies in its folder, and not elsewhere because an administrator wants it so.
    fn is_at_home(&self, name: &str) -> bool {
        fs::symlink_metadata(self.data(name)).is_ok_and(|data| data.is_dir()) && !lies_elsewhere(&self.dir.join(name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Record>> {
        lock(&self.known).get(name).cloned()
    }

    /// Those among the volumes of a container that have to be mounted for it.
    pub(crate) fn mounted_among<'a>(&'a self, mounts: &'a [Mount]) -> impl Iterator<Item = &'a str> {
        names(mounts).filter(|name| self.get(name).is_some_and(|record| !record.is_plain()))
    }

    /// The record of a volume that has to be there.
    ///
    /// # Errors
    /// `NotFound` in Docker's words.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Record>> {
        self.get(name).ok_or_else(|| Error::not_found(format!("get {name}: no such volume")))
    }

    /// Every volume by name.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Record>)> {
        lock(&self.known).iter().map(|(name, record)| (name.clone(), Arc::clone(record))).collect()
    }

    /// Keeps volumes, which need not be there yet, from being removed until the hold is dropped.
    pub(crate) fn hold(&self, names: impl IntoIterator<Item = String>) -> Hold<'_> {
        let names: Vec<String> = names.into_iter().collect();
        let mut held = lock(&self.held);
        for name in &names {
            *held.entry(name.clone()).or_default() += 1;
        }
        Hold { volumes: self, names }
    }

    fn is_held(&self, name: &str) -> bool {
        lock(&self.held).contains_key(name)
    }

    /// Where a volume's content is found on the host, and its driver: what `inspect` of a container shows.
    pub(crate) fn place(&self, name: &str) -> (String, String) {
        let driver = self.get(name).map_or_else(|| LOCAL.to_owned(), |record| record.driver.clone());
        let path = match driver.as_str() {
            LOCAL => self.data(name),
            // Its plugin says where, when it is mounted.
            _ => self.mounted_at(name).unwrap_or_default(),
        };
        (path.to_string_lossy().into_owned(), driver)
    }
}

/// Ends what an engine that was killed had begun. What lies on another disk waits for whoever uses it: its file server may be
/// dead, and an engine has to start all the same.
fn finish_filling(folder: &Path, record: &Record) {
    if !record.is_plain() || lies_elsewhere(folder) {
        return;
    }
    if let Err(error) = Filling::beside(folder).and_then(|filling| filling.resume()) {
        // Whoever fills it tries again.
        tracing::warn!(%error, "a volume that was being filled");
    }
}

/// Where a volume in the data root is filled: inside, if its content is on another disk, to which nothing can be moved.
fn filling_of(folder: &Path) -> Result<Filling> {
    if lies_elsewhere(folder) { Filling::inside(&folder.join("_data")) } else { Filling::beside(folder) }
}

fn lies_elsewhere(folder: &Path) -> bool {
    // Its file server is not asked.
    let device = |path: &Path| {
        let stat = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::empty()).ok()?;
        Some((stat.stx_dev_major, stat.stx_dev_minor))
    };
    device(&folder.join("_data")).is_some_and(|data| Some(data) != device(folder))
}

/// Whole after each statement, whoever panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has everything that was written below a folder be on the disk: its whole file system is, in one go.
fn to_disk(folder: &Path) -> Result<()> {
    let step = || format!("write {} to the disk", folder.display());
    let opened = fs::File::open(folder).context(step)?;
    rustix::fs::syncfs(&opened).map_err(io::Error::from).context(step)
}

/// Has the names in a folder be on the disk.
fn names_to_disk(folder: &Path) -> Result<()> {
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.context(|| format!("write {} to the disk", folder.display()))
}

/// Makes a folder that may be there already; says whether it was not.
fn make(dir: &Path, mode: u32) -> Result<bool> {
    match fs::DirBuilder::new().mode(mode).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        result => result.map(|()| true).context(|| format!("create {}", dir.display())),
    }
}
