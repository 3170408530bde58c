//! One request, as a handler sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use dhow_api::json::Fault;
use dhow_api::query::{self, Query};
use dhow_api::version::Version;
use dhow_engine::{Engine, Filters};
use dhow_errdefs::{Error, Result};
use dhow_image::Credentials;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Upload;
use super::handover::Handovers;
use super::turns::{Turn, Turns};
use super::upload::RequestBody;

/// Most bytes of a JSON body: a create request carries a seccomp profile at most.
const JSON_LIMIT: usize = 16 << 20;

/// What all requests share.
pub(crate) struct Context {
    pub(crate) engine: Arc<Engine>,
    pub(crate) handovers: Handovers,
    pub(crate) archives: Arc<Turns>,
    /// The `Server` header.
    pub(crate) server: HeaderValue,
}

/// A request whose operation is known.
pub(crate) struct Call {
    pub(crate) context: Arc<Context>,
    pub(crate) version: Version,
    /// The name in the path; empty for operations without one.
    pub(crate) name: String,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) body: RequestBody,
    /// Set if the client wants the connection for itself.
    pub(crate) upgrade: Option<OnUpgrade>,
}

impl Call {
    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.context.engine
    }

    /// The whole body, which must be small.
    pub(crate) async fn bytes(&mut self) -> Result<Bytes> {
        self.body.whole(JSON_LIMIT).await
    }

    /// The whole body, which must be small and said to be JSON.
    pub(crate) async fn json_text(&mut self) -> Result<Bytes> {
        let content_type = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        check_for_json(content_type, self.body.is_empty())?;
        self.bytes().await
    }

    /// A JSON body, read with Go's rules.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        read_json(&self.json_text().await?)
    }

    /// A JSON body that may be missing.
    pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T> {
        let text = self.json_text().await?;
        if text.trim_ascii().is_empty() { Ok(T::default()) } else { read_json(&text) }
    }

    /// Waits for the turn to work on an archive, which a thread does for as long as the client takes; keep it meanwhile.
    pub(crate) async fn archive_turn(&self) -> Turn {
        Arc::clone(&self.context.archives).take().await
    }

    /// The body as a stream for a blocking reader.
    pub(crate) fn upload(self) -> Upload {
        Upload::start(self.body)
    }

    /// The `filters` parameter.
    pub(crate) fn filters(&self) -> Result<Filters> {
        let text = self.query.get("filters").unwrap_or_default();
        query::parse_filters(text).map_err(|cause| Error::invalid("invalid filter").with_cause(cause))
    }

    /// What the client shows to the registry of an image (Engine API, "Authentication").
    pub(crate) fn credentials(&self) -> Result<Credentials> {
        Credentials::from_json(&self.encoded("x-registry-auth")?)
    }

    /// What the client shows to registries, by their hosts (Engine API, "Build an image", `X-Registry-Config`).
    pub(crate) fn credentials_by_registry(&self) -> Result<BTreeMap<String, Credentials>> {
        let json = self.encoded("x-registry-config")?;
        if json.is_empty() {
            return Ok(BTreeMap::new());
        }
        let invalid = |cause| Error::invalid("invalid X-Registry-Config header").with_cause(cause);
        let documents: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&json).map_err(invalid)?;
        let entry = |(address, document): (String, Box<RawValue>)| {
            Ok((registry(&address).to_owned(), Credentials::from_json(document.get().as_bytes())?))
        };
        documents.into_iter().map(entry).collect()
    }

    /// A header that carries JSON in base 64.
    fn encoded(&self, name: &str) -> Result<Vec<u8>> {
        let text = self.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        let text = text.trim_ascii_end();
        let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
        // Clients send both alphabets.
        let json = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
        json.map_err(|cause| Error::invalid(format!("invalid {name} header")).with_cause(cause))
    }

    /// A whole number, in the words of Go's parser.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.query.text(name) else { return Ok(None) };
        let wrong = |_| Error::invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(wrong)
    }

    /// Height and width of a terminal, which has fewer lines and columns than the API lets numbers be.
    pub(crate) fn window(&self) -> Result<(u16, u16)> {
        let side = |name, called| side(self.query.get(name).unwrap_or_default(), called);
        Ok((side("h", "height")?, side("w", "width")?))
    }
}

fn side(text: &str, called: &str) -> Result<u16> {
    let wrong = |why| Error::invalid(format!("invalid resize {called} {text:?}: {why}"));
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("invalid syntax"));
    }
    let number: u32 = text.parse().map_err(|_| wrong("value out of range"))?;
    Ok(number.try_into().unwrap_or(u16::MAX))
}

/// The host of an address as clients keep it, as in `https://index.docker.io/v1/`; without one the default registry.
pub(crate) fn registry(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => dhow_oci::DEFAULT_REGISTRY,
        host => host,
    }
}

/// Refuses a body that is not said to be JSON, as dockerd does: a page in a browser can send other kinds to any address
/// without being asked whether it may (Fetch standard, "CORS-safelisted request-header"). No body needs no kind.
pub(crate) fn check_for_json(content_type: Option<&[u8]>, empty: bool) -> Result<()> {
    let text = String::from_utf8_lossy(content_type.unwrap_or_default());
    if text.is_empty() && empty {
        return Ok(());
    }
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let malformed = |why: &str| Error::invalid(format!("malformed Content-Type header ({text}): mime: {why}"));
    if kind.is_empty() {
        return Err(malformed("no media type"));
    }
    if !parts.all(|part| {
        part.is_empty() || part.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
    }) {
        return Err(malformed("invalid media parameter"));
    }
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::invalid(format!("unsupported Content-Type header ({text}): must be 'application/json'")))
}

/// Reads JSON with Go's rules.
pub(crate) fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    if text.trim_ascii().is_empty() {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    dhow_api::json::from_slice(text).map_err(|cause| not_the_json(text, cause))
}

/// What is wrong with a body: in Go's words where it is no JSON, and in ours, which say where, when it is not the right one.
pub(crate) fn not_the_json(text: &[u8], cause: serde_json::Error) -> Error {
    match dhow_api::json::fault(text) {
        Some(Fault::Trailing) => Error::invalid("unexpected content after JSON"),
        Some(fault) => Error::invalid(format!("invalid JSON: {fault}")),
        None => Error::invalid("invalid JSON").with_cause(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_for_json, registry, side};

    #[test]
    fn sides_of_a_terminal_are_numbers() {
        let said = |text| side(text, "width").map_err(|error| error.to_string());
        assert_eq!((said("80"), said("70000")), (Ok(80), Ok(u16::MAX)));
        for text in ["", "x", "-", "+1"] {
            assert_eq!(said(text), Err(format!("invalid resize width {text:?}: invalid syntax")));
        }
        for text in ["-100", "4294967296"] {
            assert_eq!(said(text), Err(format!("invalid resize width {text:?}: value out of range")));
        }
    }

    #[test]
    fn addresses_are_hosts() {
        assert_eq!(registry("https://index.docker.io/v1/"), "docker.io");
        assert_eq!(registry(""), "docker.io");
        assert_eq!(registry("localhost:5000"), "localhost:5000");
        assert_eq!(registry("http://localhost:5000/v2/"), "localhost:5000");
    }

    #[test]
    fn a_body_is_said_to_be_json() {
        let refusal = |content_type: Option<&str>, empty| {
            let refused = check_for_json(content_type.map(str::as_bytes), empty);
            refused.err().map(|error| error.to_string()).unwrap_or_default()
        };
        for good in ["application/json", "Application/JSON; charset=utf-8", "application/json;"] {
            assert_eq!(refusal(Some(good), false), "", "{good}");
        }
        assert_eq!(refusal(None, true), "");
        let none = "malformed Content-Type header (): mime: no media type";
        assert_eq!((refusal(None, false).as_str(), refusal(Some(""), false).as_str()), (none, none));
        let plain = "unsupported Content-Type header (text/plain): must be 'application/json'";
        assert_eq!(
            (refusal(Some("text/plain"), false).as_str(), refusal(Some("text/plain"), true).as_str()),
            (plain, plain)
        );
        assert!(refusal(Some("application/json; charset"), false).contains("invalid media parameter"));
    }
}
