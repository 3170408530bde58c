//! Making an image of a container: its image, one more layer, and its config.

use std::io::{self, BufWriter, Write};
use std::thread;

use dhow_errdefs::{Error, Result, ResultExt, message};
use dhow_oci::{
    ContainerConfig, Digest, Healthcheck, History, ImageConfig, MOST_LAYERS, Platform, Reference, RunConfig, media,
};
use dhow_store::{ImageLayer, ImageRecord, Lease, UnpackOptions};

use crate::images::Images;
use crate::import::{Tee, changes};
use crate::{filter, name, time};

/// The digest of a tar without entries: a layer that changes nothing.
const NOTHING: [u8; 1024] = [0; 1024];

/// What becomes of a container.
#[derive(Debug, Clone, Default)]
pub struct CommitOptions {
    /// The name to give the image.
    pub reference: Option<Reference>,
    /// Dockerfile instructions that change its config.
    pub changes: Vec<String>,
    /// Who made it.
    pub author: String,
    /// A word about it.
    pub message: String,
    /// The container's command, for the history.
    pub created_by: String,
    /// The config that the changes are made to; none: the container's.
    pub config: Option<RunConfig>,
    /// The container's id.
    pub container_id: String,
    /// The container's config: what the other one leaves open.
    pub container: ContainerConfig,
}

impl Images {
    /// Checks what can be refused before anything is done.
    ///
    /// # Errors
    /// [`InvalidArgument`](dhow_errdefs::Class::InvalidArgument) for a change that is none or a name that cannot be given.
    pub fn can_commit(&self, options: &CommitOptions) -> Result<()> {
        options.reference.iter().map(name::taggable).collect::<Result<Vec<_>>>()?;
        config_of(options).map(drop)
    }

    /// Makes an image of `parent` with one more layer, which `write` writes as a tar. Returns its ID.
    ///
    /// # Errors
    /// As [`can_commit`](Self::can_commit); [`NotFound`](dhow_errdefs::Class::NotFound) when the parent is not there any
    /// more; [`ResourceExhausted`](dhow_errdefs::Class::ResourceExhausted) when the disk is full. Nothing is left then.
    pub fn commit(
        &self,
        parent: &Digest,
        options: &CommitOptions,
        write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    ) -> Result<Digest> {
        let names = options.reference.iter().map(name::taggable).collect::<Result<Vec<_>>>()?;
        let run = config_of(options)?;
        let lease = self.store().lease();
        let committed = self.commit_leased(&lease, parent, (options, run), write).and_then(|image| {
            self.publish(&[(image.clone(), names)])?;
            Ok(image.id)
        });
        drop(lease);
        if committed.is_err() {
            self.sweep();
        }
        committed
    }

    fn commit_leased(
        &self,
        lease: &Lease,
        parent: &Digest,
        (options, run): (&CommitOptions, RunConfig),
        write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    ) -> Result<ImageRecord> {
        let parent = self.hold(lease, parent)?;
        let below = parent.layers.last().map(|layer| layer.chain_id);
        let layer = self.layer(lease, below.as_ref(), write)?;
        let config = config(&*self.config(&parent.id)?, options, run, layer.as_ref().map(|(layer, _)| layer.diff_id));
        if config.rootfs.diff_ids.len() > MOST_LAYERS {
            return Err(Error::invalid("max depth exceeded"));
        }
        let mut image = ImageRecord {
            id: self.store().content().put(lease, &config.to_bytes())?,
            manifest: None,
            created: filter::created(&config).as_second(),
            platform: config.platform().to_string(),
            parent: Some(parent.id),
            ..parent
        };
        image.blobs.clear();
        if let Some((layer, size)) = layer {
            image.size += size;
            image.layers.push(layer);
        }
        Ok(image)
    }

    /// The parent, none of whose parts can be collected from now on.
    fn hold(&self, lease: &Lease, parent: &Digest) -> Result<ImageRecord> {
        let missing = || Error::not_found(message::no_such_image(&parent.to_string()));
        let image = self.store().metadata().image(parent)?.ok_or_else(missing)?;
        let mut held = self.store().content().hold(lease, parent)?.is_some();
        for layer in &image.layers {
            held &= self.store().content().hold(lease, &layer.blob)?.is_some();
            held &= self.store().layers().hold(lease, &layer.chain_id)?.is_some();
        }
        if held { Ok(image) } else { Err(missing()) }
    }

    /// The layer and its size; none if it changes nothing.
    pub(crate) fn layer(
        &self,
        lease: &Lease,
        below: Option<&Digest>,
        write: impl FnOnce(&mut dyn Write) -> Result<()> + Send,
    ) -> Result<Option<(ImageLayer, u64)>> {
        let (reader, writer) = io::pipe().context(|| "make a pipe")?;
        let mut ingest = self.store().content().ingest(self.room()?)?;
        let tee = Tee { from: reader, to: &mut ingest };
        let (written, unpacked) = thread::scope(|scope| {
            let writing = scope.spawn(move || {
                let mut writer = BufWriter::with_capacity(128 << 10, writer);
                write(&mut writer)?;
                writer.flush().context(|| "write the layer")
            });
            let unpacked = self.store().layers().unpack(tee, &UnpackOptions::default());
            let died = |_| Err(Error::internal("the thread that writes a layer died"));
            (writing.join().unwrap_or_else(died), unpacked)
        });
        let unpacked = match (written, unpacked) {
            // What was written cannot be complete: that it ends too early is no news.
            (Err(error), _) if error.os_error() != Some(BROKEN_PIPE) => return Err(error),
            (_, unpacked) => unpacked?,
        };
        if *unpacked.diff_id() == Digest::of(&NOTHING) {
            return Ok(None);
        }
        let size = unpacked.size();
        let blob = ingest.commit(lease, None, None)?;
        let recorded = self.store().layers().record(lease, below, vec![unpacked])?;
        let layer = recorded.into_iter().next().ok_or_else(|| Error::internal("no layer was recorded"))?;
        let layer = ImageLayer {
            diff_id: layer.diff_id,
            chain_id: layer.chain_id,
            blob: blob.digest,
            blob_size: blob.size,
            media_type: media::OCI_LAYER.to_owned(),
        };
        Ok(Some((layer, size)))
    }
}

/// `EPIPE`: whoever read gave up first, and knows why.
const BROKEN_PIPE: i32 = 32;

fn config(parent: &ImageConfig, options: &CommitOptions, run: RunConfig, diff_id: Option<Digest>) -> ImageConfig {
    let host = Platform::host();
    let created = Some(time::now());
    let or = |own: &str, host: String| if own.is_empty() { host } else { own.to_owned() };
    let mut history = parent.history.clone();
    history.push(History {
        created: created.clone(),
        created_by: options.created_by.clone(),
        author: options.author.clone(),
        comment: options.message.clone(),
        empty_layer: diff_id.is_none(),
    });
    let mut rootfs = parent.rootfs.clone();
    rootfs.diff_ids.extend(diff_id);
    ImageConfig {
        architecture: or(&parent.architecture, host.architecture),
        author: options.author.clone(),
        comment: options.message.clone(),
        config: run,
        container: options.container_id.clone(),
        container_config: Some(Box::new(options.container.clone())),
        created,
        docker_version: String::new(),
        history,
        os: or(&parent.os, host.os),
        os_version: parent.os_version.clone(),
        rootfs,
        variant: parent.variant.clone(),
    }
}

fn config_of(options: &CommitOptions) -> Result<RunConfig> {
    let base = options.config.clone().unwrap_or_else(|| options.container.run.clone());
    let mut run = changes::apply_to(base, &options.changes)?;
    fill(&mut run, &options.container.run);
    Ok(run)
}

/// Fills in from the container what a config leaves open, as Docker does.
fn fill(run: &mut RunConfig, container: &RunConfig) {
    let text = |own: &mut String, from: &String| {
        if own.is_empty() {
            own.clone_from(from);
        }
    };
    text(&mut run.user, &container.user);
    text(&mut run.working_dir, &container.working_dir);
    if let Some(ports) = &container.exposed_ports {
        run.exposed_ports.get_or_insert_default().extend(ports.clone());
    }
    if let Some(volumes) = &container.volumes {
        run.volumes.get_or_insert_default().extend(volumes.clone());
    }
    if let Some(variables) = &container.env {
        let own = run.env.get_or_insert_default();
        let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
        let known: Vec<String> = own.iter().map(|variable| name(variable)).collect();
        own.extend(variables.iter().filter(|variable| !known.contains(&name(variable))).cloned());
    }
    for (label, value) in container.labels.iter().flatten() {
        run.labels.get_or_insert_default().entry(label.clone()).or_insert_with(|| value.clone());
    }
    command(run, container);
    if let Some(check) = &container.healthcheck {
        health(run.healthcheck.get_or_insert_default(), check);
    }
    if run.stop_signal.as_deref().unwrap_or_default().is_empty() {
        run.stop_signal.clone_from(&container.stop_signal);
    }
}

/// A new entrypoint drops the container's arguments, new arguments keep its entrypoint.
fn command(run: &mut RunConfig, container: &RunConfig) {
    let none = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    if none(&run.entrypoint) {
        if none(&run.cmd) {
            run.cmd.clone_from(&container.cmd);
        }
        if run.entrypoint.is_none() {
            run.entrypoint.clone_from(&container.entrypoint);
        }
    }
}

fn health(own: &mut Healthcheck, container: &Healthcheck) {
    let inherit = |own: &mut i64, from: i64| {
        if *own == 0 {
            *own = from;
        }
    };
    if own.test.is_empty() {
        own.test.clone_from(&container.test);
    }
    inherit(&mut own.interval, container.interval);
    inherit(&mut own.timeout, container.timeout);
    inherit(&mut own.start_period, container.start_period);
    inherit(&mut own.start_interval, container.start_interval);
    inherit(&mut own.retries, container.retries);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Option<Vec<String>> {
        Some(words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn container() -> RunConfig {
        RunConfig {
            env: words(&["PATH=/bin", "A=1"]),
            cmd: words(&["serve"]),
            entrypoint: words(&["/init"]),
            user: "me".to_owned(),
            labels: Some([("a".to_owned(), "b".to_owned())].into()),
            ..RunConfig::default()
        }
    }

    fn of(config: Option<RunConfig>, changes: &[&str]) -> RunConfig {
        let changes = changes.iter().map(|change| (*change).to_owned()).collect();
        let container = ContainerConfig { run: container(), ..ContainerConfig::default() };
        config_of(&CommitOptions { config, changes, container, ..CommitOptions::default() }).unwrap()
    }

    #[test]
    fn changes_are_made_to_the_containers_config() {
        assert_eq!(of(None, &[]), container());
        let run = of(None, &["ENV A=2 B=$A", "LABEL c=d", "USER you"]);
        assert_eq!(run.env, words(&["PATH=/bin", "A=2", "B=1"]));
        assert_eq!((run.user.as_str(), run.labels.unwrap().len()), ("you", 2));
    }

    #[test]
    fn an_entrypoint_takes_the_arguments_away_unless_there_are_new_ones() {
        let run = of(None, &["ENTRYPOINT [\"x\"]"]);
        assert_eq!((run.entrypoint, run.cmd), (words(&["x"]), None));
        let run = of(None, &["CMD [\"y\"]", "ENTRYPOINT [\"x\"]"]);
        assert_eq!((run.entrypoint, run.cmd), (words(&["x"]), words(&["y"])));
        let run = of(None, &["CMD [\"y\"]"]);
        assert_eq!((run.entrypoint, run.cmd), (words(&["/init"]), words(&["y"])));
    }

    #[test]
    fn what_another_config_leaves_open_is_the_containers() {
        let other = RunConfig { env: words(&["A=9"]), cmd: words(&["z"]), ..RunConfig::default() };
        let run = of(Some(other), &[]);
        assert_eq!(run.env, words(&["A=9", "PATH=/bin"]));
        assert_eq!((run.cmd, run.entrypoint, run.user.as_str()), (words(&["z"]), words(&["/init"]), "me"));
    }

    #[test]
    fn the_history_goes_on() {
        let parent = ImageConfig { history: vec![History::default()], variant: "v8".into(), ..ImageConfig::default() };
        let options = CommitOptions {
            author: "me".into(),
            created_by: "sh -c x".into(),
            container_id: "c1".into(),
            container: ContainerConfig { image: "busybox".into(), ..ContainerConfig::default() },
            ..CommitOptions::default()
        };
        let made = config(&parent, &options, RunConfig::default(), None);
        assert_eq!((made.history.len(), made.history[1].empty_layer), (2, true));
        assert_eq!((made.container.as_str(), made.container_config.unwrap().image.as_str()), ("c1", "busybox"));
        assert_eq!((made.history[1].created_by.as_str(), made.variant.as_str()), ("sh -c x", "v8"));
        assert_eq!(config(&parent, &options, RunConfig::default(), Some(Digest::of(b""))).rootfs.diff_ids.len(), 1);
    }
}
