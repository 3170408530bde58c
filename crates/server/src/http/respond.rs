//! Answers and the headers Docker puts on them.

use std::pin::Pin;

use bytes::Bytes;
use dhow_api::error::ErrorResponse;
use dhow_api::stream;
use dhow_api::version::Version;
use dhow_errdefs::{Class, Error, Result};
use hyper::StatusCode;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, SERVER};
use serde::Serialize;

use super::{Body, status};

pub(crate) type Response = hyper::Response<Body>;

/// What a handler gives: an answer later, or a failure that becomes one.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// 200 with a JSON document.
pub(crate) fn json<T: Serialize>(value: &T) -> Result<Response> {
    plain_json(StatusCode::OK, value)
}

/// Bytes that a thing in a long list may take; more is right, too, but has to be copied.
const LIST_ITEM: usize = 1024;

/// 200 with a JSON list of so many things.
pub(crate) fn json_list<T: Serialize>(value: &T, count: usize) -> Result<Response> {
    document(StatusCode::OK, value, Vec::with_capacity(count * LIST_ITEM))
}

/// A JSON document with another status.
pub(crate) fn plain_json<T: Serialize>(code: StatusCode, value: &T) -> Result<Response> {
    document(code, value, Vec::new())
}

/// Go ends every document with a line feed.
fn document<T: Serialize>(code: StatusCode, value: &T, mut text: Vec<u8>) -> Result<Response> {
    serde_json::to_writer(&mut text, value).map_err(|cause| Error::internal("write JSON").with_cause(cause))?;
    text.push(b'\n');
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(response)
}

/// 200 with a stream of JSON documents, or one that comes later.
pub(crate) fn json_stream(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// 204.
pub(crate) fn no_content() -> Response {
    status_only(StatusCode::NO_CONTENT)
}

/// A status and nothing else.
pub(crate) fn status_only(code: StatusCode) -> Response {
    let mut response = Response::new(Body::full(Bytes::new()));
    *response.status_mut() = code;
    response
}

/// The status of a failure; one that is the engine's is logged.
fn noted(error: &Error) -> StatusCode {
    let code = status::of(error.class());
    if code.is_server_error() && error.class() != Class::NotImplemented {
        tracing::error!("{error}");
    }
    code
}

/// A failure to attach: dockerd has the connection to itself by then, writes plain text on it and closes it.
pub(crate) fn raw_error(error: &Error) -> Response {
    let mut response = Response::new(Body::full(format!("{error}\r\n")));
    *response.status_mut() = noted(error);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(stream::RAW));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A failure, in Docker's shape. "Not modified" has no body (RFC 9110, 15.4.5).
pub(crate) fn error(error: &Error) -> Response {
    let code = noted(error);
    if code == StatusCode::NOT_MODIFIED {
        return status_only(code);
    }
    let body = ErrorResponse { message: error.to_string(), hint: error.hint().unwrap_or_default().to_owned() };
    plain_json(code, &body).unwrap_or_else(|_| status_only(code))
}

/// Adds what every answer carries.
pub(crate) fn with_engine_headers(mut response: Response, server: &HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("api-version"), api_version());
    headers.insert(HeaderName::from_static("docker-experimental"), HeaderValue::from_static("false"));
    headers.insert(HeaderName::from_static("ostype"), HeaderValue::from_static("linux"));
    headers.insert(SERVER, server.clone());
    response
}

fn api_version() -> HeaderValue {
    HeaderValue::try_from(Version::MAX.to_string()).expect("digits and a point are a header's value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_become_dockers_errors() {
        let response = error(&Error::not_found("No such container: x"));
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
        assert_eq!(response.into_body().into_full().expect("not streamed"), "{\"message\":\"No such container: x\"}\n");
    }

    #[test]
    fn a_failure_to_attach_is_plain_text_and_the_last_word() {
        let response = raw_error(&Error::not_found("No such container: x"));
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/vnd.docker.raw-stream");
        assert_eq!(response.headers()[CONNECTION], "close");
        assert_eq!(response.into_body().into_full().expect("not streamed"), "No such container: x\r\n");
    }

    #[test]
    fn not_modified_has_no_body() {
        let response = error(&Error::not_modified("already started"));
        assert_eq!(response.status(), 304);
        assert!(response.into_body().into_full().expect("not streamed").is_empty());
    }
}
