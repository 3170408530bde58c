//! Volumes: lists only.

use dhow_api::volume::{ListResponse, Volume};
use dhow_errdefs::Result;

use super::route;
use crate::http::{Call, Response, Route, json};

pub(crate) const ROUTES: &[Route] = &[route!(GET "/volumes" => list)];

async fn list(call: Call) -> Result<Response> {
    json(&ListResponse { volumes: all(&call).await?, warnings: None })
}

/// Every volume.
pub(super) async fn all(_: &Call) -> Result<Vec<Volume>> {
    Ok(Vec::new())
}
