//! Making volumes, and filling those that containers use for the first time.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::atomic;
use serde::{Deserialize, Serialize};

use super::{LOCAL, Record, Volumes, check_name, fill, filling, local, lock, make};
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
        match driver {
            LOCAL => wanted.options.as_ref().map_or(Ok(()), local::check)?,
            plugin => {
                self.plugins.activate(plugin)?;
                if self.plugins.get(plugin, name)?.is_none() {
                    self.plugins.create(plugin, name, wanted.options.as_ref())?;
                }
            }
        }
        self.remember(name, driver, wanted).map(|record| (record, true))
    }

    /// A volume that a plugin has and this engine has not heard of yet; `None` if there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn adopt(&self, name: &str) -> Result<Option<Arc<Record>>> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        for plugin in self.plugins.names() {
            // One that is down has nothing to say.
            if let Ok(Some(_)) = self.plugins.get(&plugin, name) {
                let _turn = self.turns.take(name);
                let known = self.get(name).map(Ok);
                return known.unwrap_or_else(|| self.remember(name, &plugin, &Wanted::default())).map(Some);
            }
        }
        Ok(None)
    }

    fn remember(&self, name: &str, driver: &str, wanted: &Wanted) -> Result<Arc<Record>> {
        let record = Record::new(driver, wanted.labels.clone(), wanted.options.clone());
        self.write_new(name, &record, |_| Ok(()))?;
        let record = Arc::new(record);
        lock(&self.known).insert(name.to_owned(), Arc::clone(&record));
        Ok(record)
    }

    /// The folder appears whole: with its record, and with the content that `fill` puts into its data folder.
    pub(super) fn write_new(&self, name: &str, record: &Record, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (new, folder) = (self.dir.join(format!(".{name}")), self.dir.join(name));
        let made = (|| {
            make(&new, 0o701)?;
            make(&new.join("_data"), 0o755)?;
            fill(&new.join("_data"))?;
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
        (mounts, user): (&[Mount], &str),
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
                let copy = |target: &Path| fill::from_image(&root()?, &mount.destination, target);
                let filled = match record.is_plain() {
                    true => self.fill(name, copy),
                    false => self.fill_mounted(name, user, copy),
                };
                filled.context(|| format!("fill volume {name} from {}", mount.destination))?;
            }
        }
        Ok(())
    }

    fn fill(&self, name: &str, copy: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
        let (volume, data) = (self.dir.join(name), self.data(name));
        make(&data, 0o755)?;
        filling::resume(&volume)?;
        if filling::is_empty(&data)? { filling::fill(&volume, copy) } else { Ok(()) }
    }

    /// Into a file system that is mounted for the moment; nothing beside the data could be renamed into it.
    fn fill_mounted(&self, name: &str, user: &str, copy: impl FnOnce(&Path) -> Result<bool>) -> Result<()> {
        let data = self.attach(name, user)?;
        let filled = filling::is_empty(&data).and_then(|empty| if empty { copy(&data).map(drop) } else { Ok(()) });
        self.detach(name, user);
        filled
    }
}
