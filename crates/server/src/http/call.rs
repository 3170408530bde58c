//! One request, as a handler sees it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use dhow_api::query::{self, Query};
use dhow_api::version::Version;
use dhow_engine::{Engine, Filters};
use dhow_errdefs::{Error, Result};
use dhow_image::Credentials;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;

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

    /// A JSON body, read with Go's rules.
    pub(crate) async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        read_json(&self.bytes().await?)
    }

    /// A JSON body that may be missing.
    pub(crate) async fn json_or_default<T: DeserializeOwned + Default>(&mut self) -> Result<T> {
        let text = self.bytes().await?;
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
        let text = self.headers.get("x-registry-auth").map(HeaderValue::as_bytes).unwrap_or_default();
        let text = text.trim_ascii_end();
        let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
        // Clients send both alphabets.
        let json = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text));
        Credentials::from_json(
            &json.map_err(|cause| Error::invalid("invalid X-Registry-Auth header").with_cause(cause))?,
        )
    }

    /// A whole number, in the words of Go's parser.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        let Some(text) = self.query.text(name) else { return Ok(None) };
        let wrong = |_| Error::invalid(format!("strconv.Atoi: parsing {text:?}: invalid syntax"));
        text.parse().map(Some).map_err(wrong)
    }

    /// Height and width of a terminal.
    pub(crate) fn window(&self) -> Result<(u16, u16)> {
        let side = |name| self.number(name).map(Option::unwrap_or_default);
        Ok((side("h")?, side("w")?))
    }
}

/// Reads JSON with Go's rules.
pub(crate) fn read_json<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    if text.trim_ascii().is_empty() {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    dhow_api::json::from_slice(text).map_err(not_the_json)
}

/// What is wrong with a body, which says where.
pub(crate) fn not_the_json(cause: serde_json::Error) -> Error {
    Error::invalid("invalid JSON").with_cause(cause)
}
