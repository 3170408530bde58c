//! Logging in to registries.

use std::sync::Arc;

use dhow_api::system::{AuthConfig, AuthResponse};
use dhow_errdefs::{Error, Result};
use dhow_image::Credentials;

use super::route;
use crate::http::{Call, Response, Route, json};

pub(crate) const ROUTES: &[Route] = &[route!(POST "/auth" => login)];

async fn login(mut call: Call) -> Result<Response> {
    let body = call.bytes().await?;
    let auth: AuthConfig = crate::http::read_json(&body)?;
    let credentials = Credentials::from_json(&body)?;
    let engine = Arc::clone(&call.context.engine);
    let registry = registry(&auth.server_address).to_owned();
    let asked = tokio::task::spawn_blocking(move || engine.login(&registry, &credentials)).await;
    asked.map_err(|cause| Error::internal("log in to a registry").with_cause(cause))??;
    json(&AuthResponse { status: "Login Succeeded".to_owned(), identity_token: String::new() })
}

/// The host of an address as clients keep it, as in `https://index.docker.io/v1/`; without one the default registry.
fn registry(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "" | "index.docker.io" | "registry-1.docker.io" => dhow_oci::DEFAULT_REGISTRY,
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts() {
        assert_eq!(registry("https://index.docker.io/v1/"), "docker.io");
        assert_eq!(registry(""), "docker.io");
        assert_eq!(registry("localhost:5000"), "localhost:5000");
        assert_eq!(registry("http://localhost:5000/v2/"), "localhost:5000");
    }
}
