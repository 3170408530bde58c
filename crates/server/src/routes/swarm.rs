//! What can be asked of a node of a swarm, at a node that is in none: the answers by which clients know that.

use dhow_errdefs::{Error, Result, message};
use hyper::Method;

use super::route;
use crate::http::{Call, Pattern, Response, Route};

/// One operation of managers.
macro_rules! managers {
    ($($method:ident $pattern:literal)*) => {
        &[$(Route {
            method: Method::$method,
            pattern: const { Pattern::new($pattern) },
            handler: |call| Box::pin(no_manager(call)),
            hijack: None,
        }),*]
    };
}

/// Operations of every node.
pub(super) const ROUTES: &[Route] = &[route!(POST "/swarm/leave" => leave)];

/// Operations of managers.
pub(super) static MANAGERS: &[Route] = managers! {
    GET "/swarm"
    POST "/swarm/update"
    POST "/swarm/unlock"
    GET "/swarm/unlockkey"
    GET "/nodes"
    GET "/nodes/{id}"
    POST "/nodes/{id}/update"
    DELETE "/nodes/{id}"
    GET "/services"
    POST "/services/create"
    GET "/services/{id}"
    GET "/services/{id}/logs"
    POST "/services/{id}/update"
    DELETE "/services/{id}"
    GET "/tasks"
    GET "/tasks/{id}"
    GET "/tasks/{id}/logs"
    GET "/secrets"
    POST "/secrets/create"
    GET "/secrets/{id}"
    POST "/secrets/{id}/update"
    DELETE "/secrets/{id}"
    GET "/configs"
    POST "/configs/create"
    GET "/configs/{id}"
    POST "/configs/{id}/update"
    DELETE "/configs/{id}"
};

/// Clients that clean up leave whatever there is to leave, and take this answer for "done".
async fn leave(_: Call) -> Result<Response> {
    Err(Error::unavailable(message::NO_SWARM))
}

async fn no_manager(_: Call) -> Result<Response> {
    Err(Error::unavailable(message::NO_SWARM_MANAGER))
}
