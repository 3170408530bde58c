//! Networks.

use dhow_api::network::{ConnectRequest, CreateRequest, CreateResponse, DisconnectRequest, PruneResponse};
use dhow_engine::EventKind;
use dhow_errdefs::{Error, Result};
use hyper::StatusCode;

use super::route;
use crate::http::{Call, Response, Route, json, no_content, plain_json, status_only};
use crate::wire::{self, endpoint, network};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/networks" => list),
    route!(GET "/networks/" => list),
    route!(POST "/networks/create" => create),
    route!(POST "/networks/prune" => prune),
    route!(GET "/system/exposure" => exposure),
    route!(GET "/networks/{id..}" => inspect),
    route!(DELETE "/networks/{id..}" => remove),
    route!(POST "/networks/{id..}/connect" => connect),
    route!(POST "/networks/{id..}/disconnect" => disconnect),
];

async fn list(call: Call) -> Result<Response> {
    let networks = call.engine().networks(&call.filters()?)?;
    json(&networks.iter().map(network::network).collect::<Vec<_>>())
}

async fn create(mut call: Call) -> Result<Response> {
    let request: CreateRequest = call.json().await?;
    let id = call.engine().create_network(network::spec(request)?).await?;
    plain_json(StatusCode::CREATED, &CreateResponse { id, warning: String::new() })
}

async fn inspect(call: Call) -> Result<Response> {
    if call.query.get("scope").is_some_and(|scope| !matches!(scope, "" | "local")) {
        return Err(Error::not_found(format!("network {} not found", call.name)));
    }
    json(&network::network(&call.engine().network(&call.name)?))
}

async fn remove(call: Call) -> Result<Response> {
    call.engine().remove_network(&call.name).await?;
    Ok(no_content())
}

async fn connect(mut call: Call) -> Result<Response> {
    let request: ConnectRequest = call.json().await?;
    let spec = endpoint::spec(request.endpoint_config.unwrap_or_default())?;
    call.engine().connect(&call.name, &request.container, spec).await?;
    Ok(status_only(StatusCode::OK))
}

async fn disconnect(mut call: Call) -> Result<Response> {
    let request: DisconnectRequest = call.json().await?;
    call.engine().disconnect(&call.name, &request.container, request.force).await?;
    Ok(status_only(StatusCode::OK))
}

async fn prune(call: Call) -> Result<Response> {
    let removed = call.engine().prune_networks(wire::prune::options(call.filters()?)?).await?;
    call.engine().pruned(EventKind::Network, 0);
    json(&PruneResponse { networks_deleted: wire::null_if_empty(removed) })
}

async fn exposure(call: Call) -> Result<Response> {
    let ways = call.engine().exposure().await?;
    json(&ways.iter().map(network::exposure).collect::<Vec<_>>())
}
