//! What went wrong between a registry and us, in the words of Docker's users.

use dhow_errdefs::{Class, Error};
use dhow_oci::Reference;
use reqwest::StatusCode;
use serde::Deserialize;

use super::challenge::Challenge;

/// What was asked for: it decides what a refusal means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// A manifest by tag or digest.
    Manifest(&'a Reference),
    /// A blob of a repository.
    Blob(&'a Reference),
    /// To bring something.
    Push,
    /// To be known.
    Login,
}

/// Whether nobody answered, so that another endpoint may be tried.
pub(crate) fn unreachable(error: &Error) -> bool {
    error.class() == Class::Unavailable
}

/// A request that got no answer.
pub(super) fn of_transport(method: &str, url: &str, error: reqwest::Error) -> Error {
    let class = if error.is_redirect() { Class::Internal } else { Class::Unavailable };
    let host = error.url().and_then(|url| url.host_str()).unwrap_or_default().to_owned();
    let error = error.without_url();
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let chain: Vec<String> = chain.map(ToString::to_string).collect();
    if let Some(told) = lookup(&chain, &host) {
        let hint = "check the name, and the name servers in /etc/resolv.conf of the engine's host";
        return Error::new(class, format!("{method} {url:?}: {told}")).with_hint(hint);
    }
    let mut words = chain.last().cloned().unwrap_or_default();
    if error.is_redirect() {
        words = "too many redirects".to_owned();
    }
    if let Some(told) = secrecy(&words) {
        words = told;
    }
    // What the operating system says, without its number, as everywhere.
    if let Some((said, _)) = words.split_once(" (os error ") {
        words = said.to_lowercase();
    }
    Error::new(class, format!("{method} {url:?}: {words}"))
}

/// What went wrong with TLS, in the words of Go's `crypto/tls` and `net/http`, for what people search the web for.
fn secrecy(said: &str) -> Option<String> {
    if said.contains("InvalidContentType") {
        return Some("http: server gave HTTP response to HTTPS client".to_owned());
    }
    if let Some(alert) = said.strip_prefix("received fatal alert: ") {
        return Some(format!("remote error: tls: {}", spaced(alert)));
    }
    let wrong = said.strip_prefix("invalid peer certificate: ")?;
    let words = match wrong {
        "UnknownIssuer" => "certificate signed by unknown authority",
        _ if wrong.starts_with("Expired") || wrong.starts_with("certificate expired") => {
            "certificate has expired or is not yet valid"
        }
        other => other,
    };
    Some(format!("tls: failed to verify certificate: x509: {words}"))
}

/// `BadCertificate` as `bad certificate`.
fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

/// A name of a host that could not be resolved, in the words of Go's `net`: what the client's parts say names no host.
fn lookup(chain: &[String], host: &str) -> Option<String> {
    let at = chain.iter().position(|said| said.starts_with("dns error"))?;
    let said = chain[at..].last()?;
    // What was asked for may be the name of a proxy.
    let asked = said.split_once("Name(\"").and_then(|(_, rest)| rest.split_once('"'));
    let host = asked.map_or(host, |(name, _)| name.trim_end_matches('.'));
    Some(match said.contains("no records found") {
        true => format!("dial tcp: lookup {host}: no such host"),
        false => format!("dial tcp: lookup {host}: cannot be resolved: no name server answers ({said})"),
    })
}

/// The errors of an answer (OCI distribution-spec, "Error codes").
#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    errors: Vec<Entry>,
    /// What token servers say, the default registry's among them.
    #[serde(default)]
    details: String,
}

#[derive(Deserialize)]
pub(super) struct Entry {
    // Docker's clients take it in any case, and so servers write it.
    #[serde(default, alias = "Code")]
    code: String,
    #[serde(default, alias = "Message")]
    message: String,
}

/// The same from a server that says details only, or nothing that anybody understands.
fn detailed(status: StatusCode, details: String) -> Option<Entry> {
    let (code, usual) = match status {
        StatusCode::UNAUTHORIZED => ("UNAUTHORIZED", "authentication required"),
        StatusCode::TOO_MANY_REQUESTS => ("TOOMANYREQUESTS", ""),
        _ => ("UNKNOWN", ""),
    };
    let message = if details.is_empty() { usual.to_owned() } else { details };
    (!message.is_empty()).then(|| Entry { code: code.to_owned(), message })
}

/// What a challenge says of the rights that were shown (RFC 6750 section 3.1); it says so before the document does.
pub(super) fn of_challenge(challenge: &Challenge) -> Option<Entry> {
    let (code, usual) = match challenge.parameters.get("error")?.as_str() {
        "invalid_token" => ("UNAUTHORIZED", "authentication required"),
        "insufficient_scope" => ("DENIED", "requested access to the resource is denied"),
        _ => return None,
    };
    let described = challenge.parameters.get("error_description").filter(|words| !words.is_empty());
    Some(Entry { code: code.to_owned(), message: described.map_or(usual, String::as_str).to_owned() })
}

/// An answer that is a refusal, with what its challenges say.
pub(super) fn of_answer(status: StatusCode, body: &[u8], told: Option<Entry>, wanted: Wanted<'_>, url: &str) -> Error {
    let document: Document = serde_json::from_slice(body).unwrap_or_default();
    let first = document.errors.into_iter().next();
    let first =
        first.and_then(|entry| if entry.code.is_empty() { detailed(status, entry.message) } else { Some(entry) });
    let entry = told.or(first).or_else(|| detailed(status, document.details));
    let code = entry.as_ref().map_or_else(String::new, |entry| printable(&entry.code));
    let said = |entry: Entry| format!("{}: {}", spoken(&code), printable(&entry.message));
    let words = entry.map_or_else(|| unexpected(status, url), said);
    match (wanted, code.as_str(), status) {
        (Wanted::Login, ..) => {
            let (number, reason) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
            let text = format!("login attempt to {url} failed with status: {number} {reason}");
            Error::new(Class::Unauthenticated, text)
        }
        (Wanted::Manifest(name) | Wanted::Blob(name), "DENIED", _)
        | (Wanted::Manifest(name) | Wanted::Blob(name), "", StatusCode::FORBIDDEN) => Error::not_found(format!(
            "pull access denied for {}, repository does not exist or may require 'docker login': {words}",
            name.familiar_name()
        )),
        (Wanted::Manifest(name), "MANIFEST_UNKNOWN", _) | (Wanted::Manifest(name), "", StatusCode::NOT_FOUND) => {
            Error::not_found(format!("manifest for {} not found: {words}", name.familiar()))
        }
        (Wanted::Manifest(name) | Wanted::Blob(name), "NAME_UNKNOWN", _) => {
            Error::not_found(format!("repository {} not found: {words}", name.familiar_name()))
        }
        _ => Error::new(class(status), words),
    }
}

/// What a registry says is printed on terminals, and is not to steer them.
pub(super) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Nobody showed who they are, and the registry insists.
pub(super) fn no_credentials(method: &str, url: &str, wanted: Wanted<'_>, name: &Reference) -> Error {
    let words = "no basic auth credentials";
    let text = match wanted {
        // Docker's pushes say only that.
        Wanted::Push => words.to_owned(),
        _ => format!("{method} {url:?}: {words}"),
    };
    Error::new(Class::Unauthenticated, text).with_hint(log_in(name))
}

fn log_in(name: &Reference) -> String {
    format!("log in first: `dhow login {}`", name.registry())
}

/// `MANIFEST_UNKNOWN` as Docker prints it: `manifest unknown`.
fn spoken(code: &str) -> String {
    code.to_ascii_lowercase().replace('_', " ")
}

fn unexpected(status: StatusCode, url: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("unknown status");
    format!("unexpected status from {url}: {} {reason}", status.as_u16())
}

fn class(status: StatusCode) -> Class {
    match status {
        StatusCode::NOT_FOUND => Class::NotFound,
        StatusCode::UNAUTHORIZED => Class::Unauthenticated,
        StatusCode::FORBIDDEN => Class::PermissionDenied,
        StatusCode::TOO_MANY_REQUESTS => Class::ResourceExhausted,
        status if status.is_server_error() => Class::Internal,
        _ => Class::InvalidArgument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_dockers_words() {
        let name = Reference::parse("localhost:5000/app:1").expect("a name");
        let answer = |status, code: &str, message: &str| {
            let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}","detail":{{}}}}]}}"#);
            of_answer(
                status,
                body.as_bytes(),
                None,
                Wanted::Manifest(&name),
                "http://localhost:5000/v2/app/manifests/1",
            )
        };
        let error = answer(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown");
        assert_eq!(error.class(), Class::NotFound);
        assert_eq!(
            error.to_string(),
            "manifest for localhost:5000/app:1 not found: manifest unknown: manifest unknown"
        );
        let error = answer(StatusCode::UNAUTHORIZED, "DENIED", "requested access to the resource is denied");
        assert_eq!(
            error.to_string(),
            "pull access denied for localhost:5000/app, repository does not exist or may require 'docker login': \
             denied: requested access to the resource is denied"
        );
    }

    #[test]
    fn a_name_that_cannot_be_resolved_is_named() {
        let chain =
            |said: &str| ["error sending request", "client error (Connect)", "dns error", said].map(str::to_owned);
        let told = |said: &str| lookup(&chain(said), "r.example").expect("a lookup");
        assert_eq!(
            told("no connections available"),
            "dial tcp: lookup r.example: cannot be resolved: no name server answers (no connections available)"
        );
        let missing = r#"DNS error: no records found for Query { name: Name("proxy.example."), query_type: A }"#;
        assert_eq!(told(missing), "dial tcp: lookup proxy.example: no such host");
        assert_eq!(lookup(&["tcp connect error".to_owned()], "r.example"), None);
    }

    #[test]
    fn what_a_registry_says_steers_no_terminal() {
        let body = br#"{"errors":[{"code":"DE\u001b[2JNIED","message":"no\u001b]0;title\u0007\nnew line"}]}"#;
        let error = of_answer(StatusCode::FORBIDDEN, body, None, Wanted::Push, "http://x/v2/");
        assert_eq!(error.to_string(), "de [2jnied: no ]0;title  new line");
    }

    #[test]
    fn rights_that_do_not_suffice_are_told_as_such() {
        let name = Reference::parse("localhost:5000/app").expect("a name");
        let header = r#"Bearer realm="http://x/token",scope="repository:app:pull",error="insufficient_scope""#;
        let told = crate::registry::challenge::parse(header).iter().find_map(of_challenge);
        let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        let error = of_answer(StatusCode::UNAUTHORIZED, body, told, Wanted::Manifest(&name), "http://x/v2/");
        assert_eq!(
            error.to_string(),
            "pull access denied for localhost:5000/app, repository does not exist or may require 'docker login': \
             denied: requested access to the resource is denied"
        );
    }

    #[test]
    fn what_a_token_server_says_is_passed_on() {
        let body = br#"{"details":"incorrect username or password"}"#;
        let error = of_answer(StatusCode::UNAUTHORIZED, body, None, Wanted::Push, "http://x/token");
        assert_eq!(error.to_string(), "unauthorized: incorrect username or password");
    }

    #[test]
    fn an_answer_without_words_is_named_by_its_status() {
        let name = Reference::parse("app").expect("a name");
        let error = of_answer(StatusCode::BAD_GATEWAY, b"<html>", None, Wanted::Blob(&name), "http://x/v2/");
        assert_eq!(error.to_string(), "unexpected status from http://x/v2/: 502 Bad Gateway");
        let refused = |body: &[u8]| of_answer(StatusCode::UNAUTHORIZED, body, None, Wanted::Push, "http://x/token");
        for body in [&b"<html>"[..], br#"{"error": "unauthorized"}"#] {
            assert_eq!(refused(body).to_string(), "unauthorized: authentication required");
        }
        for body in [
            &br#"{"errors":[{"Code":"UNAUTHORIZED","Message":"not you"}]}"#[..],
            br#"{"errors":[{"message":"not you"}]}"#,
        ] {
            assert_eq!(refused(body).to_string(), "unauthorized: not you");
        }
    }
}
