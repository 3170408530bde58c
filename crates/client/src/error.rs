//! Failures on the way to the engine and answers that say no.

use std::io;

use dhow_errdefs::{Class, Error};
use hyper::StatusCode;
use serde::Deserialize;

use crate::Host;

/// Why an engine refuses.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) message: String,
    /// What our own engine advises.
    #[serde(default)]
    hint: String,
}

/// The engine's own words, from the JSON it sends with a refusal or, from proxies and old engines, from plain text.
pub(crate) fn refusal(status: StatusCode, body: &[u8]) -> Refusal {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => Refusal { message: refusal.message.trim().to_owned(), ..refusal },
        Err(_) => Refusal { message: plain(status, body), hint: String::new() },
    }
}

fn plain(status: StatusCode, body: &[u8]) -> String {
    match String::from_utf8_lossy(body).trim() {
        "" => format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("")).trim().to_owned(),
        text => text.to_owned(),
    }
}

/// A refusal as an error.
pub(crate) fn refused(status: StatusCode, refusal: Refusal) -> Error {
    let error = Error::new(class(status), format!("Error response from daemon: {}", refusal.message));
    if refusal.hint.is_empty() { error } else { error.with_hint(refusal.hint) }
}

fn class(status: StatusCode) -> Class {
    match status.as_u16() {
        304 => Class::NotModified,
        400 => Class::InvalidArgument,
        401 => Class::Unauthenticated,
        403 => Class::PermissionDenied,
        404 => Class::NotFound,
        409 => Class::Conflict,
        501 => Class::NotImplemented,
        503 => Class::Unavailable,
        _ => Class::Internal,
    }
}

/// Nobody answers, or not to us.
pub(crate) fn unreachable(host: &Host, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Error::denied(format!("permission denied while trying to connect to the Docker daemon socket at {host}"))
                .with_cause(error)
        }
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            Error::unavailable(format!("Cannot connect to the Docker daemon at {host}. Is the docker daemon running?"))
        }
        _ => Error::unavailable(format!("error during connect to {host}")).with_cause(error),
    }
}

/// The connection broke in the middle of a call.
pub(crate) fn broken(error: hyper::Error) -> Error {
    let strange = error.is_parse();
    let broken = Error::unavailable("error during connect: the connection to the daemon broke").with_cause(error);
    match strange {
        true => broken.with_hint("what answers there speaks no HTTP; if it speaks TLS, give --tlsverify"),
        false => broken,
    }
}

/// The engine went away in the middle of what it had to say; in Go's words.
pub(crate) fn cut() -> Error {
    Error::unavailable("unexpected EOF")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_words_are_kept() {
        let message = |status, body: &[u8]| refusal(status, body).message;
        assert_eq!(message(StatusCode::NOT_FOUND, br#"{"message":"No such container: x"}"#), "No such container: x");
        assert_eq!(message(StatusCode::BAD_GATEWAY, b"<html>\n"), "<html>");
        assert_eq!(message(StatusCode::BAD_GATEWAY, b""), "502 Bad Gateway");
        let error = refused(StatusCode::CONFLICT, refusal(StatusCode::CONFLICT, br#"{"message":"busy"}"#));
        assert_eq!((error.class(), error.to_string().as_str()), (Class::Conflict, "Error response from daemon: busy"));
        assert_eq!(error.hint(), None);
        let hinted = refusal(StatusCode::CONFLICT, br#"{"message":"busy","hint":"wait"}"#);
        assert_eq!(refused(StatusCode::CONFLICT, hinted).hint(), Some("wait"));
    }

    #[test]
    fn a_missing_socket_is_said_in_dockers_words() {
        let host: Host = "unix:///nope".parse().unwrap();
        let error = unreachable(&host, io::ErrorKind::NotFound.into());
        assert_eq!(
            error.to_string(),
            "Cannot connect to the Docker daemon at unix:///nope. Is the docker daemon running?"
        );
    }
}
