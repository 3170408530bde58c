//! The engine itself.

use std::collections::BTreeMap;

use dhow_api::image::Summary;
use dhow_api::system::{BuildPruneResponse, DiskUsage};
use dhow_engine::{Kernel, ListOptions};
use dhow_errdefs::{Error, Result};
use dhow_image::{Filters, Images, StoredBytes};
use dhow_oci::Digest;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, PRAGMA};
use jiff::Timestamp;

use super::{image, route, volume};
use crate::http::{Body, Call, Response, Route, json};
use crate::wire::{self, container_view, system};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/_ping" => ping),
    route!(HEAD "/_ping" => ping),
    route!(GET "/version" => version),
    route!(GET "/info" => info),
    route!(GET "/system/df" => disk_usage),
    route!(POST "/build/prune" => prune_builds),
];

async fn ping(_: Call) -> Result<Response> {
    let mut response = Response::new(Body::full("OK"));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("swarm"), HeaderValue::from_static("inactive"));
    Ok(response)
}

async fn version(call: Call) -> Result<Response> {
    json(&system::version(call.engine().config(), Kernel::running()))
}

async fn info(call: Call) -> Result<Response> {
    let info = call.engine().info().await;
    json(&system::info(call.engine().config(), info, call.version))
}

/// What can be asked for of the disk usage.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

async fn disk_usage(call: Call) -> Result<Response> {
    let kinds: Vec<&str> = call.query.all("type").collect();
    if let Some(kind) = kinds.iter().find(|kind| !KINDS.contains(kind)) {
        return Err(Error::invalid(format!("unknown object type: {kind}")));
    }
    let wanted = |kind: &str| kinds.is_empty() || kinds.contains(&kind);
    let mut usage = DiskUsage::default();
    if wanted("container") {
        let options = ListOptions { all: true, size: true, ..ListOptions::default() };
        let (containers, now) = (call.engine().list(options).await?, Timestamp::now());
        usage.containers = containers.iter().map(|container| container_view::summary(container, now)).collect();
    }
    if wanted("image") {
        let read = |images: &Images| {
            Ok((images.list(&Filters::default(), false)?, images.stored_bytes()?, images.disk_bytes()?))
        };
        let (images, stored, bytes) = image::blocking(&call, read).await?;
        usage.layers_size = bytes.try_into().unwrap_or(i64::MAX);
        usage.images = images.into_iter().map(|image| used_image(&call, image, &stored)).collect();
    }
    if wanted("volume") {
        usage.volumes = volume::usage(&call).await?;
    }
    json(&usage)
}

/// There is no builder yet, so nothing is kept of builds.
async fn prune_builds(_: Call) -> Result<Response> {
    json(&BuildPruneResponse::default())
}

/// An image with the number of its containers, and what it takes and shares. That is more than what `images` shows: clients
/// subtract it from what all images take together.
fn used_image(call: &Call, image: dhow_image::Summary, stored: &BTreeMap<Digest, StoredBytes>) -> Summary {
    let users = call.engine().image_users(&image.id).len();
    let stored = stored.get(&image.id).copied();
    let bytes = |bytes: fn(StoredBytes) -> u64| stored.map_or(0, bytes).try_into().unwrap_or(i64::MAX);
    Summary {
        containers: users.try_into().unwrap_or(i64::MAX),
        size: bytes(|stored| stored.all),
        shared_size: bytes(|stored| stored.shared),
        ..wire::image::summary(image, call.version)
    }
}

/// Bytes an image shares with others.
pub(super) fn shared(image: &Digest, sizes: &BTreeMap<Digest, u64>) -> i64 {
    let bytes = sizes.get(image).copied().unwrap_or_default();
    bytes.try_into().unwrap_or(i64::MAX)
}
