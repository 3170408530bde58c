//! Docker's command line as a client of the Engine API.
//!
//! It knows the engine only through `dhow-client`, so it works against any Docker-compatible engine; the one thing it asks
//! of its surroundings, starting an engine on demand, comes in as a [hook](Hooks).
//!
//! Invariants:
//!
//! - A command is one file and one constant ([`command::Command`]): names, usage, flags and function. Only the command in
//!   use is looked at; there is nothing to build for the others.
//! - What is printed is what Docker prints: tables, templates, the words of errors, exit codes (125, 126, 127, 128 + n).
//! - Bytes between terminal and container are moved by plain blocking threads; the async side only waits for events.
//!
//! ```no_run
//! # fn main() -> std::process::ExitCode {
//! let hooks = dhow_cli::Hooks {
//!     default_host: "unix:///run/dhow/dhow.sock".into(),
//!     version: "0.1.0",
//!     start_engine: Box::new(|| Ok(())),
//! };
//! dhow_cli::main(std::env::args_os().collect(), hooks)
//! # }
//! ```

mod address;
mod command;
mod commands;
mod completion;
mod config;
mod context;
mod credentials;
mod entry;
mod failure;
mod flags;
mod format;
mod help;
mod options;
mod output;
mod platform;
mod progress;
#[cfg(test)]
mod reference;
mod session;
mod streams;
mod terminal;

pub use commands::BUILD;
pub use entry::{Hooks, main};
