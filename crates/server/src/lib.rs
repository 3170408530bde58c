//! The Docker Engine API over HTTP: routes, conversion, versions, hijacking.
//!
//! The only crate that knows both sides: the wire types of `dhow_api` come in and go out here, and inwards everything is
//! the engine's own. [`serve`] answers on the given listeners until it is told to end.
//!
//! * [`http`] holds what is true for every request: connections, versions, paths, bodies, statuses, hijacking;
//! * [`routes`] holds one file per resource: what is read from a request and which method of the engine it means;
//! * [`wire`] turns wire types into the engine's and back, without any I/O.
//!
//! Invariants: a request body is never held in memory as a whole unless it is small JSON; a slow client holds up nothing
//! but itself; whatever of Docker's API is not there yet answers 501 with the name of the operation.

mod http;
mod routes;
mod wire;

pub use http::{Listener, NetworkDoor, Tls, TlsFiles, serve};
