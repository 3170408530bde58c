//! One binary, several roles: this file picks the role and nothing else.

mod daemon;
mod hello;
mod on_demand;
mod paths;

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use dhow_sys::signal;

/// Numbers of signals, the same on every architecture.
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// What `--version` and the engine report.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let called_as = args.first().map(Path::new).and_then(Path::file_name).unwrap_or_default();
    if called_as == "docker-init" {
        return dhow_shim::init::main(&args[1..]);
    }
    match args.get(1).and_then(|role| role.to_str()) {
        Some("shim") => dhow_shim::main(&args[2..]),
        Some(dhow_network::HOLDER_ROLE) => dhow_network::holder_main(&args[2..]),
        Some("init") => dhow_shim::init::main(&args[2..]),
        Some("runtime") => dhow_runtime::cli::main(&args[1..]),
        Some("daemon") => daemon::main(&args[1..]),
        _ => client(args),
    }
}

/// A shell starts what runs in the background with SIGINT ignored, and others leave SIGTERM so; Docker's client ends by
/// both all the same.
fn client(args: Vec<OsString>) -> ExitCode {
    [SIGINT, SIGTERM].into_iter().for_each(signal::heed);
    dhow_cli::main(args, on_demand::hooks())
}
