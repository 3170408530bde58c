//! System call filters: from rules, or a profile in Docker's form, to a classic BPF program, without libseccomp.
//!
//! A [`Profile`] (Docker's default, [`Profile::standard`], or a file's) is resolved for a container's capabilities
//! into the rules of the runtime-spec, and those are [compiled](compile) into a [`Program`], which the container's
//! first process loads. Compiling takes about a millisecond; a [`Cache`] keeps the programs of an engine.
//!
//! What it does not do: it asks no library and no kernel about call numbers; they are in tables here.
//!
//! ```
//! use dhow_runtime::seccomp::{Environment, Profile, compile};
//!
//! # fn main() -> dhow_errdefs::Result<()> {
//! let rules = Profile::standard().resolve(&Environment::host(&["CAP_CHOWN".to_owned()]));
//! let program = compile(&rules)?;
//! assert!(program.instructions().len() < 4096);
//! # Ok(())
//! # }
//! ```

mod action;
mod arch;
mod assembler;
mod cache;
mod condition;
mod features;
mod filter;
mod flags;
mod profile;
mod program;
mod standard;
mod table;
#[cfg(test)]
mod testing;

pub use arch::Arch;
pub use cache::Cache;
pub use features::features;
pub use filter::compile;
pub use profile::{Environment, KernelVersion, Profile};
pub use program::Program;
