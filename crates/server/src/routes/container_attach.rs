//! Attaching to containers, and the size of their terminals.

use std::sync::Arc;

use dhow_api::query::Query;
use dhow_api::stream;
use dhow_api::version::Version;
use dhow_engine::AttachOptions;
use dhow_errdefs::{Error, Result};

use super::{Raw, route};
use crate::http::{Call, Context, Framing, Hijack, Response, Route, WebSocket, raw_error, status_only};

pub(crate) const ROUTES: &[Route] = &[
    route!(POST "/containers/{id..}/attach" => attach, hijack attach_raw),
    route!(GET "/containers/{id..}/attach/ws" => attach_websocket),
    route!(POST "/containers/{id..}/resize" => resize),
];

async fn attach(call: Call) -> Result<Response> {
    let refuse = call.upgrade.is_none() && call.query.flag("stdin");
    match prepare(&call.context, call.version, call.name, &call.query).await {
        Ok(_) if refuse => Err(needs_upgrade()),
        Ok(hijack) => hijack.answer(call.upgrade),
        Err(error) => Ok(raw_error(&error)),
    }
}

async fn attach_raw(raw: Raw) -> Result<Option<Hijack>> {
    prepare(&raw.context, raw.version, raw.name, &raw.query).await.map(Some)
}

async fn prepare(context: &Arc<Context>, version: Version, name: String, query: &Query) -> Result<Hijack> {
    let options = AttachOptions {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        ..options(query)
    };
    let terminal = context.engine.attach_ready(&name, &options).await?;
    let handover = context.handovers.begin(&name);
    let engine = Arc::clone(&context.engine);
    Ok(Hijack::new(content_type(version, terminal), move |client| async move {
        engine.attach(&name, options, client, handover).await
    }))
}

/// What all ways to attach have in common.
fn options(query: &Query) -> AttachOptions {
    AttachOptions {
        stream: query.flag("stream"),
        logs: query.flag("logs"),
        detach_keys: query.text("detachKeys").map(str::to_owned),
        ..AttachOptions::default()
    }
}

async fn attach_websocket(call: Call) -> Result<Response> {
    let (query, name, engine) = (&call.query, call.name.clone(), Arc::clone(&call.context.engine));
    // Before 1.42 a web socket had all streams.
    let wanted = |stream| !call.version.at_least(42) || query.flag(stream);
    let options =
        AttachOptions { stdin: wanted("stdin"), stdout: wanted("stdout"), stderr: wanted("stderr"), ..options(query) };
    let terminal = engine.attach_ready(&name, &options).await?;
    let socket = WebSocket::asked(&call.headers, call.upgrade)?;
    let framing = Framing { multiplexed: !terminal, text: !call.version.at_least(28), stdin: options.stdin };
    let handover = call.context.handovers.begin(&name);
    Ok(socket.answer(framing, move |client| async move { engine.attach(&name, options, client, handover).await }))
}

/// How a stream is called: before 1.42 frames had no name of their own.
pub(crate) fn content_type(version: Version, terminal: bool) -> &'static str {
    if version.at_least(42) && !terminal { stream::MULTIPLEXED } else { stream::RAW }
}

/// A connection that has served requests before carries no input without an upgrade.
fn needs_upgrade() -> Error {
    Error::invalid("this connection cannot be hijacked for standard input")
        .with_hint("send `Connection: Upgrade` and `Upgrade: tcp`, or use a connection of its own")
}

async fn resize(call: Call) -> Result<Response> {
    let (rows, columns) = call.window()?;
    call.engine().resize(&call.name, rows, columns).await?;
    Ok(status_only(hyper::StatusCode::OK))
}
