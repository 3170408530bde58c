//! The operations of the API, one file per resource.

mod auth;
mod container;
mod container_attach;
mod container_files;
mod container_logs;
mod container_stats;
mod distribution;
mod event;
mod exec;
mod image;
mod image_archive;
mod image_pull;
mod image_push;
mod later;
mod network;
mod raw;
mod swarm;
mod system;
mod volume;

use dhow_errdefs::Result;
use hyper::Method;

use crate::http::Route;

pub(crate) use raw::{Prepared, Raw};

/// `route!(GET "/info" => system::info)`, with `hijack function` where an operation may take the connection over.
macro_rules! route {
    ($method:ident $pattern:literal => $handler:path) => {
        $crate::routes::route!($method $pattern => $handler, None)
    };
    ($method:ident $pattern:literal => $handler:path, hijack $hijack:path) => {
        $crate::routes::route!($method $pattern => $handler, Some(|raw| Box::pin($hijack(raw))))
    };
    ($method:ident $pattern:literal => $handler:path, $hijack:expr) => {
        $crate::http::Route {
            method: hyper::Method::$method,
            pattern: const { $crate::http::Pattern::new($pattern) },
            handler: |call| Box::pin($handler(call)),
            hijack: $hijack,
        }
    };
}
pub(crate) use route;

/// Everything; the resources of the start path come first.
static ALL: [&[Route]; 16] = [
    container::ROUTES,
    container_attach::ROUTES,
    container_logs::ROUTES,
    container_stats::ROUTES,
    container_files::ROUTES,
    exec::ROUTES,
    system::ROUTES,
    image::ROUTES,
    image_archive::ROUTES,
    image_push::ROUTES,
    distribution::ROUTES,
    event::ROUTES,
    network::ROUTES,
    volume::ROUTES,
    auth::ROUTES,
    swarm::ROUTES,
];

/// The operation a request means and the name in its path.
pub(crate) fn find(method: &Method, path: &str) -> Option<(&'static Route, Result<String>)> {
    let mut routes = ALL.iter().copied().flatten().chain(swarm::MANAGERS).chain(later::routes());
    routes.find_map(|route| Some((route, route.matches(method, path)?)))
}
