//! Making volumes, and filling those that containers use for the first time.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use serde::{Deserialize, Serialize};

use super::filling::Filling;
use super::scratch::make_folders;
use super::{ANONYMOUS, LOCAL, Record, Volumes, check_name, fill, local, make, owner};
use crate::create::{Mount, Source};
use crate::rootfs::Root;
use crate::watch::Watch;

/// How a volume is to be made, if it is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    /// Empty: that of an existing volume, whoever has it, else local.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<BTreeMap<String, String>>,
}

impl Wanted {
    /// Nobody named it, so nobody else can have it.
    fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS))
    }
}

impl Volumes {
    /// The volume of that name, made if there is none, for a container alone or for everybody; says whether it was made.
    ///
    /// # Errors
    /// Docker's words for a name that is none, a driver that nobody knows, options that contradict each other.
    pub(crate) fn find_or_make(
        &self,
        name: &str,
        wanted: &Wanted,
        owner: Option<&str>,
        watch: &Watch,
    ) -> Result<(Arc<Record>, bool)> {
        let _turn = self.turns.take_watched(name, watch)?;
        if let Some(record) = self.get(name) {
            if !wanted.driver.is_empty() && wanted.driver != record.driver {
                // Who names a driver that nobody knows hears that, as from Docker.
                if wanted.driver != LOCAL {
                    self.plugins.activate(&wanted.driver)?;
                }
                return Err(Error::conflict(format!(
                    "driver '{}' already has volume '{name}': volume name must be unique",
                    record.driver
                )));
            }
            return Ok((record, false));
        }
        check_name(name)?;
        if wanted.driver.is_empty()
            && !wanted.is_anonymous()
            && let Some(plugin) = watch.elsewhere(|| self.plugins.keeper(name))
        {
            return self.remember(name, &plugin, &Wanted::default(), None).map(|record| (record, false));
        }
        let driver = if wanted.driver.is_empty() { LOCAL } else { &wanted.driver };
        match driver {
            LOCAL => wanted.options.as_ref().map_or(Ok(()), local::check)?,
            plugin => {
                self.plugins.activate(plugin)?;
                watch.step();
                if self.plugins.get(plugin, name)?.is_none() {
                    watch.step();
                    self.plugins.create(plugin, name, wanted.options.as_ref())?;
                }
                watch.step();
            }
        }
        self.remember(name, driver, wanted, owner).map(|record| (record, true))
    }

    /// A volume that a plugin has and this engine has not heard of yet; `None` if there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn adopt(&self, name: &str) -> Result<Option<Arc<Record>>> {
        if check_name(name).is_err() {
            return Ok(None);
        }
        let Some(plugin) = self.plugins.keeper(name) else { return Ok(None) };
        let _turn = self.turns.take_watched(name, &self.watch())?;
        let known = self.get(name).map(Ok);
        known.unwrap_or_else(|| self.remember(name, &plugin, &Wanted::default(), None)).map(Some)
    }

    fn remember(&self, name: &str, driver: &str, wanted: &Wanted, owner: Option<&str>) -> Result<Arc<Record>> {
        let record = Record::new(driver, wanted.labels.clone(), wanted.options.clone());
        let new = self.scratch_name("volume");
        let made = make_folders(&new)
            .and_then(|()| owner.map_or(Ok(()), |owner| owner::write(&new, owner)))
            .and_then(|()| self.publish(name, &new, record));
        if made.is_err() {
            // What cannot be deleted now is when an engine opens.
            let _ = dhow_store::delete_tree(&new);
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
        watch: &Watch,
    ) -> Result<()> {
        for mount in mounts {
            let Source::Volume { name, anonymous, copy, subpath, wanted } = &mount.source else { continue };
            let found = self.find_or_make(name, wanted, anonymous.then_some(user), watch);
            let (record, new) = found.context(|| format!("create {name}"))?;
            if new {
                made(name, &record.driver);
            }
            if *copy && subpath.is_empty() {
                let source = || fill::in_image(&root()?, &mount.destination);
                // An error of mounting it says itself what it is about.
                let mounted = if record.is_plain() { None } else { Some(self.borrow(name, user, watch)?) };
                let filled = match &mounted {
                    None => self.fill(name, source, watch),
                    Some(attached) => self.fill_mounted(name, &attached.content, source, watch).map_err(cannot_hold),
                };
                filled.context(|| format!("fill volume {name} from {}", mount.destination))?;
            }
        }
        Ok(())
    }

    fn fill(&self, name: &str, source: impl FnOnce() -> Result<Option<OwnedFd>>, watch: &Watch) -> Result<()> {
        // Two containers may be made with one new volume at the same time.
        let turn = self.fills.take_watched(name, watch)?;
        make(&self.data(name), 0o755)?;
        self.filling(name)?.fill(source, &|| (turn.step(), watch.step()).1)
    }

    /// Into a file system that is mounted for the moment. A mark beside it says that its content may be a half one, until it
    /// is whole.
    fn fill_mounted(
        &self,
        name: &str,
        content: &Path,
        source: impl FnOnce() -> Result<Option<OwnedFd>>,
        watch: &Watch,
    ) -> Result<()> {
        watch.step();
        let turn = self.fills.take_watched(name, watch)?;
        let filling = Filling::inside(content)?;
        if !filling.is_empty()? {
            return filling.resume();
        }
        let mark = self.filling_mark(name);
        fs::write(&mark, "").context(|| format!("write {}", mark.display()))?;
        filling.fill(source, &|| (turn.step(), watch.step()).1)?;
        fs::remove_file(&mark).context(|| format!("remove {}", mark.display()))
    }

    /// Finishes, or clears away, what an engine that was killed was filling a mounted volume with.
    pub(super) fn resume_mounted(&self, name: &str, data: &Path) -> Result<()> {
        let mark = self.filling_mark(name);
        // Somebody who fills it at this moment has a mark, too.
        let Some(_turn) = self.fills.take_now(name).filter(|_| mark.exists()) else { return Ok(()) };
        Filling::inside(data)?.resume()?;
        fs::remove_file(&mark).context(|| format!("remove {}", mark.display()))
    }

    fn filling_mark(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("filling-inside")
    }
}

/// Stores of objects have neither links nor devices, and answer whatever they like.
fn cannot_hold(error: Error) -> Error {
    if !matches!(error.class(), Class::Internal | Class::NotImplemented | Class::PermissionDenied) {
        return error;
    }
    error.with_hint("its file system may not be able to hold that: `nocopy` leaves the volume empty")
}
