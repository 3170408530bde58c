//! The operations of the API that dhow does not have yet: each says so by name, instead of "page not found".

use dhow_errdefs::{Error, Result};
use hyper::Method;

use crate::http::{Call, Pattern, Response, Route};

/// One operation that comes later.
macro_rules! later {
    ($($method:ident $pattern:literal $name:literal)*) => {
        &[$(Route {
            method: Method::$method,
            pattern: const { Pattern::new($pattern) },
            handler: |call| Box::pin(refuse(call, $name)),
            hijack: None,
        }),*]
    };
}

static LATER: &[Route] = later! {
    POST "/build" "building images"
    POST "/build/cancel" "cancelling builds"
    POST "/session" "build sessions"
    POST "/grpc" "build sessions"
    GET "/plugins/privileges" "plugins"
    POST "/plugins/pull" "plugins"
    POST "/plugins/create" "plugins"
    POST "/plugins/{name..}/enable" "plugins"
    POST "/plugins/{name..}/disable" "plugins"
    POST "/plugins/{name..}/push" "plugins"
    POST "/plugins/{name..}/upgrade" "plugins"
    POST "/plugins/{name..}/set" "plugins"
    DELETE "/plugins/{name..}" "plugins"
    POST "/swarm/init" "swarm mode"
    POST "/swarm/join" "swarm mode"
};

pub(super) fn routes() -> &'static [Route] {
    LATER
}

async fn refuse(_: Call, operation: &str) -> Result<Response> {
    Err(Error::not_implemented(format!("{operation}: not available yet")))
}
