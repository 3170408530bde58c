//! Volumes, and the plugins that clients look at although there are none to manage.

use dhow_api::volume::{CreateRequest, ListResponse, PruneResponse, Volume};
use dhow_engine::{CopyKind, EventKind, VolumePrune};
use dhow_errdefs::{Error, Result, message};
use hyper::StatusCode;

use super::route;
use crate::http::{Call, Response, Route, json, no_content, plain_json};
use crate::wire::{null_if_empty, volume};

pub(crate) const ROUTES: &[Route] = &[
    route!(POST "/volumes/create" => create),
    route!(GET "/volumes" => list),
    route!(POST "/volumes/prune" => prune),
    route!(GET "/volumes/{name}" => inspect),
    route!(PUT "/volumes/{name}" => update),
    route!(DELETE "/volumes/{name}" => remove),
    route!(POST "/volumes/{name}/clone" => clone),
    route!(POST "/volumes/{name}/restore" => restore),
    route!(POST "/volumes/{name}/rename" => rename),
    route!(POST "/volumes/{name}/protect" => protect),
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

/// Of dhow alone, like the three below.
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
