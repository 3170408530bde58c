//! Images: wire ↔ engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dhow_api::container::{Config, GraphDriver, HealthConfig, Set, StrSlice};
use dhow_api::image::{
    CheckFault, CheckResponse, Deleted, HistoryItem, ImageConfig, Inspect, InspectConfig, ManifestImage, ManifestSize,
    ManifestSummary, Metadata, RootFs, Summary, UnpackedSize,
};
use dhow_api::stream::{ErrorDetail, Message, Progress};
use dhow_api::version::Version;
use dhow_errdefs::Error;
use dhow_image::{Details, HistoryEntry, LayerNews, LoadEvent, PullEvent, Pulled, PushEvent, PushNews, Removed};
use dhow_oci as oci;
use dhow_oci::Reference;
use jiff::Timestamp;

use super::{null_if_empty, time};

/// One line of `docker images`.
pub(crate) fn summary(image: dhow_image::Summary, version: Version) -> Summary {
    let size = signed(image.size);
    Summary {
        containers: -1,
        created: image.created,
        id: image.id.to_string(),
        labels: image.labels,
        parent_id: image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        repo_digests: image.digests,
        repo_tags: image.tags,
        shared_size: -1,
        size,
        virtual_size: (!version.at_least(44)).then_some(size),
        manifests: None,
    }
}

/// The manifests of an image.
pub(crate) fn manifests(found: Vec<dhow_image::ManifestSummary>) -> Vec<ManifestSummary> {
    // OCI's own types are JSON as they are.
    let value = |part: serde_json::Result<serde_json::Value>| part.unwrap_or_default();
    let one = |it: dhow_image::ManifestSummary| {
        let (content, unpacked) = (signed(it.content), signed(it.unpacked));
        let image = |platform: &oci::Platform| ManifestImage {
            platform: value(serde_json::to_value(platform)),
            containers: Vec::new(),
            size: UnpackedSize { unpacked },
        };
        ManifestSummary {
            id: it.descriptor.digest.to_string(),
            descriptor: value(serde_json::to_value(&it.descriptor)),
            available: it.available,
            size: ManifestSize { content, total: content + unpacked },
            kind: if it.platform.is_some() { "image" } else { "attestation" }.to_owned(),
            image_data: it.platform.as_ref().map(image),
        }
    };
    found.into_iter().map(one).collect()
}

/// Everything about one image.
pub(crate) fn inspect(image: &Details, version: Version) -> Inspect {
    let config = &image.config;
    let size = signed(image.record.size);
    Inspect {
        id: image.record.id.to_string(),
        repo_tags: image.tags.clone(),
        repo_digests: image.digests.clone(),
        parent: image.record.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        comment: config.comment.clone(),
        created: config.created.clone().unwrap_or_default(),
        container: (!version.at_least(45)).then(|| config.container.clone()),
        container_config: (!version.at_least(45)).then(|| container_config(config.container_config.as_deref())),
        docker_version: config.docker_version.clone(),
        author: config.author.clone(),
        config: if version.at_least(50) {
            InspectConfig::Image(Box::new(narrow(&config.config)))
        } else {
            InspectConfig::Container(Box::new(wide(&config.config)))
        },
        architecture: config.architecture.clone(),
        variant: config.variant.clone(),
        os: config.os.clone(),
        os_version: config.os_version.clone(),
        size,
        virtual_size: (!version.at_least(44)).then_some(size),
        graph_driver: GraphDriver { data: Some(layers(&image.layers)), name: "overlay2".to_owned() },
        root_fs: RootFs {
            kind: config.rootfs.kind.clone(),
            layers: config.rootfs.diff_ids.iter().map(ToString::to_string).collect(),
        },
        metadata: Metadata { last_tag_time: time::text(image.last_tagged.and_then(from_nanos)) },
        manifests: None,
    }
}

fn from_nanos(nanos: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanos.into()).ok()
}

/// Where the layers are, top first, under the names overlay has for them.
fn layers(folders: &[PathBuf]) -> BTreeMap<String, String> {
    let text = |folder: &PathBuf| folder.to_string_lossy().into_owned();
    let Some((top, below)) = folders.split_first() else { return BTreeMap::new() };
    let mut data = BTreeMap::from([("UpperDir".to_owned(), text(top))]);
    if !below.is_empty() {
        data.insert("LowerDir".to_owned(), below.iter().map(text).collect::<Vec<_>>().join(":"));
    }
    data
}

fn narrow(config: &oci::RunConfig) -> ImageConfig {
    ImageConfig {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.as_ref().map(set),
        env: config.env.clone(),
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        volumes: config.volumes.as_ref().map(set),
        working_dir: config.working_dir.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        args_escaped: config.args_escaped,
        healthcheck: config.healthcheck.as_ref().map(healthcheck),
        on_build: config.on_build.clone(),
        shell: config.shell.clone(),
    }
}

fn wide(config: &oci::RunConfig) -> Config {
    Config {
        user: config.user.clone(),
        exposed_ports: config.exposed_ports.as_ref().map(set).unwrap_or_default(),
        env: config.env.clone(),
        cmd: config.cmd.clone().map(StrSlice),
        healthcheck: config.healthcheck.as_ref().map(healthcheck),
        args_escaped: config.args_escaped,
        volumes: config.volumes.as_ref().map(set),
        working_dir: config.working_dir.clone(),
        entrypoint: config.entrypoint.clone().map(StrSlice),
        on_build: config.on_build.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone().unwrap_or_default(),
        stop_timeout: config.stop_timeout,
        shell: config.shell.clone().map(StrSlice),
        ..Config::default()
    }
}

/// What the container was that an image was made of; nothing, if it was made in another way.
fn container_config(container: Option<&oci::ContainerConfig>) -> Config {
    let Some(container) = container else { return Config::default() };
    Config { hostname: container.hostname.clone(), image: container.image.clone(), ..wide(&container.run) }
}

fn set<T>(names: &BTreeMap<String, T>) -> Set {
    names.keys().map(|name| (name.clone(), dhow_api::container::Empty {})).collect()
}

fn healthcheck(check: &oci::Healthcheck) -> HealthConfig {
    HealthConfig {
        test: check.test.clone(),
        interval: check.interval,
        timeout: check.timeout,
        start_period: check.start_period,
        start_interval: check.start_interval,
        retries: check.retries,
    }
}

/// One step of an image's making.
pub(crate) fn history(step: HistoryEntry) -> HistoryItem {
    HistoryItem {
        comment: step.comment,
        created: step.created,
        created_by: step.created_by,
        id: step.id.map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
        size: signed(step.size),
        tags: null_if_empty(step.tags),
    }
}

/// What a check found.
pub(crate) fn checked(found: dhow_image::Checked) -> CheckResponse {
    let fault = |fault: dhow_image::Fault| {
        let (healed, error) = match fault.healed {
            Some(Ok(source)) => (source, String::new()),
            Some(Err(error)) => (String::new(), error),
            None => Default::default(),
        };
        let kind = match fault.kind {
            dhow_image::FaultKind::Blob => "blob",
            dhow_image::FaultKind::Layer => "layer",
        };
        CheckFault {
            kind: kind.to_owned(),
            digest: fault.digest.to_string(),
            what: fault.what,
            images: fault.images,
            healed_from: healed,
            error,
        }
    };
    CheckResponse {
        images: found.images,
        layers: found.layers,
        blobs: found.blobs,
        faults: found.faults.into_iter().map(fault).collect(),
    }
}

/// One step of a removal.
pub(crate) fn removed(step: Removed) -> Deleted {
    match step {
        Removed::Untagged { name, .. } => Deleted { untagged: name, ..Deleted::default() },
        Removed::Image(id) | Removed::Layer(id) => Deleted { deleted: id.to_string(), ..Deleted::default() },
    }
}

/// One message of a load.
pub(crate) fn loading(event: &LoadEvent) -> Message {
    match event {
        LoadEvent::Layer { diff_id, current, total } => {
            let progress = Progress { current: signed(*current), total: signed(*total), ..Progress::default() };
            Message {
                status: "Loading layer".to_owned(),
                progress_detail: Some(progress),
                id: diff_id.hex()[..12].to_owned(),
                ..Message::default()
            }
        }
        other => Message { stream: other.line().unwrap_or_default(), ..Message::default() },
    }
}

/// Docker's line about a pull.
pub(crate) fn pulling(event: &PullEvent) -> Message {
    match event {
        PullEvent::Begin(name) => Message {
            status: format!("Pulling from {}", name.repository()),
            id: name.digest().map_or_else(|| name.tag().unwrap_or_default().to_owned(), ToString::to_string),
            ..Message::default()
        },
        PullEvent::Digest(digest) => Message { status: format!("Digest: {digest}"), ..Message::default() },
        PullEvent::Layer { blob, news } => layer_news(&blob.hex()[..12], *news),
    }
}

fn layer_news(id: &str, news: LayerNews) -> Message {
    let (status, current, total) = match news {
        LayerNews::Announced => ("Pulling fs layer", 0, 0),
        LayerNews::Exists => ("Already exists", 0, 0),
        LayerNews::Downloading(current, total) => ("Downloading", signed(current), signed(total)),
        LayerNews::Verified => ("Download complete", 0, 0),
        LayerNews::Complete => ("Pull complete", 0, 0),
    };
    Message {
        status: status.to_owned(),
        progress_detail: Some(Progress { current, total, ..Progress::default() }),
        id: id.to_owned(),
        ..Message::default()
    }
}

/// Docker's first line of a push.
pub(crate) fn push_begins(name: &Reference) -> Message {
    Message { status: format!("The push refers to repository [{}]", name.name()), ..Message::default() }
}

/// Docker's lines about a push.
pub(crate) fn pushing(event: &PushEvent) -> Vec<Message> {
    match event {
        PushEvent::Layer { diff_id, news } => vec![push_news(&diff_id.hex()[..12], news)],
        PushEvent::Tag { tag, digest, size } => {
            let status = format!("{tag}: digest: {digest} size: {size}");
            let aux = serde_json::json!({ "Tag": tag, "Digest": digest.to_string(), "Size": size });
            let aux = Message { progress_detail: Some(Progress::default()), aux: Some(aux), ..Message::default() };
            vec![Message { status, ..Message::default() }, aux]
        }
    }
}

fn push_news(id: &str, news: &PushNews) -> Message {
    let plain = |status: &str| (status.to_owned(), Progress::default());
    let (status, progress) = match news {
        PushNews::Preparing => plain("Preparing"),
        PushNews::Waiting => plain("Waiting"),
        PushNews::Exists => plain("Layer already exists"),
        PushNews::Mounted(source) => plain(&format!("Mounted from {source}")),
        PushNews::Pushing(current, total) => {
            ("Pushing".to_owned(), Progress { current: signed(*current), total: signed(*total), ..Progress::default() })
        }
        PushNews::Pushed => plain("Pushed"),
    };
    Message { status, progress_detail: Some(progress), id: id.to_owned(), ..Message::default() }
}

/// Docker's last line of a pull.
pub(crate) fn pulled(pulled: &Pulled) -> Message {
    let news = if pulled.fresh { "Downloaded newer image" } else { "Image is up to date" };
    Message { status: format!("Status: {news} for {}", pulled.name.familiar()), ..Message::default() }
}

/// A failure in the middle of a stream, where no status can be sent any more.
pub(crate) fn failure(error: &Error) -> Message {
    let message = error.to_string();
    let hint = error.hint().unwrap_or_default().to_owned();
    Message {
        error_detail: Some(ErrorDetail { code: 0, message: message.clone(), hint }),
        error: message,
        ..Message::default()
    }
}

fn signed(bytes: u64) -> i64 {
    bytes.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_overlays_names() {
        let data = layers(&["/3".into(), "/2".into(), "/1".into()]);
        assert_eq!((data["UpperDir"].as_str(), data["LowerDir"].as_str()), ("/3", "/2:/1"));
        assert!(layers(&[]).is_empty());
    }

    #[test]
    fn a_failure_is_told_twice_for_old_clients() {
        let text = serde_json::to_string(&failure(&Error::data_loss("bad"))).expect("plain data");
        assert_eq!(text, r#"{"errorDetail":{"message":"bad"},"error":"bad"}"#);
        let hinted = serde_json::to_string(&failure(&Error::data_loss("bad").with_hint("do"))).expect("plain data");
        assert_eq!(hinted, r#"{"errorDetail":{"message":"bad","hint":"do"},"error":"bad"}"#);
    }

    #[test]
    fn a_step_without_image_is_missing() {
        let step = HistoryEntry {
            id: None,
            created: 1,
            created_by: "RUN x".into(),
            tags: Vec::new(),
            size: 2,
            comment: String::new(),
        };
        let text = serde_json::to_string(&history(step)).expect("plain data");
        assert_eq!(text, r#"{"Comment":"","Created":1,"CreatedBy":"RUN x","Id":"<missing>","Size":2,"Tags":null}"#);
    }
}
