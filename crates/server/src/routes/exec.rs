//! Further processes in running containers.

use std::sync::Arc;

use dhow_api::exec::{CreateRequest, CreateResponse, StartRequest};
use dhow_api::version::Version;
use dhow_engine::ExecStartOptions;
use dhow_errdefs::{Error, Result, message};
use hyper::StatusCode;

use super::container::of_the_program;
use super::container_attach::content_type;
use super::{Raw, route};
use crate::http::{Call, Context, Hijack, Response, Route, check_for_json, json, plain_json, read_json, status_only};
use crate::wire;

pub(crate) const ROUTES: &[Route] = &[
    route!(POST "/containers/{id..}/exec" => create),
    route!(POST "/exec/{id}/start" => start, hijack start_raw),
    route!(POST "/exec/{id}/resize" => resize),
    route!(GET "/exec/{id}/json" => inspect),
];

async fn create(mut call: Call) -> Result<Response> {
    let request: CreateRequest = call.json().await?;
    if request.cmd.as_ref().is_none_or(Vec::is_empty) {
        return Err(Error::invalid("No exec command specified"));
    }
    let id = call.engine().exec_create(&call.name, wire::exec::spec(request)).await?;
    plain_json(StatusCode::CREATED, &CreateResponse { id })
}

async fn start(mut call: Call) -> Result<Response> {
    let request: StartRequest = call.json_or_default().await?;
    if request.detach {
        let started = call.engine().exec_start(&call.name, options(&request), None).await;
        started.map_err(|error| of_the_program(error, &message::no_such_exec(&call.name)))?;
        return Ok(status_only(StatusCode::OK));
    }
    prepare(&call.context, call.version, call.name, &request).await?.answer(call.upgrade)
}

async fn start_raw(raw: Raw) -> Result<Option<Hijack>> {
    check_for_json(raw.content_type.as_deref(), raw.body.is_empty())?;
    let request: StartRequest = if raw.body.is_empty() { StartRequest::default() } else { read_json(&raw.body)? };
    if request.detach {
        return Ok(None);
    }
    prepare(&raw.context, raw.version, raw.name, &request).await.map(Some)
}

async fn prepare(context: &Arc<Context>, version: Version, id: String, request: &StartRequest) -> Result<Hijack> {
    context.engine.exec_ready(&id).await?;
    let (engine, options) = (Arc::clone(&context.engine), options(request));
    // The start's word counts here, not the creation's.
    let content_type = content_type(version, request.tty);
    Ok(Hijack::new(content_type, move |client| async move { engine.exec_start(&id, options, Some(client)).await }))
}

fn options(request: &StartRequest) -> ExecStartOptions {
    ExecStartOptions { detach: request.detach, tty: Some(request.tty), console_size: request.console_size }
}

async fn resize(call: Call) -> Result<Response> {
    let (rows, columns) = call.window()?;
    call.engine().exec_resize(&call.name, rows, columns).await?;
    Ok(status_only(StatusCode::OK))
}

async fn inspect(call: Call) -> Result<Response> {
    let version = call.version;
    json(&wire::exec::inspect(&call.engine().exec_inspect(&call.name).await?, version))
}
