//! The init process of `--init`.

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the program in `arguments` and ends as it ended.
#[must_use]
pub fn main(_arguments: &[OsString]) -> ExitCode {
    ExitCode::from(125)
}
