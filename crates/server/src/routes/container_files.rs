//! Containers' files: changes, archives in and out, images of containers.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dhow_api::container::{CommitResponse, CreateRequest, FileMode, FilesystemChange, PathStat};
use dhow_engine::{ArchiveSink, ChangeKind, CommitRequest, ExtractOptions};
use dhow_errdefs::{Error, Result};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::image::reference;
use super::route;
use crate::http::{Body, Call, ChunkWriter, Response, Route, json, not_the_json, plain_json, status_only};
use crate::wire::{self, container_spec, time};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/containers/{id..}/changes" => changes),
    route!(GET "/containers/{id..}/export" => export),
    route!(HEAD "/containers/{id..}/archive" => stat),
    route!(GET "/containers/{id..}/archive" => copy_out),
    route!(PUT "/containers/{id..}/archive" => copy_in),
    route!(POST "/commit" => commit),
];

/// Tells what is at a path beside the archive of it.
const PATH_STAT: HeaderName = HeaderName::from_static("x-docker-container-path-stat");

async fn changes(call: Call) -> Result<Response> {
    let changes = call.engine().changes(&call.name).await?;
    let change = |change: dhow_engine::Change| FilesystemChange {
        path: change.path.to_string_lossy().into_owned(),
        kind: match change.kind {
            ChangeKind::Modified => 0,
            ChangeKind::Added => 1,
            ChangeKind::Deleted => 2,
        },
    };
    json(&wire::null_if_empty(changes.into_iter().map(change).collect::<Vec<_>>()))
}

async fn export(call: Call) -> Result<Response> {
    let (pieces, body) = Body::pieces();
    call.engine().export(&call.name, Box::new(ChunkWriter::new(pieces))).await?;
    Ok(typed(body, "application/octet-stream"))
}

fn typed(body: Body, kind: &'static str) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl ArchiveSink for ChunkWriter {
    fn finish(self: Box<Self>, outcome: Result<()>) {
        if let Err(error) = &outcome {
            tracing::warn!("an archive of a container ends early: {error}");
        }
        ChunkWriter::finish(*self, outcome);
    }
}

/// The path that is asked for, in Docker's words if there is none.
fn path(call: &Call) -> Result<String> {
    let path = call.query.text("path").map(str::to_owned);
    path.ok_or_else(|| Error::invalid("bad parameter: pathcannot be empty"))
}

async fn stat(call: Call) -> Result<Response> {
    let stat = call.engine().path_stat(&call.name, &path(&call)?).await?;
    with_stat(status_only(StatusCode::OK), &stat)
}

async fn copy_out(call: Call) -> Result<Response> {
    let (pieces, body) = Body::pieces();
    let stat = call.engine().copy_out(&call.name, &path(&call)?, Box::new(ChunkWriter::new(pieces))).await?;
    with_stat(typed(body, "application/x-tar"), &stat)
}

fn with_stat(mut response: Response, stat: &dhow_engine::PathStat) -> Result<Response> {
    let shown = PathStat {
        name: stat.name.clone(),
        size: i64::try_from(stat.size).unwrap_or(i64::MAX),
        mode: FileMode::from_stat(stat.mode),
        mtime: time::text(Some(stat.mtime)),
        link_target: stat.link_target.clone(),
    };
    let text = serde_json::to_vec(&shown).map_err(|cause| Error::internal("write JSON").with_cause(cause))?;
    let value = HeaderValue::try_from(STANDARD.encode(text));
    let value = value.map_err(|cause| Error::internal("write a header").with_cause(cause))?;
    response.headers_mut().insert(PATH_STAT, value);
    Ok(response)
}

async fn copy_in(call: Call) -> Result<Response> {
    let path = path(&call)?;
    let options =
        ExtractOptions { users: call.query.flag("copyUIDGID"), keeps_kinds: call.query.flag("noOverwriteDirNonDir") };
    let (engine, name) = (Arc::clone(&call.context.engine), call.name.clone());
    engine.copy_in(&name, &path, options, Box::new(call.upload())).await?;
    Ok(status_only(StatusCode::OK))
}

async fn commit(mut call: Call) -> Result<Response> {
    let text = call.json_text().await?;
    let config = match text.trim_ascii() {
        b"" | b"null" => None,
        text => {
            let request = CreateRequest::from_slice(text);
            let request = request.map_err(|cause| not_the_json(text, cause))?;
            Some(container_spec::spec(request)?)
        }
    };
    let query = &call.query;
    let given = |name| query.text(name).unwrap_or_default().to_owned();
    let request = CommitRequest {
        container: given("container"),
        reference: query.text("repo").map(|name| reference(name, query.text("tag"))).transpose()?,
        // It is frozen unless somebody says no.
        pause: query.text("pause").is_none() || query.flag("pause"),
        changes: query.all("changes").map(str::to_owned).collect(),
        author: given("author"),
        message: given("comment"),
        config,
    };
    let image = call.engine().commit(request).await?;
    plain_json(StatusCode::CREATED, &CommitResponse { id: image.to_string() })
}
