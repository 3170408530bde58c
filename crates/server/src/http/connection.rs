//! One connection: its requests, one after the other.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use dhow_api::query::Query;
use dhow_errdefs::{Error, Result};
use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;

use super::serve::End;
use super::sniff::{self, First, RawRequest};
use super::upload::RequestBody;
use super::{Call, Context, Hijack, Prefixed, Response, path, respond};
use crate::routes;

/// How long a connection may be idle between requests, and how long the first bytes may take; as dockerd has it.
const IDLE: Duration = Duration::from_secs(300);
/// Most bytes of a request's line and headers together, and of what is read ahead of a body.
const HEAD: usize = 256 * 1024;
/// Most headers of a request.
const HEADERS: usize = 100;

/// Serves a connection to its end, or until the server ends and no request is going on.
pub(super) async fn serve(context: Arc<Context>, mut stream: UnixStream, mut ended: End) {
    let first = tokio::select! {
        first = tokio::time::timeout(IDLE, sniff::first(&mut stream)) => match first {
            Ok(first) => first,
            Err(_) => return,
        },
        () = ended.wait() => return,
    };
    let outcome = match first {
        Ok(First::Raw(request)) => raw(context, request, stream, ended).await,
        Ok(First::Ordinary(prefix)) => http(context, Prefixed::new(prefix, stream), ended).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = outcome {
        tracing::debug!("connection: {error}");
    }
}

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

async fn http(context: Arc<Context>, stream: Prefixed, mut ended: End) -> Outcome {
    let service = service_fn(move |request| {
        let context = Arc::clone(&context);
        async move { Ok::<_, Infallible>(answer(context, request).await) }
    });
    let connection = http1::Builder::new()
        .title_case_headers(true)
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .max_headers(HEADERS)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection.with_upgrades());
    tokio::select! {
        served = connection.as_mut() => return served.map_err(Into::into),
        () = ended.wait() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(Into::into)
}

async fn answer(context: Arc<Context>, request: Request<Incoming>) -> Response {
    let server = context.server.clone();
    let response = route(context, request).await.unwrap_or_else(|error| respond::error(&error));
    respond::with_engine_headers(response, &server)
}

async fn route(context: Arc<Context>, mut request: Request<Incoming>) -> Result<Response> {
    let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let body = RequestBody::new(body);
    // Docker answers to this on every path.
    if parts.method == Method::OPTIONS {
        return Ok(respond::status_only(StatusCode::OK));
    }
    let (version, path) = path::split_version(parts.uri.path());
    let (route, name) = routes::find(&parts.method, path).ok_or_else(|| Error::not_found("page not found"))?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let call = Call { context, version: version?, name: name?, query, headers: parts.headers, body, upgrade };
    (route.handler)(call).await
}

/// A request read by hand. If it cannot be granted, or wants no raw connection after all, HTTP gets to see it.
async fn raw(context: Arc<Context>, request: RawRequest, stream: UnixStream, ended: End) -> Outcome {
    match hijack(&context, &request).await {
        Some(hijack) => {
            hijack.answer_raw(stream, request.leftover).await;
            Ok(())
        }
        None => http(context, Prefixed::new(request.all, stream), ended).await,
    }
}

async fn hijack(context: &Arc<Context>, request: &RawRequest) -> Option<Hijack> {
    let (target, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let (version, path) = path::split_version(target);
    let (route, name) = routes::find(&Method::POST, path)?;
    let prepare = route.hijack?;
    prepare(routes::Raw {
        context: Arc::clone(context),
        version: version.ok()?,
        name: name.ok()?,
        query: Query::parse(query),
        content_type: request.content_type.clone(),
        body: request.body.clone(),
    })
    .await
    .ok()?
}

/// Whether an accept failed because of that one connection, so that the next may succeed at once.
pub(super) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
