//! What a shim is told so that it makes a container.

mod device_requests;
mod etc;
mod images;
mod lookups;
mod propagation;
mod shm;

use std::collections::BTreeMap;
use std::path::PathBuf;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_logs::{Config as LogConfig, Subject};
use dhow_oci::runtime::{Mount as Entry, Spec};
use dhow_shim::protocol::{Launch, Rootfs};
use dhow_store::Overlay;

use crate::container::{Container, View};
use crate::core::Core;
use crate::create::{Mount, command};
use crate::launch::{SeccompChoice, SecurityOptions, Surroundings, configuration, merge_environment};
use crate::spec::ContainerSpec;

pub(crate) use etc::{name_servers, place as etc_files, renew as renew_names, renew_link};
pub(crate) use images::{
    mount_at as mount_image_at, mounted_as, prepare_all as prepare_images, unmount_all as unmount_images,
};
pub(crate) use lookups::{Shared, bind_sources, of_process as user_of_process};
pub(crate) use shm::remove as remove_shm;

/// Where the engine's init is bound in containers that want one, as Docker has it.
const INIT: &str = "/sbin/docker-init";

/// Computes everything the shim has to know, and makes the files a start needs. Blocks, but for no disk. What the container
/// shares with others has to be kept until it runs.
pub(crate) fn prepare(core: &Core, container: &Container, view: &View) -> Result<(Launch, Shared)> {
    let spec = &*view.spec;
    let described = device_requests::find(&spec.host.resources.device_requests, core.config.device_folders.as_deref())?;
    let overlay = core.store.snapshots().overlay(&container.id, container.layer.as_ref())?;
    bind_sources(&view.body.mounts)?;
    propagation::check(&view.body.mounts, core.store.root())?;
    let volumes = attach_volumes(core, container, &view.body.mounts)?;
    let images = images::mount_all(core, &container.id, &view.body.mounts)?;
    let user = lookups::user(core, container, spec, &overlay)?;
    let shared = Shared::with(core, spec)?;
    let sandbox = core.kernel.path(&container.id);
    let shm = shm::prepare(core, container, spec)?;
    let cgroup = core.cgroup_of(container);
    let surroundings = Surroundings {
        id: &container.id,
        host: &core.host.platform,
        user: &user,
        peers: &shared.peers,
        sandbox: sandbox.as_deref(),
        devices: &lookups::devices(&spec.host)?,
        files: &etc::prepare(core, container, spec)?,
        shm: shm.as_deref(),
        volumes: &volumes,
        id_maps: &lookups::id_maps(&view.body.mounts, &user)?,
        images: &images,
        cgroup: cgroup.as_deref().unwrap_or_default(),
    };
    let mut config = configuration(spec, &view.body.mounts, &surroundings)?;
    if let Some(process) = &mut config.process
        && spec.host.links.is_some()
    {
        process.env = merge_environment(core.link_environment(view)?, &process.env);
    }
    device_requests::apply(described, &mut config, view, core.host.platform.chooses_groups);
    if spec.host.init == Some(true) {
        with_init(&mut config, core.host.binary.clone());
    }
    Ok((launch(core, container, view, config, overlay)?, shared))
}

/// What the shim is told, with the configuration and the root that were made.
fn launch(core: &Core, container: &Container, view: &View, config: Spec, overlay: Overlay) -> Result<Launch> {
    let spec = &*view.spec;
    let options = overlay_options(core, container, spec, &overlay)?;
    let cgroup = core.cgroup_of(container);
    Ok(Launch {
        id: container.id.to_string(),
        seccomp: filter(core, spec, &config)?,
        spec: config,
        rootfs: Rootfs::Overlay { lower: overlay.lower, upper: overlay.upper, work: overlay.work, options },
        container_dir: core.store.snapshots().dir(&container.id),
        run_dir: core.run_dir(&container.id),
        bare_cgroup: cgroup.as_ref().map(|_| core.host.bare_cgroup()),
        cgroup,
        init: spec.host.init == Some(true),
        stdin_open: spec.open_stdin,
        stdin_once: spec.stdin_once,
        tty: spec.tty,
        log: log_target(container, view)?,
        external_runtime: core.config.runtimes.get(&spec.host.runtime).cloned(),
    })
}

/// Takes away what is mounted for the runs of a container that does not run, beside its volumes.
pub(crate) fn unmount(core: &Core, container: &str) {
    images::unmount_all(core, container);
    if let Err(error) = shm::remove(core, container) {
        tracing::warn!(id = container, %error, "the shared memory of a container could not be removed");
    }
}

/// Has the volumes mounted that have to be, until the container has ended; where each one's content is.
fn attach_volumes(core: &Core, container: &Container, mounts: &[Mount]) -> Result<BTreeMap<String, PathBuf>> {
    let attach = |name: &str| Ok((name.to_owned(), core.volumes.attach(name, &container.id, &core.volumes.watch())?));
    crate::volumes::names(mounts).map(attach).collect()
}

/// What `--rm` leaves is thrown away: nobody has to wait until the disk has it when the overlay goes.
fn overlay_options(core: &Core, container: &Container, spec: &ContainerSpec, overlay: &Overlay) -> Result<Vec<String>> {
    let mut options = Vec::new();
    if overlay.userxattr {
        options.push("userxattr".to_owned());
    }
    if spec.host.auto_remove {
        core.store.snapshots().permit_volatile(&container.id)?;
        options.push("volatile".to_owned());
    }
    Ok(options)
}

/// The log driver and its options: enough to read a log.
pub(crate) fn log_config(spec: &ContainerSpec) -> Result<LogConfig> {
    LogConfig::for_reading(&spec.host.log.driver, &spec.host.log.options)
}

/// The same with everything that is needed to write one.
fn log_target(container: &Container, view: &View) -> Result<LogConfig> {
    let log = &view.spec.host.log;
    with_subject(container, view, |subject| LogConfig::for_container(&log.driver, &log.options, subject))
        .context(|| "failed to create task for container: failed to initialize logging driver")
}

/// The container as its log driver sees it.
pub(crate) fn with_subject<T>(container: &Container, view: &View, call: impl FnOnce(&Subject<'_>) -> T) -> T {
    let spec = &*view.spec;
    let words: Vec<String> = command(spec).cloned().collect();
    let image = container.image.map(|image| image.to_string()).unwrap_or_default();
    call(&Subject {
        id: &container.id,
        name: &view.name,
        command: &words,
        image_id: &image,
        image_name: &spec.image,
        env: &spec.env,
        labels: &spec.labels,
    })
}

/// The error of a start in the words that Docker's clients look for.
pub(crate) fn failure(error: Error) -> Error {
    match error.class() {
        Class::NotFound | Class::PermissionDenied => error.context(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: \
             unable to start container process",
        ),
        _ => error.context("failed to create task for container"),
    }
}

/// The system call filter for the container's capabilities, compiled; `None` for none.
fn filter(core: &Core, spec: &ContainerSpec, config: &Spec) -> Result<Option<Vec<u8>>> {
    let security = SecurityOptions::parse(spec.host.security_opt.as_deref().unwrap_or_default())?;
    let profile = match &security.seccomp {
        SeccompChoice::Unconfined => return Ok(None),
        // A profile that was asked for holds for privileged containers, too; the default does not.
        SeccompChoice::Default if spec.host.privileged => return Ok(None),
        SeccompChoice::Default => None,
        SeccompChoice::Profile(profile) => Some(profile.as_str()),
    };
    let capabilities = config.process.as_ref().and_then(|process| process.capabilities.as_ref());
    let bounding = capabilities.map(|capabilities| capabilities.bounding.as_slice()).unwrap_or_default();
    let program = core.filters.program(profile, bounding).context(|| "compile the seccomp profile")?;
    Ok(Some(program.to_bytes()))
}

/// Puts the init process before the program.
fn with_init(config: &mut Spec, binary: PathBuf) {
    config.mounts.push(Entry {
        destination: PathBuf::from(INIT),
        kind: Some("bind".to_owned()),
        source: Some(binary),
        options: ["bind", "ro"].map(str::to_owned).to_vec(),
        ..Entry::default()
    });
    if let Some(process) = &mut config.process {
        process.args.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
}
