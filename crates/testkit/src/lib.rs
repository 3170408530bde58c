//! Worlds for tests: every test gets its own engine, its own data, its own images, and leaves nothing behind.
//!
//! A [`World`] starts the real binary with roots, socket and cgroup parent of its own. Dropping it removes what the test
//! made, stops the engine and then looks for leftovers: a process, mount or cgroup of that world still there fails the
//! test. Nothing in here is linked into the product.

mod census;
mod disk;
mod door;
mod engine;
mod footprint;
mod gate;
mod helper;
mod isolation;
mod leftovers;
mod mask;
mod outcome;
mod registry;
mod request;
mod results;
mod rootfs;
mod script;
mod stock;
mod tokens;
mod wait;
mod world;

pub use door::{Answer, Door};
pub use footprint::{Footprint, peak_memory};
pub use gate::Gate;
pub use helper::install_credential_helper;
pub use isolation::{in_network_of, isolate};
pub use outcome::{Outcome, finish, finish_with_input};
pub use registry::Registry;
pub use request::Request;
pub use results::Results;
pub use rootfs::{busybox_rootfs, busybox_tar};
pub use script::Script;
pub use stock::StockEngine;
pub use tokens::TokenServer;
pub use wait::{eventually, eventually_none};
pub use world::{World, binary};
