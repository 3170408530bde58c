//! `cargo xtask bench`: the numbers of SPECIFICATION.md, measured side by side with what is installed.
//!
//! Absolute times are noisy, so the contestants of a measurement take turns within one run, the median is taken, and
//! what is promised is a ratio. Every command's exit code is checked: a fast failure is not a result.

mod floor;
mod idle;
mod images;
mod logs;
mod memory;
mod names;
mod networks;
mod parallel;
mod report;
mod rivals;
mod turns;

use std::fs;
use std::path::PathBuf;

use dhow_testkit::{StockEngine, World};

use crate::shell::{self, Result};
use crate::test;
use report::Report;

/// A measurement: the word that names it on the command line, and what does it.
type Measurement = (&'static str, fn(&World, Option<&StockEngine>, &mut Report) -> Result);

/// In this order: the engine at rest is one that has not worked yet.
const MEASUREMENTS: [Measurement; 17] = [
    ("rest", |world, _, report| memory::at_rest(world, report)),
    ("run", rivals::start),
    ("exec", rivals::exec),
    ("list", rivals::list),
    ("fifty", parallel::fifty),
    ("container", |world, _, report| memory::per_container(world, report)),
    ("idle", |world, _, report| idle::idle(world, report)),
    ("stats", |world, _, report| idle::stats(world, report)),
    ("logs", logs::lines),
    ("images", images::transfers),
    ("thousand", |world, _, report| images::thousand(world, report)),
    ("pull-memory", |world, _, report| images::memory_of_a_pull(world, report)),
    ("network", networks::start),
    ("throughput", networks::throughput),
    ("dns", names::answers),
    ("ports", networks::ports),
    ("binary", |_, _, report| memory::binary(report)),
];

/// The binary that is measured.
fn binary() -> PathBuf {
    shell::root().join("target/bench/dhow")
}

/// Copies the binary as a person installs it: what a linker writes lies in memory page by page, and takes longer to be run
/// from there than what was written in one piece.
fn install() -> Result<PathBuf> {
    let installed = binary();
    // A new file, which nobody runs.
    let _ = fs::remove_dir_all(installed.with_file_name(""));
    let copied = fs::create_dir_all(installed.with_file_name("")).and_then(|()| fs::copy(test::binary(), &installed));
    copied.map_err(|error| format!("{}: {error}", installed.display()))?;
    Ok(installed)
}

/// Runs every measurement, or those that are named, prints the table and writes `target/bench.json`.
pub(crate) fn run(args: &[String]) -> Result {
    let names = MEASUREMENTS.map(|(name, _)| name);
    if let Some(unknown) = args.iter().find(|arg| !names.contains(&arg.as_str())) {
        return Err(format!("{unknown}: no such measurement; there are: {}", names.join(", ")));
    }
    shell::run(shell::cargo().args(["build", "--release", "--package", "dhow"]))?;
    let world = World::as_installed(install()?);
    let dockerd =
        ["dockerd", "docker"].iter().all(|program| shell::installed(program)).then(|| StockEngine::start(&[]));
    if dockerd.is_none() {
        println!("dockerd is not installed: no comparison with it");
    }
    let mut report = Report::default();
    for (name, measure) in MEASUREMENTS {
        if args.is_empty() || args.iter().any(|arg| arg == name) {
            measure(&world, dockerd.as_ref(), &mut report)?;
        }
    }
    report.finish(&shell::root().join("target/bench.json"))
}
