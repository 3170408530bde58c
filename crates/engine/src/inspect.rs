//! `docker inspect`: answered from memory, but for sizes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_errdefs::Result;
use dhow_network::model::EndpointSpec;

use crate::container::{Container, View};
use crate::core::Core;
use crate::create::command;
use crate::launch::EtcFiles;
use crate::networks::{is_user_defined, names};
use crate::spec::ContainerSpec;
use crate::volumes::LOCAL;
use crate::{Details, Joined, LogLosses, MountPoint};

impl Core {
    /// Everything about one container.
    pub(crate) fn details(&self, container: &Container, size: bool) -> Result<Details> {
        let view = container.view();
        let spec = &view.spec;
        let dir = self.store.snapshots().dir(&container.id);
        let started = view.condition.started_at.is_some();
        let files = if started { crate::start::etc_files(self, &container.id, spec) } else { EtcFiles::default() };
        let mut words = command(spec).cloned();
        let log = crate::start::log_config(spec)?;
        Ok(Details {
            id: container.id.to_string(),
            name: view.name.clone(),
            created: container.created,
            path: words.next().unwrap_or_default(),
            args: words.collect(),
            state: view.state(),
            image_id: container.image.map(|image| image.to_string()).unwrap_or_default(),
            spec: self.shown_spec(&view),
            mounts: self.points(&view),
            exec_ids: self.execs.of_container(&container.id),
            restart_count: view.condition.restart_count,
            runtime: spec.host.runtime.clone(),
            log_path: readable_log(&log, &dir, &container.id),
            log_losses: LogLosses { disk: view.condition.log_losses.disk, remote: view.condition.log_losses.remote },
            hostname_path: files.hostname,
            hosts_path: files.hosts,
            resolv_conf_path: files.resolv_conf,
            storage_driver: STORAGE_DRIVER,
            storage: self.storage(container)?,
            size: size.then(|| self.size(container)).transpose()?,
            networks: self.joined(container, &view),
            published: view.condition.attached.as_ref().map(|it| it.published.clone()).unwrap_or_default(),
        })
    }

    /// The specification with links in words.
    fn shown_spec(&self, view: &View) -> Arc<ContainerSpec> {
        let mut spec = Arc::clone(&view.spec);
        if spec.host.links.is_some() {
            Arc::make_mut(&mut spec).host.links = self.shown_links(view);
        }
        spec
    }

    /// Its place in each network.
    fn joined(&self, container: &Container, view: &View) -> BTreeMap<String, Joined> {
        let attached = view.condition.attached.as_deref();
        let joined = |(name, spec): (&String, &EndpointSpec)| {
            let network_id = self.networks.named(name).map(|network| network.id.clone()).unwrap_or_default();
            let endpoint = attached.and_then(|attached| attached.endpoints.get(name)).cloned();
            let named = is_user_defined(name);
            let names = if named { names(&container.id, &view.name, &view.spec.hostname, spec) } else { Vec::new() };
            (name.clone(), Joined { network_id, spec: spec.clone(), endpoint, names })
        };
        view.spec.networking.iter().map(joined).collect()
    }

    /// The mounts as they are now: where a volume of a plugin is, is known only while it is mounted.
    fn points(&self, view: &View) -> Arc<Vec<MountPoint>> {
        if view.points.iter().all(|point| point.driver.as_deref().is_none_or(|driver| driver == LOCAL)) {
            return Arc::clone(&view.points);
        }
        Arc::new(view.body.mounts.iter().map(|mount| mount.point(|volume| self.volumes.place(volume))).collect())
    }

    /// What Docker's overlay2 tells. There is no merged folder on the host: the overlay exists in the container alone.
    fn storage(&self, container: &Container) -> Result<BTreeMap<String, String>> {
        let overlay = self.store.snapshots().overlay(&container.id, container.layer.as_ref())?;
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let lower = overlay.lower.iter().map(text).collect::<Vec<_>>().join(":");
        Ok([("LowerDir", lower), ("UpperDir", text(&overlay.upper)), ("WorkDir", text(&overlay.work))]
            .map(|(key, value)| (key.to_owned(), value))
            .into())
    }
}

/// The file of a log that others may read: of the other drivers nobody is to know where and how they write, so that it can
/// change (dockerd names no file of `local` either).
fn readable_log(log: &dhow_logs::Config, dir: &Path, id: &str) -> Option<PathBuf> {
    log.path(dir, id).filter(|_| log.driver == dhow_logs::Driver::JsonFile)
}

/// The name Docker's users know for overlay over directories.
pub(crate) const STORAGE_DRIVER: &str = "overlay2";
