//! Volumes and plugins, which clients look at although there are none to manage yet.

use dhow_api::volume::{ListResponse, Volume};
use dhow_errdefs::{Error, Result};

use super::route;
use crate::http::{Call, Response, Route, json};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/volumes" => list),
    route!(GET "/volumes/{name}" => inspect),
    route!(GET "/plugins" => plugins),
    route!(GET "/plugins/{name..}/json" => inspect_plugin),
];

async fn list(call: Call) -> Result<Response> {
    json(&ListResponse { volumes: all(&call).await?, warnings: None })
}

/// `docker inspect` asks for a volume of that name when there is no container, image or network.
async fn inspect(call: Call) -> Result<Response> {
    Err(Error::not_found(format!("get {}: no such volume", call.name)))
}

async fn plugins(_: Call) -> Result<Response> {
    json(&[(); 0])
}

async fn inspect_plugin(call: Call) -> Result<Response> {
    Err(Error::not_found(format!("plugin {:?} not found", call.name)))
}

/// Every volume.
pub(super) async fn all(_: &Call) -> Result<Vec<Volume>> {
    Ok(Vec::new())
}
