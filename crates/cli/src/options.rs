//! The values of `run`'s and `create`'s flags, and the request that comes out of them.
//!
//! Each file knows one grammar. The texts of errors are Docker's: people search for them.

mod device;
mod endpoint;
mod environment;
mod health;
mod label;
pub(crate) mod limits;
mod mount;
mod namespace;
mod port;
mod request;
mod restart;
mod security;
mod table;
mod volume;

pub(crate) use endpoint::check_link;
pub(crate) use environment::{check_variable, open_failed, open_file, variables};
pub(crate) use label::{check as check_label, pair};
pub(crate) use port::{check_published, in_order, published};
pub(crate) use request::{Wanted, wanted};
pub(crate) use restart::parse as restart_policy;
pub(crate) use table::{CONTAINER, check_weight};

use dhow_errdefs::Error;

/// An error about what was typed.
fn wrong(text: impl Into<String>) -> Error {
    Error::invalid(text)
}
