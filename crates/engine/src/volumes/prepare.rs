//! Making volumes, and filling those that containers use for the first time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::atomic;
use serde::{Deserialize, Serialize};

use super::{LOCAL, Record, Volumes, check_name, fill, filling, lock, make};
use crate::create::{Mount, Source};
use crate::rootfs::Root;

/// How a volume is to be made, if it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// Empty: local, or whatever an existing volume has.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

impl Volumes {
    /// The volume of that name, made if there is none; says whether it was made.
    ///
    /// # Errors
    /// Docker's words for a name that is none, a driver that nobody knows, options that contradict each other.
    pub(crate) fn create(&self, name: &str, wanted: &Wanted) -> Result<(Arc<Record>, bool)> {
        self.find_or_make(name, wanted).context(|| format!("create {name}"))
    }

    fn find_or_make(&self, name: &str, wanted: &Wanted) -> Result<(Arc<Record>, bool)> {
        let _turn = self.turns.take(name);
        if let Some(record) = self.get(name) {
            if !wanted.driver.is_empty() && wanted.driver != record.driver {
                return Err(Error::conflict(format!(
                    "driver '{}' already has volume '{name}': volume name must be unique",
                    record.driver
                )));
            }
            return Ok((record, false));
        }
        check_name(name)?;
        let driver = if wanted.driver.is_empty() { LOCAL } else { &wanted.driver };
        if driver != LOCAL {
            let text = format!("error looking up volume plugin {driver}: plugin {driver:?} not found");
            return Err(Error::not_found(text));
        }
        let record = Record::new(driver, wanted.labels.clone(), wanted.options.clone());
        self.write_new(name, &record)?;
        let record = Arc::new(record);
        lock(&self.known).insert(name.to_owned(), Arc::clone(&record));
        Ok((record, true))
    }

    /// The folder appears whole: with its record, and with its data folder where it has one.
    fn write_new(&self, name: &str, record: &Record) -> Result<()> {
        let (new, folder) = (self.dir.join(format!(".{name}")), self.dir.join(name));
        let made = (|| {
            make(&new, 0o701)?;
            make(&new.join("_data"), 0o755)?;
            // A volume that somebody named is on the disk when they hear of it; others are as fast as their containers.
            let sync = if record.is_anonymous() { atomic::Sync::No } else { atomic::Sync::Yes };
            record.write(&new, sync)?;
            fs::rename(&new, &folder).context(|| format!("create {}", folder.display()))
        })();
        if made.is_err() {
            let _ = fs::remove_dir_all(&new);
        }
        made
    }

    /// Makes the volumes that are mentioned and not there, and fills empty ones from the image's files at their place.
    /// `root` is opened only if there is something to fill. Tells `made` about each that was not there.
    pub(crate) fn prepare(
        &self,
        mounts: &[Mount],
        root: impl Fn() -> Result<Root>,
        made: impl Fn(&str, &str),
    ) -> Result<()> {
        for mount in mounts {
            let Source::Volume { name, copy, subpath, wanted, .. } = &mount.source else { continue };
            let (record, new) = self.create(name, wanted)?;
            if new {
                made(name, &record.driver);
            }
            if *copy && subpath.is_empty() {
                let (volume, data) = (self.dir.join(name), self.data(name));
                make(&data, 0o755)?;
                filling::resume(&volume)?;
                if filling::is_empty(&data)? {
                    let copy = |target: &Path| fill::from_image(&root()?, &mount.destination, target);
                    filling::fill(&volume, copy)
                        .context(|| format!("fill volume {name} from {}", mount.destination))?;
                }
            }
        }
        Ok(())
    }
}
