//! One call: a request, the way it is sent, and the kinds of answers.

use dhow_api::query::Query;
use dhow_api::version::Version;
use dhow_errdefs::{Error, Result};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue, UPGRADE, USER_AGENT};
use hyper::{Method, Request, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::body::{Payload, Upload};
use crate::connection::Connection;
use crate::path::{nameless, no_name};
use crate::{Bytestream, Client, Hijacked, Messages, error};

/// A request that has not been sent yet.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: Query,
    payload: Payload,
    content_type: Option<&'static str>,
    /// What is shown to registries, and the header that has it.
    logins: Option<(&'static str, String)>,
    upgrade: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn new(client: &'a Client, method: Method, path: impl Into<String>) -> Self {
        let (query, payload) = (Query::default(), Payload::Nothing);
        Self { client, method, path: path.into(), query, payload, content_type: None, logins: None, upgrade: false }
    }

    pub(crate) fn query(mut self, query: Query) -> Self {
        self.query = query;
        self
    }

    /// What is shown to several registries.
    pub(crate) fn registry_config(mut self, logins: Option<String>) -> Self {
        self.logins = logins.map(|logins| ("x-registry-config", logins));
        self
    }

    /// What to show to the registry of an image (Engine API, "Authentication"): JSON in the URL's alphabet of base64.
    pub(crate) fn registry_auth(mut self, auth: Option<String>) -> Self {
        self.logins = auth.map(|auth| ("x-registry-auth", auth));
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(body).map_err(|cause| Error::internal("encode a request").with_cause(cause))?;
        self.payload = Payload::Json(bytes.into());
        self.content_type = Some("application/json");
        Ok(self)
    }

    pub(crate) fn upload(mut self, upload: Upload) -> Self {
        self.payload = Payload::Stream(upload);
        self.content_type = Some("application/x-tar");
        self
    }

    /// Sends, waits for the answer and forgets what it says.
    pub(crate) async fn done(self) -> Result<()> {
        self.text().await.map(drop)
    }

    /// Sends and reads the whole answer.
    pub(crate) async fn text(self) -> Result<Vec<u8>> {
        let client = self.client;
        let (connection, response) = self.send().await?;
        let body = read_all(response).await?;
        client.put_back(connection);
        Ok(body)
    }

    /// Sends and reads the answer as one JSON document.
    pub(crate) async fn document<T: DeserializeOwned>(self) -> Result<T> {
        let path = self.path.clone();
        let body = self.text().await?;
        dhow_api::json::from_slice(&body).map_err(|cause| unreadable(&path, cause))
    }

    /// The same for a long list. Go's lenient rules are slower by half, and hardly any answer needs them: they are tried
    /// last. Text that is checked to be UTF-8 once need not be checked string by string.
    pub(crate) async fn long_list<T: DeserializeOwned>(self) -> Result<Vec<T>> {
        let path = self.path.clone();
        let body = self.text().await?;
        let strict = std::str::from_utf8(&body).ok().and_then(|text| serde_json::from_str(text).ok());
        strict.map_or_else(|| dhow_api::json::from_slice(&body), Ok).map_err(|cause| unreadable(&path, cause))
    }

    /// Sends and hands out the answer while it comes.
    pub(crate) async fn bytes(self) -> Result<Bytestream> {
        let (_, response) = self.send().await?;
        let content_type = content_type(&response);
        Ok(Bytestream::new(response.into_body(), content_type))
    }

    /// The same with one header of the answer.
    pub(crate) async fn bytes_with(self, header: &str) -> Result<(Bytestream, Option<String>)> {
        let (_, response) = self.send().await?;
        let (content_type, header) = (content_type(&response), text_of(&response, header));
        Ok((Bytestream::new(response.into_body(), content_type), header))
    }

    /// Sends and reads only one header of the answer.
    pub(crate) async fn header(self, header: &str) -> Result<Option<String>> {
        let client = self.client;
        let (connection, response) = self.send().await?;
        let header = text_of(&response, header);
        read_all(response).await?;
        client.put_back(connection);
        Ok(header)
    }

    /// Sends and hands out the answer as JSON documents while they come.
    pub(crate) async fn messages(self) -> Result<Messages> {
        self.bytes().await.map(Messages::new)
    }

    /// Sends and takes the connection over.
    pub(crate) async fn hijack(mut self) -> Result<Hijacked> {
        self.upgrade = true;
        let path = self.path.clone();
        let (_, response) = self.send().await?;
        let upgraded = hyper::upgrade::on(response).await.map_err(|cause| {
            Error::internal(format!("the daemon did not hand over the connection of {path}")).with_cause(cause)
        })?;
        Hijacked::new(upgraded)
    }

    /// Sends; an engine that is older than our version gets the same again in its own.
    async fn send(mut self) -> Result<(Connection, Response<Incoming>)> {
        if let Some(kind) = nameless(&self.path) {
            return Err(no_name(kind));
        }
        // What can be sent only once, and a question whose refusal has no words, need a version that is taken.
        if self.payload.again().is_none() || self.method == Method::HEAD {
            self.client.settle_version().await?;
        }
        loop {
            let version = self.client.api_version();
            let again = self.payload.again();
            let mut connection = self.client.take().await?;
            let response = connection.send(self.request(version)?).await?;
            let status = response.status();
            // 304 says that things are as they were asked to be: starting what runs is no failure.
            if status.is_success() || matches!(status.as_u16(), 101 | 304) {
                return Ok((connection, response));
            }
            let body = read_all(response).await?;
            let refusal = error::refusal(status, &body);
            self.client.put_back(connection);
            match again {
                Some(payload) if self.client.step_down(version, &refusal.message) => self.payload = payload,
                _ => return Err(error::refused(status, refusal)),
            }
        }
    }

    fn request(&mut self, version: Version) -> Result<Request<Payload>> {
        let query = self.query.to_string();
        let separator = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(format!("/v{version}{}{separator}{query}", self.path))
            .header(HOST, "dhow")
            .header(USER_AGENT, concat!("dhow-client/", env!("CARGO_PKG_VERSION")))
            .body(std::mem::replace(&mut self.payload, Payload::Nothing))
            .map_err(|cause| Error::invalid(format!("make a request for {}", self.path)).with_cause(cause))?;
        let headers = request.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some((name, logins)) = &self.logins {
            let value =
                HeaderValue::from_str(logins).map_err(|cause| Error::invalid("send credentials").with_cause(cause))?;
            headers.insert(*name, value);
        }
        if self.upgrade {
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
        }
        Ok(request)
    }
}

fn unreadable(path: &str, cause: serde_json::Error) -> Error {
    Error::data_loss(format!("read the daemon's answer to {path}")).with_cause(cause)
}

fn content_type(response: &Response<Incoming>) -> String {
    text_of(response, CONTENT_TYPE.as_str()).unwrap_or_default()
}

fn text_of(response: &Response<Incoming>, header: &str) -> Option<String> {
    response.headers().get(header)?.to_str().ok().map(str::to_owned)
}

pub(crate) async fn read_all(response: Response<Incoming>) -> Result<Vec<u8>> {
    Ok(response.into_body().collect().await.map_err(error::broken)?.to_bytes().into())
}
