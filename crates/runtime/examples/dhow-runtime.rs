//! `dhow runtime` alone, for tests and measurements of this crate: the shipped program is `dhow`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    dhow_runtime::cli::main(&args)
}
