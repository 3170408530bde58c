//! What registries have: looked at, searched, and lists of manifests put there.

use std::sync::Arc;

use dhow_api::distribution::{Inspect, Pushed, SearchItem};
use dhow_engine::Engine;
use dhow_errdefs::{Error, Result};
use dhow_image::{Caller, Filters};
use dhow_oci::Reference;
use hyper::header::{CONTENT_TYPE, HeaderValue};

use super::route;
use crate::http::{Body, Call, Response, Route, json};

/// Those under `/manifest` are beyond Docker's API: Docker's own client speaks to registries by itself.
pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/distribution/{name..}/json" => inspect),
    route!(GET "/distribution/{name..}/manifest" => manifest),
    route!(POST "/distribution/{name..}/manifest" => put_index),
    route!(GET "/images/search" => search),
];

async fn inspect(call: Call) -> Result<Response> {
    let (name, caller) = asked(&call)?;
    let (descriptor, platforms) = registries(&call, move |engine| engine.registries().describe(&name, &caller)).await?;
    json(&Inspect {
        descriptor: serde_json::to_value(&descriptor).map_err(unwritable)?,
        platforms: platforms.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(unwritable)?,
    })
}

fn unwritable(cause: serde_json::Error) -> Error {
    Error::internal("write what a registry has").with_cause(cause)
}

/// The manifest as the registry has it.
async fn manifest(call: Call) -> Result<Response> {
    let (name, caller) = asked(&call)?;
    let found = registries(&call, move |engine| engine.registries().manifest(&name, &caller)).await?;
    let kind = HeaderValue::from_str(&found.media_type).unwrap_or(HeaderValue::from_static("application/json"));
    let mut response = Response::new(Body::full(found.bytes));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Stores the index in the body, after its manifests were taken over from the repositories that `source` names.
async fn put_index(mut call: Call) -> Result<Response> {
    let (name, caller) = asked(&call)?;
    let sources = call.query.all("source").map(Reference::parse).collect::<Result<Vec<_>>>()?;
    let index = call.bytes().await?;
    let put = move |engine: &Engine| engine.registries().put_index(&name, &index, &sources, &caller);
    let digest = registries(&call, put).await?;
    json(&Pushed { digest: digest.to_string() })
}

async fn search(call: Call) -> Result<Response> {
    let term = call.query.text("term").unwrap_or_default().to_owned();
    let (limit, filters, caller) = (call.number("limit")?, Filters(call.filters()?), caller(&call)?);
    let look = move |engine: &Engine| engine.registries().search(&term, limit, &filters, &caller);
    let found = registries(&call, look).await?;
    let item = |found: dhow_image::SearchResult| SearchItem {
        star_count: found.star_count,
        is_official: found.is_official,
        name: found.name,
        is_automated: false,
        description: found.description,
    };
    json(&found.into_iter().map(item).collect::<Vec<_>>())
}

fn asked(call: &Call) -> Result<(Reference, Caller)> {
    Ok((Reference::parse(&call.name)?.with_default_tag(), caller(call)?))
}

fn caller(call: &Call) -> Result<Caller> {
    Ok(Caller { credentials: call.credentials()?, insecure: call.query.flag("insecure") })
}

/// Asks registries on a thread that may wait for them.
async fn registries<T: Send + 'static>(
    call: &Call,
    work: impl FnOnce(&Engine) -> Result<T> + Send + 'static,
) -> Result<T> {
    let engine = Arc::clone(&call.context.engine);
    let done = tokio::task::spawn_blocking(move || work(&engine)).await;
    done.map_err(|cause| Error::internal("ask a registry").with_cause(cause))?
}
