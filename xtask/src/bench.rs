//! `cargo xtask bench`: the numbers of SPECIFICATION.md, measured side by side with what is installed.
//!
//! Absolute times are noisy, so the contestants of a measurement take turns within one run, the median is taken, and
//! what is promised is a ratio. Every command's exit code is checked: a fast failure is not a result.

mod images;
mod logs;
mod memory;
mod parallel;
mod report;
mod rivals;
mod turns;

use dhow_testkit::{StockEngine, World};

use crate::shell::{self, Result};
use crate::test;
use report::Report;

/// Runs every measurement, prints the table and writes `target/bench.json`.
pub(crate) fn run(args: &[String]) -> Result {
    if !args.is_empty() {
        return Err("this task takes no arguments".to_owned());
    }
    shell::run(shell::cargo().args(["build", "--release", "--package", "dhow"]))?;
    let world = World::with_busybox(test::binary());
    let dockerd =
        ["dockerd", "docker"].iter().all(|program| shell::installed(program)).then(|| StockEngine::start(&[]));
    if dockerd.is_none() {
        println!("dockerd is not installed: no comparison with it");
    }
    let mut report = Report::default();
    memory::at_rest(&world, &mut report)?;
    rivals::start(&world, dockerd.as_ref(), &mut report)?;
    rivals::exec(&world, dockerd.as_ref(), &mut report)?;
    rivals::list(&world, dockerd.as_ref(), &mut report)?;
    parallel::fifty(&world, dockerd.as_ref(), &mut report)?;
    memory::per_container(&world, &mut report)?;
    logs::lines(&world, dockerd.as_ref(), &mut report)?;
    images::transfers(&world, dockerd.as_ref(), &mut report)?;
    memory::binary(&mut report)?;
    report.finish(&shell::root().join("target/bench.json"))
}
