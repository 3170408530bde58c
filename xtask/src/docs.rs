//! `cargo xtask docs`: the reference and the man pages, made of the tables of the command line.

use crate::shell::{self, Result};

/// Writes `docs/reference` and `target/man`.
pub(crate) fn run(args: &[String]) -> Result {
    if !args.is_empty() {
        return Err("this task takes no arguments".to_owned());
    }
    // The tables are the command line's own, and only its tests may look at them.
    let man = shell::root().join("target/man");
    let mut test = shell::cargo();
    test.args(["test", "--quiet", "--release", "--package", "dhow-cli", "--lib", "reference::the_reference"]);
    shell::run(test.env("DHOW_WRITE_REFERENCE", &man))?;
    println!("written: docs/reference and {}", man.display());
    Ok(())
}
