//! Logging in to registries.

use dhow_errdefs::{Error, Result};

use super::route;
use crate::http::{Call, Response, Route};

pub(crate) const ROUTES: &[Route] = &[route!(POST "/auth" => login)];

async fn login(_: Call) -> Result<Response> {
    Err(Error::not_implemented("cannot check credentials: the engine does not speak to registries yet"))
}
