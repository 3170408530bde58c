//! Others' parts with ours: our runtime under podman and under Docker's own engine (containerd), our command line
//! against a stock `dockerd`, and images between the tools.

mod images;
mod login;
mod podman;
mod runtime;
mod same;
mod stock_engine;
mod tokens;

/// The binary under test.
const DHOW: &str = env!("CARGO_BIN_EXE_dhow");
