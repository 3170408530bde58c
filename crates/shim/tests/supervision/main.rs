//! Shims that run real containers. This binary is its own shim: it starts itself with the argument `shim`.
//!
//! Needs root (mounts and cgroups); without it nothing is run, and that is said.

mod attach;
mod ending;
mod engine;
mod execs;
mod failing;
mod init;
mod life;
mod logs;
mod room;
mod runtimes;
mod world;

use std::ffi::OsString;
use std::process::ExitCode;

use dhow_testkit::Results;

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    if args.get(1).is_some_and(|role| role == "shim") {
        return dhow_shim::main(&args[2..]);
    }
    if args.first().is_some_and(|name| name == "/sbin/docker-init") {
        return dhow_shim::init::main(&args[1..]);
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
    let world = world::Shared::make();
    let mut results = Results::default();
    for (name, test) in tests() {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
            results.of(name, test);
        }
    }
    world.unmake();
    results.tell()
}

fn tests() -> impl Iterator<Item = Test> {
    let groups = [
        life::TESTS,
        attach::TESTS,
        execs::TESTS,
        ending::TESTS,
        engine::TESTS,
        failing::TESTS,
        logs::TESTS,
        init::TESTS,
        room::TESTS,
        runtimes::TESTS,
    ];
    groups.into_iter().flatten().copied()
}
