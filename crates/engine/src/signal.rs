//! Signals as people write them.

use dhow_errdefs::{Error, Result};

/// SIGTERM on every architecture.
pub(crate) const TERM: i32 = 15;
/// SIGKILL on every architecture.
pub(crate) const KILL: i32 = 9;

/// `9`, `KILL`, `SIGKILL`, `rtmin+3`.
///
/// # Errors
/// Docker's words.
pub(crate) fn parse(text: &str) -> Result<i32> {
    dhow_sys::signal::parse(text).ok_or_else(|| Error::invalid(format!("invalid signal: {text}")))
}
