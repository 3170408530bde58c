//! What people ask about volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_errdefs::{Class, Error, Result, ResultExt, parse_bool};
use jiff::Timestamp;

use super::filter::{Filter, has_label, truth};
use super::plugins::Described;
use super::prepare::Wanted;
use super::{ANONYMOUS, LOCAL, Record, Volumes};
use crate::core::Core;
use crate::create::{Mount, Source, random_id};
use crate::engine::blocking;
use crate::{Engine, Filters, none_left};

/// A volume that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeRequest {
    /// Empty: one is invented.
    pub name: String,
    /// Empty: local.
    pub driver: String,
    /// `None`: not given (shown as null).
    pub labels: Option<BTreeMap<String, String>>,
    /// Options of the driver; `None`: not given (shown as null).
    pub options: Option<BTreeMap<String, String>>,
}

/// A volume as it is shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Volume {
    /// Unique.
    pub name: String,
    /// Who keeps its content.
    pub driver: String,
    /// Where its content is on the host.
    pub mountpoint: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// `None`: nobody gave any.
    pub labels: Option<BTreeMap<String, String>>,
    /// Options of its driver.
    pub options: Option<BTreeMap<String, String>>,
    /// `local` or `global`.
    pub scope: String,
    /// What its plugin tells about it.
    pub status: Option<BTreeMap<String, serde_json::Value>>,
    /// Nobody may remove it.
    pub protected: bool,
    /// Containers that use it, whether they run or not.
    pub users: usize,
    /// Bytes in it, where they were counted.
    pub size: Option<u64>,
}

/// Volumes, and what was not found out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VolumeList {
    /// By name.
    pub volumes: Vec<Volume>,
    /// A plugin that does not answer, say.
    pub warnings: Vec<String>,
}

/// Which unused volumes are to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumePrune {
    /// Also those that somebody named.
    pub all: bool,
    /// Only those with all of these labels, `name` or `name=value`.
    pub labels: Vec<String>,
    /// Only those with none of these.
    pub not_labels: Vec<String>,
    /// Only those that are protected, which stay, or are not.
    pub protected: Option<bool>,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumesPruned {
    /// Their names.
    pub volumes: Vec<String>,
    /// Bytes that were in them.
    pub reclaimed: u64,
}

impl Engine {
    /// Makes a volume; one of that name and driver that is there is the answer, too.
    ///
    /// # Errors
    /// `InvalidArgument` for a name that is none, `Conflict` if another driver has the name, `NotFound` for a driver that
    /// nobody knows.
    pub async fn volume_create(&self, request: VolumeRequest) -> Result<Volume> {
        let core = Arc::clone(&self.core);
        blocking(move || core.create_volume(request)).await
    }

    /// Volumes by name.
    ///
    /// # Errors
    /// `InvalidArgument` for filters that do not exist.
    pub async fn volume_list(&self, filters: &Filters) -> Result<VolumeList> {
        let (core, filter) = (Arc::clone(&self.core), Filter::new(filters)?);
        blocking(move || {
            let mut list = VolumeList { volumes: core.volumes(), warnings: Vec::new() };
            core.add_plugins_volumes(&mut list);
            list.volumes.retain(|volume| filter.matches(volume));
            Ok(list)
        })
        .await
    }

    /// One volume.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn volume_inspect(&self, name: &str) -> Result<Volume> {
        let (core, name) = (Arc::clone(&self.core), name.to_owned());
        blocking(move || {
            let record = core.known_volume(&name)?;
            let volume = core.volume(&name, &record, core.volume_users(&name).len());
            Ok(if record.driver == LOCAL { volume } else { core.volumes.described(volume) })
        })
        .await
    }

    /// Removes a volume; with `force` one that is not there is gone already.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while a container, running or not, uses it.
    pub async fn volume_remove(&self, name: &str, force: bool) -> Result<()> {
        let (core, name) = (Arc::clone(&self.core), name.to_owned());
        blocking(move || match core.known_volume(&name).and_then(|_| core.remove_volume(&name, force, None)) {
            Err(error) if force && error.class() == Class::NotFound => Ok(()),
            result => result,
        })
        .await
    }

    /// Removes local volumes that no container uses.
    ///
    /// # Errors
    /// None at present: one that cannot be removed does not keep the others.
    pub async fn volume_prune(&self, options: VolumePrune) -> Result<VolumesPruned> {
        let core = Arc::clone(&self.core);
        blocking(move || Ok(core.prune_volumes(&options))).await
    }

    /// The volumes of the local driver whose bytes can be counted, with those.
    ///
    /// # Errors
    /// Only if the engine ends meanwhile.
    pub async fn volume_usage(&self) -> Result<Vec<Volume>> {
        let core = Arc::clone(&self.core);
        blocking(move || Ok(core.volumes().into_iter().filter(is_plain).map(|volume| core.counted(volume)).collect()))
            .await
    }
}

impl Core {
    fn create_volume(&self, request: VolumeRequest) -> Result<Volume> {
        let VolumeRequest { mut name, driver, mut labels, options } = request;
        if name.is_empty() {
            name = random_id();
            labels.get_or_insert_default().insert(ANONYMOUS.to_owned(), String::new());
        }
        // Docker keeps an existing volume's driver only if none is named.
        let (record, made) = self
            .volumes
            .find_or_make(&name, &Wanted { driver, labels, options }, None, &self.volumes.watch())
            .context(|| format!("create {name}"))?;
        if made {
            self.events.volume("create", &name, &record.driver, &[]);
        }
        Ok(self.volume(&name, &record, self.volume_users(&name).len()))
    }

    /// The record of a volume that this engine or a plugin knows.
    fn known_volume(&self, name: &str) -> Result<Arc<Record>> {
        match self.volumes.find(name) {
            Err(unknown) => self.volumes.adopt(name)?.ok_or(unknown),
            found => found,
        }
    }

    /// Adds what plugins have beside, and tells which of them cannot be asked.
    fn add_plugins_volumes(&self, list: &mut VolumeList) {
        for (plugin, answer) in self.volumes.plugins.lists() {
            match answer {
                Err(error) => list.warnings.push(format!("volumes of plugin {plugin}: {error}")),
                Ok(described) => described.into_iter().for_each(|one| list.add(&plugin, one)),
            }
        }
        list.volumes.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Every volume of a record, by name.
    fn volumes(&self) -> Vec<Volume> {
        let users = self.users_of_volumes();
        let shown = |(name, record): (String, Arc<Record>)| {
            let users = users.get(&name).copied().unwrap_or_default();
            self.volume(&name, &record, users)
        };
        self.volumes.all().into_iter().map(shown).collect()
    }

    pub(super) fn volume(&self, name: &str, record: &Record, users: usize) -> Volume {
        Volume {
            name: name.to_owned(),
            driver: record.driver.clone(),
            mountpoint: self.volumes.place(name).0,
            created: Some(record.created()),
            labels: record.labels.clone(),
            options: record.options.clone(),
            scope: "local".to_owned(),
            status: None,
            protected: record.protected,
            users,
            size: None,
        }
    }

    fn counted(&self, volume: Volume) -> Volume {
        let size = dhow_store::usage(&self.volumes.data(&volume.name)).map(|usage| usage.bytes);
        Volume { size: size.ok(), ..volume }
    }

    fn users_of_volumes(&self) -> BTreeMap<String, usize> {
        let mut users = BTreeMap::new();
        for container in self.containers().all() {
            let view = container.view();
            let mut names: Vec<&str> = names(&view.body.mounts).collect();
            names.sort_unstable();
            names.dedup();
            names.into_iter().for_each(|name| *users.entry(name.to_owned()).or_default() += 1);
        }
        users
    }

    /// The containers that use a volume.
    pub(super) fn volume_users(&self, name: &str) -> Vec<String> {
        let containers = self.containers();
        let users = containers.all().filter(|container| names(&container.view().body.mounts).any(|used| used == name));
        users.map(|container| container.id.to_string()).collect()
    }

    /// Removes a volume that no container uses beside `owner`, which is being removed itself.
    pub(crate) fn remove_volume(&self, name: &str, force: bool, owner: Option<&str>) -> Result<()> {
        let users = || {
            let mut users = self.volume_users(name);
            users.retain(|user| Some(user.as_str()) != owner);
            users
        };
        let record = self.volumes.remove(name, force, &self.store, users)?;
        self.events.volume("destroy", name, &record.driver, &[]);
        Ok(())
    }

    /// Removes the anonymous volumes among the mounts of a container that goes; one that others use is theirs from now on.
    pub(crate) fn remove_anonymous_volumes(&self, owner: &str, mounts: &[Mount]) -> Result<()> {
        let mut result = Ok(());
        for name in super::owner::own(mounts) {
            let removed = match self.remove_volume(name, false, Some(owner)) {
                Err(error) if error.class() == Class::Conflict => self.volumes.disown(name),
                Err(error) if error.class() == Class::NotFound => Ok(()),
                removed => removed,
            };
            result = result.and(removed);
        }
        result
    }

    fn prune_volumes(&self, options: &VolumePrune) -> VolumesPruned {
        let mut pruned = VolumesPruned::default();
        for volume in self.volumes().into_iter().filter(|volume| options.fits(volume)) {
            let volume = self.counted(volume);
            match self.remove_volume(&volume.name, false, None) {
                Ok(()) => {
                    pruned.reclaimed += volume.size.unwrap_or_default();
                    pruned.volumes.push(volume.name);
                }
                // Somebody uses or has removed it meanwhile, which is their right.
                Err(error) => tracing::debug!(volume = volume.name, %error, "not pruned"),
            }
        }
        pruned
    }
}

impl VolumeList {
    fn add(&mut self, plugin: &str, described: Described) {
        let Described { name, mountpoint, .. } = described;
        match self.volumes.iter_mut().find(|volume| volume.name == name) {
            Some(volume) if volume.driver == plugin => volume.mountpoint = mountpoint,
            // A name that somebody else has already is theirs.
            Some(_) => {}
            None => {
                let (driver, scope) = (plugin.to_owned(), "local".to_owned());
                self.volumes.push(Volume { name, driver, mountpoint, scope, ..Volume::default() });
            }
        }
    }
}

impl Volumes {
    /// Every driver there is.
    pub(crate) fn drivers(&self) -> Vec<String> {
        [LOCAL.to_owned()].into_iter().chain(self.plugins.drivers()).collect()
    }

    /// With what its plugin tells, if it can be asked.
    fn described(&self, volume: Volume) -> Volume {
        match self.plugins.get(&volume.driver, &volume.name) {
            Ok(Some(described)) => {
                let scope = self.plugins.scope(&volume.driver);
                Volume { mountpoint: described.mountpoint, status: described.status, scope, ..volume }
            }
            _ => volume,
        }
    }
}

impl VolumePrune {
    /// Reads the filters of a prune; `all` is what holds where they do not say.
    ///
    /// # Errors
    /// `InvalidArgument` in Docker's words.
    pub fn from_filters(mut filters: Filters, all: bool) -> Result<Self> {
        let mut take = |key: &str| filters.remove(key).unwrap_or_default();
        let values = take("all");
        let said = match &values[..] {
            [] => Some(all),
            [value] => parse_bool(value),
            _ => None,
        };
        let wrong = || Error::invalid(format!("invalid filter 'all=[{}]'", values.join(" ")));
        let all = said.ok_or_else(wrong)?;
        let protected = truth("protected", &take("protected"))?;
        let options = Self { all, labels: take("label"), not_labels: take("label!"), protected };
        none_left(&filters).map(|()| options)
    }

    fn fits(&self, volume: &Volume) -> bool {
        let anonymous = || volume.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS));
        volume.users == 0
            && !volume.protected
            && self.protected != Some(true)
            && is_plain(volume)
            && (self.all || anonymous())
            && self.labels.iter().all(|label| has_label(volume, label))
            && !self.not_labels.iter().any(|label| has_label(volume, label))
    }
}

/// Its bytes are in the data root, and nowhere else.
fn is_plain(volume: &Volume) -> bool {
    volume.driver == LOCAL && volume.options.as_ref().is_none_or(BTreeMap::is_empty)
}

/// The names of the volumes among mounts.
pub(crate) fn names(mounts: &[Mount]) -> impl Iterator<Item = &str> {
    mounts.iter().filter_map(|mount| match &mount.source {
        Source::Volume { name, .. } => Some(name.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_anonymous_ones_without_options_go_unless_all_are_meant() {
        let named = Volume { name: "n".into(), driver: LOCAL.into(), ..Volume::default() };
        let labels = Some(BTreeMap::from([(ANONYMOUS.to_owned(), String::new())]));
        let anonymous = Volume { labels, ..named.clone() };
        let used = Volume { users: 1, ..anonymous.clone() };
        let options = Some(BTreeMap::from([("type".to_owned(), "tmpfs".to_owned())]));
        let elsewhere = Volume { options, ..anonymous.clone() };
        let fits = |all: bool| {
            let prune = VolumePrune { all, ..VolumePrune::default() };
            [&named, &anonymous, &used, &elsewhere].map(|volume| prune.fits(volume))
        };
        assert_eq!(fits(false), [false, true, false, false]);
        assert_eq!(fits(true), [true, true, false, false]);
    }

    #[test]
    fn a_prune_is_narrowed_in_dockers_words() {
        let filters = |key: &str, value: &str| Filters::from([(key.to_owned(), vec![value.to_owned()])]);
        assert!(VolumePrune::from_filters(filters("all", "true"), false).unwrap().all);
        assert_eq!(VolumePrune::from_filters(filters("label!", "a"), false).unwrap().not_labels, ["a"]);
        let refusal = |key, value| VolumePrune::from_filters(filters(key, value), false).unwrap_err().to_string();
        let protected = |value| VolumePrune::from_filters(filters("protected", value), true).unwrap();
        let named = Volume { name: "n".into(), driver: LOCAL.into(), ..Volume::default() };
        assert_eq!([protected("true"), protected("false")].map(|prune| prune.fits(&named)), [false, true]);
        assert_eq!(refusal("protected", "x"), "invalid filter 'protected=[x]'");
        assert_eq!(refusal("all", "x"), "invalid filter 'all=[x]'");
        assert_eq!(refusal("until", "1h"), "invalid filter 'until'");
    }
}
