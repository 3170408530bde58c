//! Contexts: engines with names, kept as Docker keeps them, so that both command lines see the same ones.
//!
//! `contexts/meta/ID/meta.json` below the configuration folder describes a context, `contexts/tls/ID/ENDPOINT/` has its
//! certificates and key. `ID` is the SHA-256 of the name.

mod archive;
mod meta;
mod store;

pub(crate) use archive::{read, write};
pub(crate) use meta::{DOCKER, Endpoint, Meta};
pub(crate) use store::{Material, Store, check_name, no_name};

/// The context that is made of flags and environment, not of files.
pub(crate) const DEFAULT: &str = "default";
/// How lists describe it.
pub(crate) const DEFAULT_DESCRIPTION: &str = "Current DOCKER_HOST based configuration";
