//! The walls of the house (ARCHITECTURE.md), checked.

mod dependencies;
mod licences;
mod sources;

use crate::shell::{self, Result};

/// Checks every wall and reports all that are broken, not only the first.
pub(crate) fn run(args: &[String]) -> Result {
    let metadata = dependencies::Metadata::load()?;
    if args.iter().any(|arg| arg == "--write") {
        return dependencies::write(&metadata);
    }
    let mut faults = dependencies::check(&metadata)?;
    faults.extend(licences::check(&metadata)?);
    faults.extend(sources::check(&shell::root())?);
    if faults.is_empty() {
        println!("tidy: every wall stands");
        return Ok(());
    }
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    Err(format!("{} faults", faults.len()))
}
