//! `commit`: an image of a container.

use std::collections::BTreeMap;
use std::sync::Arc;

use dhow_errdefs::{Error, Result};
use dhow_image::CommitOptions;
use dhow_oci::{ContainerConfig, Digest, Empty, Healthcheck, Reference, RunConfig};

use crate::Engine;
use crate::container::{Container, State};
use crate::engine::{blocking, to_the_end};
use crate::spec::ContainerSpec;

/// `docker commit`.
#[derive(Debug, Clone, Default)]
pub struct CommitRequest {
    /// The container.
    pub container: String,
    /// The name to give the image.
    pub reference: Option<Reference>,
    /// Freeze it meanwhile.
    pub pause: bool,
    /// Dockerfile instructions that change the config.
    pub changes: Vec<String>,
    /// Who made it.
    pub author: String,
    /// A word about it.
    pub message: String,
    /// The config to begin with; `None`: the container's.
    pub config: Option<ContainerSpec>,
}

impl Engine {
    /// Makes an image of a container: its image and what it has changed. Runs to its end when the caller goes away.
    ///
    /// # Errors
    /// `NotFound`; `InvalidArgument` for changes that are none; `Conflict` if it is being removed; `ResourceExhausted` when
    /// the disk is full. Nothing of the image is left then.
    pub async fn commit(&self, request: CommitRequest) -> Result<Digest> {
        let container = self.find(&request.container)?;
        to_the_end(commit(Arc::clone(&self.core), container, request)).await
    }
}

async fn commit(core: Arc<crate::core::Core>, container: Arc<Container>, request: CommitRequest) -> Result<Digest> {
    let view = container.view();
    if matches!(view.condition.state, State::Removing | State::Dead) {
        let how = if view.condition.state == State::Dead { "Dead" } else { "being removed" };
        return Err(Error::conflict(format!("You cannot commit container {} which is {how}", container.id)));
    }
    let parent = container.image.ok_or_else(|| Error::not_found("the container has no image"))?;
    let options = CommitOptions {
        reference: request.reference.clone(),
        changes: request.changes,
        author: request.author,
        message: request.message.clone(),
        created_by: view.spec.cmd.clone().unwrap_or_default().join(" "),
        config: request.config.as_ref().map(run_config),
        container_id: container.id.to_string(),
        container: ContainerConfig {
            hostname: view.spec.hostname.clone(),
            image: view.spec.image.clone(),
            run: run_config(&view.spec),
        },
    };
    core.images.can_commit(&options)?;
    let frozen = if request.pause { core.freeze(&container).await? } else { None };
    let (owner, engine) = (Arc::clone(&container), Arc::clone(&core));
    let committed = blocking(move || {
        engine.images.commit(&parent, &options, |out| {
            engine.store.snapshots().write_layer(&owner.id, owner.layer.as_ref(), out).map(drop)
        })
    })
    .await;
    if let Ok(image) = &committed {
        let name = request.reference.map(|name| name.with_default_tag().familiar()).unwrap_or_default();
        if !name.is_empty() {
            core.image_event("tag", image, Some(&name));
        }
        let more = [("comment", request.message), ("imageID", image.to_string()), ("imageRef", name)];
        core.events.container("commit", (&container.id, &view.name), &view.spec, &more);
    }
    if let Some(frozen) = frozen {
        core.thaw(frozen).await;
    }
    committed
}

/// What an image keeps of a container.
fn run_config(spec: &ContainerSpec) -> RunConfig {
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let set = |names: &std::collections::BTreeSet<String>| {
        (!names.is_empty()).then(|| names.iter().map(|name| (name.clone(), Empty {})).collect::<BTreeMap<_, _>>())
    };
    RunConfig {
        user: spec.user.clone(),
        exposed_ports: set(&spec.exposed_ports),
        env: some(&spec.env),
        entrypoint: spec.entrypoint.clone(),
        cmd: spec.cmd.clone(),
        volumes: set(&spec.volumes),
        working_dir: spec.working_dir.clone(),
        labels: (!spec.labels.is_empty()).then(|| spec.labels.clone()),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_timeout,
        healthcheck: spec.healthcheck.as_ref().map(|check| Healthcheck {
            test: check.test.clone(),
            interval: check.interval,
            timeout: check.timeout,
            start_period: check.start_period,
            start_interval: check.start_interval,
            retries: check.retries,
        }),
        on_build: spec.on_build.clone(),
        shell: spec.shell.clone(),
        args_escaped: false,
    }
}
