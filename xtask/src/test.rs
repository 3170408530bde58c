//! `cargo xtask test`: everything that must hold, in one command, on a machine where nobody installed anything by hand.

mod packages;
mod tally;

use std::num::NonZero;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use crate::shell::{self, Result};
use crate::{tidy, vm};
use tally::Tally;

/// So many tests run at once for each processor: most of its time a test waits for something, a timer, a start, an end.
const TESTS_PER_PROCESSOR: usize = 3;

/// Runs all checks and tests, each even when another failed, and ends with a line that counts the tests.
pub(crate) fn run(args: &[String]) -> Result {
    if !args.is_empty() {
        return Err("this task takes no arguments; for one test use cargo test --release -p CRATE NAME".to_owned());
    }
    packages::install()?;
    let mut tally = Tally::default();
    tally.step("format", || shell::run(shell::cargo().args(["fmt", "--all", "--check"])));
    tally.step("walls", || tidy::run(&[]));
    tally.step("lints", || shell::run(&mut clippy()));
    tally.step("licences (cargo deny)", cargo_deny);
    tally.step("build", || shell::run(shell::cargo().args(["build", "--release", "--workspace"])));
    tally.step("one static binary", statically_linked);
    // What a test says that leaves itself out is shown only so.
    let tests = ["test", "--release", "--workspace", "--no-fail-fast", "--", "--show-output"];
    tally.tests("tests", shell::cargo().args(tests).env("RUST_TEST_THREADS", at_once().to_string()));
    tally.tests("cgroup v2, in a virtual machine", &mut vm::command("vm"));
    tally.tests("boots of the host, in a virtual machine", &mut vm::command("boot"));
    tally.tests("power cuts, in a virtual machine", &mut vm::command("power"));
    println!("{tally}");
    if tally.failed() == 0 { Ok(()) } else { Err("see the failures above".to_owned()) }
}

fn at_once() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get) * TESTS_PER_PROCESSOR
}

fn clippy() -> Command {
    let mut command = shell::cargo();
    command.args(["clippy", "--release", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
    command
}

/// The binary that all tests drive.
pub(crate) fn binary() -> PathBuf {
    shell::release_dir().join("dhow")
}

/// `ldd` answers with exit code 1 and these words for a static binary (ldd(1)).
fn statically_linked() -> Result {
    let output = shell::command("ldd").arg(binary()).output().map_err(|error| format!("ldd: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    if text.contains("not a dynamic executable") || text.contains("statically linked") {
        return Ok(());
    }
    Err(format!("{} is not static: {text}", binary().display()))
}

/// `cargo deny` where it is installed; the licence and source lists are enforced by `tidy` in any case.
fn cargo_deny() -> Result {
    if !shell::installed("cargo-deny") {
        println!("cargo-deny is not installed: advisories were NOT checked here (licences and sources were, by tidy)");
        return Ok(());
    }
    shell::run(shell::cargo().args(["deny", "check"]))
}
