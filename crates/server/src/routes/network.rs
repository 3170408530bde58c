//! The built-in networks, so that clients which look at them find them.

use dhow_api::network::PruneResponse;
use dhow_errdefs::{Error, Result};
use jiff::Timestamp;

use super::route;
use crate::http::{Call, Response, Route, json};
use crate::wire::network;

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/networks" => list),
    route!(GET "/networks/{id}" => inspect),
    route!(POST "/networks/prune" => prune),
];

/// The built-in networks are never pruned, and others cannot be made yet.
async fn prune(_: Call) -> Result<Response> {
    json(&PruneResponse::default())
}

async fn list(call: Call) -> Result<Response> {
    let filters = call.filters()?;
    let mut networks = network::all(created(&call));
    networks.retain(|network| {
        filters.iter().all(|(key, values)| match key.as_str() {
            "name" => values.iter().any(|value| network.name.contains(value.as_str())),
            "id" => values.iter().any(|value| network.id.starts_with(value.as_str())),
            "driver" => values.contains(&network.driver),
            "scope" => values.contains(&network.scope),
            "type" => values.iter().any(|value| value == "builtin"),
            "dangling" => values.iter().any(|value| matches!(value.as_str(), "false" | "0")),
            _ => false,
        })
    });
    json(&networks)
}

async fn inspect(call: Call) -> Result<Response> {
    let named = |name: &str, id: &str| name == call.name || (call.name.len() >= 4 && id.starts_with(&call.name));
    let mut networks = network::all(created(&call)).into_iter();
    match networks.find(|network| named(&network.name, &network.id)) {
        Some(network) => json(&network),
        None => Err(Error::not_found(format!("network {} not found", call.name))),
    }
}

/// They are as old as the engine's data.
fn created(call: &Call) -> Timestamp {
    let metadata = std::fs::metadata(&call.engine().config().data_root);
    let made = metadata.and_then(|metadata| metadata.created()).ok().and_then(|time| time.try_into().ok());
    made.unwrap_or(Timestamp::UNIX_EPOCH)
}
