//! Logging in to registries.

use std::sync::Arc;

use dhow_api::system::{AuthConfig, AuthResponse};
use dhow_errdefs::{Error, Result};
use dhow_image::Credentials;

use super::route;
use crate::http::{Call, Response, Route, json, registry};

pub(crate) const ROUTES: &[Route] = &[route!(POST "/auth" => login)];

async fn login(mut call: Call) -> Result<Response> {
    let body = call.bytes().await?;
    let auth: AuthConfig = crate::http::read_json(&body)?;
    let credentials = Credentials::from_json(&body)?;
    let engine = Arc::clone(&call.context.engine);
    let registry = registry(&auth.server_address).to_owned();
    let asked = tokio::task::spawn_blocking(move || engine.login(&registry, &credentials)).await;
    let identity = asked.map_err(|cause| Error::internal("log in to a registry").with_cause(cause))??;
    json(&AuthResponse { status: "Login Succeeded".to_owned(), identity_token: identity.unwrap_or_default() })
}
