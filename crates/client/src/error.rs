//! Failures on the way to the engine and answers that say no.

use std::io;

use dhow_errdefs::{Class, Error};
use hyper::StatusCode;
use serde::Deserialize;

use crate::Host;

#[derive(Deserialize)]
struct Refusal {
    message: String,
}

/// The engine's own words, from the JSON it sends with a refusal or, from proxies and old engines, from plain text.
pub(crate) fn message(status: StatusCode, body: &[u8]) -> String {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(body) {
        return refusal.message.trim().to_owned();
    }
    match String::from_utf8_lossy(body).trim() {
        "" => format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("")).trim().to_owned(),
        text => text.to_owned(),
    }
}

/// A refusal as an error.
pub(crate) fn refused(status: StatusCode, message: &str) -> Error {
    Error::new(class(status), format!("Error response from daemon: {message}"))
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
        assert_eq!(message(StatusCode::NOT_FOUND, br#"{"message":"No such container: x"}"#), "No such container: x");
        assert_eq!(message(StatusCode::BAD_GATEWAY, b"<html>\n"), "<html>");
        assert_eq!(message(StatusCode::BAD_GATEWAY, b""), "502 Bad Gateway");
        let error = refused(StatusCode::CONFLICT, "busy");
        assert_eq!((error.class(), error.to_string().as_str()), (Class::Conflict, "Error response from daemon: busy"));
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
