//! The API through its door: an engine with a data root of its own, a unix socket, and requests written by hand.
//!
//! This binary is its own shim and init: it starts itself with the argument `shim` or `init`. Needs root (mounts and
//! cgroups); without it nothing is run, and that is said.

mod attach;
mod client;
mod containers;
mod execs;
mod images;
mod networks;
mod protocol;
mod streams;
mod volumes;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;

use dhow_testkit::Results;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if std::path::Path::new(&args[0]).ends_with("docker-init") {
        return dhow_shim::init::main(&args[1..]);
    }
    if args.get(1).is_some_and(|role| role == "shim") {
        return dhow_shim::main(&args[2..]);
    }
    if args.get(1).is_some_and(|role| role == "--list") {
        return ExitCode::SUCCESS;
    }
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED: real containers need root");
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&str> =
        args[1..].iter().filter_map(|arg| arg.to_str()).filter(|arg| !arg.starts_with('-')).collect();
    let mut results = Results::default();
    for (name, test) in tests() {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
            results.of(name, test);
        }
    }
    results.tell()
}

fn tests() -> impl Iterator<Item = Test> {
    [
        protocol::TESTS,
        images::TESTS,
        containers::TESTS,
        networks::TESTS,
        attach::TESTS,
        execs::TESTS,
        streams::TESTS,
        volumes::TESTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}
