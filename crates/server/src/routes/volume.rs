//! Volumes, and the plugins that clients look at although there are none to manage.

use std::sync::Arc;

use dhow_api::volume::{BackupResponse, CreateRequest, ListResponse, PruneResponse, Volume};
use dhow_engine::{CopyKind, EventKind, VolumeFormat, VolumeImport, VolumePrune, VolumeSource};
use dhow_errdefs::{Error, Result, message};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::image::reference;
use super::route;
use crate::http::{Body, Call, ChunkWriter, Response, Route, json, no_content, plain_json};
use crate::wire::{null_if_empty, volume};

pub(crate) const ROUTES: &[Route] = &[
    route!(POST "/volumes/create" => create),
    route!(GET "/volumes" => list),
    route!(POST "/volumes/prune" => prune),
    route!(GET "/volumes/{name..}/backup" => backup),
    route!(GET "/volumes/{name..}" => inspect),
    route!(PUT "/volumes/{name..}" => update),
    route!(DELETE "/volumes/{name..}" => remove),
    route!(POST "/volumes/{name..}/backup" => backup_image),
    route!(POST "/volumes/{name..}/import" => import),
    route!(POST "/volumes/{name..}/clone" => clone),
    route!(POST "/volumes/{name..}/restore" => restore),
    route!(POST "/volumes/{name..}/rename" => rename),
    route!(POST "/volumes/{name..}/protect" => protect),
    route!(GET "/plugins" => plugins),
    route!(GET "/plugins/{name..}/json" => inspect_plugin),
];

async fn create(mut call: Call) -> Result<Response> {
    let request: CreateRequest = call.json().await?;
    if request.cluster_volume_spec.is_some() {
        return Err(Error::unavailable(message::NO_SWARM_MANAGER));
    }
    let made = call.engine().volume_create(volume::request(request)).await?;
    plain_json(StatusCode::CREATED, &volume::volume(made))
}

async fn list(call: Call) -> Result<Response> {
    let list = call.engine().volume_list(&call.filters()?).await?;
    let volumes = list.volumes.into_iter().map(volume::volume).collect();
    json(&ListResponse { volumes, warnings: null_if_empty(list.warnings) })
}

/// `docker inspect` asks for a volume of that name when there is no container, image or network.
async fn inspect(call: Call) -> Result<Response> {
    json(&volume::volume(call.engine().volume_inspect(&call.name).await?))
}

/// Volumes of clusters can be changed, and there are none.
async fn update(_: Call) -> Result<Response> {
    Err(Error::unavailable("volume update only valid for cluster volumes, but swarm is unavailable"))
}

async fn remove(call: Call) -> Result<Response> {
    call.engine().volume_remove(&call.name, call.query.flag("force")).await?;
    Ok(no_content())
}

async fn prune(call: Call) -> Result<Response> {
    // Before 1.42 there was no difference between volumes that somebody named and others.
    let options = VolumePrune::from_filters(call.filters()?, !call.version.at_least(42))?;
    let pruned = call.engine().volume_prune(options).await?;
    call.engine().pruned(EventKind::Volume, pruned.reclaimed);
    json(&PruneResponse { volumes_deleted: null_if_empty(pruned.volumes), space_reclaimed: pruned.reclaimed })
}

/// Of dhow alone, like all below.
async fn clone(call: Call) -> Result<Response> {
    let kind = if call.query.flag("snapshot") { CopyKind::Snapshot } else { CopyKind::Clone };
    let copy = call.engine().volume_copy(&call.name, call.query.get("name").unwrap_or_default(), kind).await?;
    plain_json(StatusCode::CREATED, &volume::volume(copy))
}

async fn restore(call: Call) -> Result<Response> {
    call.engine().volume_restore(&call.name, call.query.get("from").unwrap_or_default()).await?;
    Ok(no_content())
}

async fn rename(call: Call) -> Result<Response> {
    call.engine().volume_rename(&call.name, call.query.get("name").unwrap_or_default()).await?;
    Ok(no_content())
}

async fn protect(call: Call) -> Result<Response> {
    call.engine().volume_protect(&call.name, !call.query.flag("off")).await?;
    Ok(no_content())
}

/// Archives of volumes, and images of them: docs/design/0021.
async fn backup(call: Call) -> Result<Response> {
    let (format, live) = (format(&call)?.unwrap_or_default(), call.query.flag("live"));
    let (pieces, body) = Body::pieces();
    call.engine().volume_backup(&call.name, (format, live), Box::new(ChunkWriter::new(pieces))).await?;
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
    Ok(response)
}

async fn backup_image(call: Call) -> Result<Response> {
    let name = call.query.text("image").ok_or_else(|| Error::invalid("the image needs a name: image=NAME"))?;
    let image = reference(name, None)?;
    let id = call.engine().volume_backup_image(&call.name, call.query.flag("live"), &image).await?;
    plain_json(StatusCode::CREATED, &BackupResponse { id: id.to_string() })
}

async fn import(call: Call) -> Result<Response> {
    let label = |text: &str| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    let import = VolumeImport {
        name: call.name.clone(),
        labels: call.query.all("label").map(label).collect(),
        replace: call.query.flag("replace"),
    };
    let (engine, format) = (Arc::clone(&call.context.engine), format(&call)?);
    let image = call.query.text("fromImage").map(|name| VolumeSource::Image(name.to_owned()));
    let _turn = call.archive_turn().await;
    let source = image.unwrap_or_else(|| VolumeSource::Archive(Box::new(call.upload()), format));
    plain_json(StatusCode::CREATED, &volume::volume(engine.volume_import(import, source).await?))
}

fn format(call: &Call) -> Result<Option<VolumeFormat>> {
    match call.query.text("format") {
        None => Ok(None),
        Some("tar") => Ok(Some(VolumeFormat::Tar)),
        Some("oci") => Ok(Some(VolumeFormat::Oci)),
        Some(other) => Err(Error::invalid(format!("volumes have no archives of format {other:?}: tar or oci"))),
    }
}

async fn plugins(_: Call) -> Result<Response> {
    json(&[(); 0])
}

async fn inspect_plugin(call: Call) -> Result<Response> {
    Err(Error::not_found(format!("plugin {:?} not found", call.name)))
}

/// The volumes whose bytes can be counted, with those.
pub(super) async fn usage(call: &Call) -> Result<Vec<Volume>> {
    Ok(call.engine().volume_usage().await?.into_iter().map(volume::counted).collect())
}
