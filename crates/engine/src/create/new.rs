//! From a request to a container.

use std::sync::Arc;

use dhow_errdefs::{Class, Error, Result, message};
use dhow_oci::{Digest, Platform, RunConfig};
use dhow_store::{ContainerRecord, Lease};
use jiff::Timestamp;

use super::{
    Mount, NO_COMMAND, Source, check_network, command, container_name, parse_inherited, plan_mounts, random_id,
    validate, with_defaults, with_image,
};
use crate::container::{Body, Condition, Container, Owner, View, record};
use crate::core::Core;
use crate::launch::Sharing;
use crate::networks::{normalise, resolve_links};
use crate::rootfs::Root;
use crate::spec::ContainerSpec;
use crate::watch::Watch;
use crate::{CreateRequest, Created, names, volumes};

/// A container that is decided and not made yet.
struct Draft {
    id: Arc<str>,
    created: Timestamp,
    image: Digest,
    layer: Option<Digest>,
    body: Body,
    /// Names of volumes that nobody else can have.
    invented: Vec<String>,
    warnings: Vec<String>,
}

impl Core {
    /// Makes a container. Blocks; needs the runtime for the owner's task.
    pub(crate) fn create(self: &Arc<Self>, request: CreateRequest, watch: &Watch) -> Result<Created> {
        let name = request.name.as_deref().filter(|name| !name.is_empty()).map(container_name).transpose()?;
        // Nobody may take the image away until the container is recorded, which keeps it from then on.
        let lease = self.store.lease();
        let draft = self.draft(request.spec, request.platform.as_ref(), &lease)?;
        let name = self.reserve(name, &draft.id)?;
        if Sharing::of(&draft.body.spec.host.network_mode) == Sharing::Own {
            self.shims.foresee();
        }
        self.release_when_given_up(watch, &name, &draft.id);
        match self.make(&draft, &name, watch) {
            Ok(()) => Ok(Created { id: draft.id.to_string(), warnings: draft.warnings }),
            Err(error) => {
                self.containers().release(&name, &draft.id);
                // Whatever was made is not mentioned anywhere; the next start would drop it, too.
                let _ = self.store.snapshots().remove(&draft.id);
                for volume in &draft.invented {
                    let _ = self.remove_volume(volume, false, Some(&draft.id));
                }
                Err(error)
            }
        }
    }

    /// Everything that can be refused is refused here.
    fn draft(&self, spec: ContainerSpec, platform: Option<&Platform>, lease: &Lease) -> Result<Draft> {
        if spec.image.is_empty() && command(&spec).next().is_none() {
            return Err(Error::invalid(NO_COMMAND));
        }
        let image = self.images.resolve_for(&spec.image, platform)?;
        self.images.allow_run(&spec.image, &image)?;
        let layer = image.layers.last().map(|layer| layer.chain_id);
        let mut held = self.store.content().hold(lease, &image.id)?.is_some();
        if let Some(layer) = &layer {
            held &= self.store.layers().hold(lease, layer)?.is_some();
        }
        if !held {
            return Err(Error::not_found(message::no_such_image(&spec.image)));
        }
        let config = self.images.config(&image.id)?;
        let mut draft = self.of_image(spec, (image.id, layer), &config.config).map_err(not_the_image)?;
        if platform.is_none() {
            draft.warnings.extend(another_platform(&config.platform()));
        }
        Ok(draft)
    }

    fn of_image(
        &self,
        mut spec: ContainerSpec,
        (image, layer): (Digest, Option<Digest>),
        config: &RunConfig,
    ) -> Result<Draft> {
        let id: Arc<str> = random_id().into();
        check_network(&spec)?;
        with_image(&mut spec, config);
        self.resolve_references(&mut spec)?;
        with_defaults(&mut spec, &id, &self.defaults());
        normalise(&mut spec, &self.networks)?;
        let warnings = validate(&mut spec, &self.facts())?;
        self.host.check_parent(&spec.host.resources.cgroup_parent)?;
        dhow_logs::Config::from_options(&spec.host.log.driver, &spec.host.log.options)?;
        if let Sharing::Container(peer) = Sharing::of(&spec.host.network_mode) {
            // Who shares the network is known under the same name; only now, because nobody may choose it.
            let peer = self.containers().find(peer)?.view();
            spec.hostname.clone_from(&peer.spec.hostname);
            spec.domainname.clone_from(&peer.spec.domainname);
        }
        let mut invented = Vec::new();
        let invent = || {
            invented.push(random_id());
            invented.last().cloned().unwrap_or_default()
        };
        let mut mounts = plan_mounts(&spec, self.inherited(&spec)?, invent)?;
        for mount in &mut mounts {
            if let Source::Image { name, id, .. } = &mut mount.source {
                let image = self.images.resolve(name)?;
                self.images.allow_run(name, &image)?;
                *id = image.id.to_string();
            }
        }
        crate::start::bind_sources(&mounts)?;
        let body = Body { spec: Arc::new(spec), mounts };
        Ok(Draft { id, created: Timestamp::now(), image, layer, body, invented, warnings })
    }

    /// Other containers are remembered by their ids, because names change.
    fn resolve_references(&self, spec: &mut ContainerSpec) -> Result<()> {
        let host = &mut spec.host;
        for mode in [&mut host.network_mode, &mut host.pid_mode, &mut host.ipc_mode] {
            if let Sharing::Container(reference) = Sharing::of(mode)
                && !reference.is_empty()
            {
                let peer = self.containers().find(reference)?;
                *mode = format!("container:{}", peer.id);
            }
        }
        resolve_links(self, spec)?;
        let host = &spec.host;
        if host.network_mode == "host" && host.uts_mode != "host" && spec.hostname.is_empty() {
            spec.hostname = host_name();
        }
        Ok(())
    }

    /// The mounts of `--volumes-from`.
    fn inherited(&self, spec: &ContainerSpec) -> Result<Vec<Mount>> {
        let mut mounts: Vec<Mount> = Vec::new();
        for text in &spec.host.volumes_from {
            if text.is_empty() {
                return Err(Error::invalid("volumes-from specification cannot be an empty string"));
            }
            let (reference, mode) = text.split_once(':').unwrap_or((text, "rw"));
            let read_only = parse_inherited(mode)?;
            let peer = self.containers().find(reference)?;
            for mount in &peer.view().body.mounts {
                mounts.retain(|other| other.destination != mount.destination);
                mounts.push(Mount { read_only: mount.read_only || read_only, ..mount.clone() });
            }
        }
        Ok(mounts)
    }

    /// A name is free again for who asks once more, even while a thread still waits for what does not come.
    fn release_when_given_up(self: &Arc<Self>, watch: &Watch, name: &str, id: &Arc<str>) {
        let (core, name, id) = (Arc::downgrade(self), name.to_owned(), Arc::clone(id));
        watch.when_given_up(move || {
            if let Some(core) = core.upgrade() {
                core.containers().release(&name, &id);
            }
        });
    }

    fn reserve(&self, wanted: Option<&str>, id: &Arc<str>) -> Result<String> {
        let mut containers = self.containers();
        let name = match wanted {
            Some(name) => name.to_owned(),
            None => names::generate(|name| containers.is_taken(name)),
        };
        containers.reserve(&name, id)?;
        Ok(name)
    }

    fn make(self: &Arc<Self>, draft: &Draft, name: &str, watch: &Watch) -> Result<()> {
        let overlay = self.store.snapshots().prepare(&draft.id, draft.layer.as_ref())?;
        // Until the container is in the index and so is known to use them.
        let _hold = self.volumes.hold(volumes::names(&draft.body.mounts).map(str::to_owned));
        let made = |volume: &str, driver: &str| self.events.volume("create", volume, driver, &[]);
        let root = || Root::of_overlay(&overlay);
        let prepared = self.volumes.prepare((&draft.body.mounts, &draft.id), root, made, watch);
        prepared.map_err(not_the_image)?;
        watch.take_effect()?;
        let condition = Condition::default();
        self.store.metadata().insert_container(&ContainerRecord {
            id: draft.id.to_string(),
            name: name.to_owned(),
            image: Some(draft.image),
            layer: draft.layer,
            created: i64::try_from(draft.created.as_nanosecond()).unwrap_or_default(),
            spec: record::write(&draft.body)?,
            state: record::write(&condition)?,
        })?;
        let view = self.view(name.to_owned(), draft.body.clone(), condition);
        let identity = (Arc::clone(&draft.id), draft.created);
        let (container, mailbox) = Container::new(identity, (Some(draft.image), draft.layer), view);
        self.containers().insert(Arc::clone(&draft.id), Arc::clone(&container));
        self.events.container("create", (&draft.id, name), &draft.body.spec, &[]);
        tokio::spawn(Owner::new(Arc::clone(self), container, mailbox, None).run());
        Ok(())
    }

    /// The first view of a container that does not run.
    pub(crate) fn view(&self, name: String, body: Body, condition: Condition) -> View {
        View {
            name,
            spec: Arc::clone(&body.spec),
            points: Arc::new(
                body.mounts.iter().map(|mount| mount.point(|volume| self.volumes.place(volume))).collect(),
            ),
            body: Arc::new(body),
            condition,
            pid: 0,
            link: None,
        }
    }
}

/// Clients fetch the container's image when they hear that something was not found; this is not it.
fn not_the_image(error: Error) -> Error {
    if error.class() == Class::NotFound { error.with_class(Class::InvalidArgument) } else { error }
}

/// What Docker says of an image that is for another processor, where nobody has asked for that.
fn another_platform(platform: &Platform) -> Option<String> {
    let host = Platform::host();
    let text = || {
        format!(
            "The requested image's platform ({platform}) does not match the detected host platform ({host}) and no \
             specific platform was requested"
        )
    };
    (!platform.serves(&host)).then(text)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
