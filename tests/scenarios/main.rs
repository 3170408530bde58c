//! Scenarios through the front door: the real binary, a private engine, real containers. Each file is one theme; each
//! test has its own world and reads as intent, steps, observables.

mod archive;
mod certificates;
mod check;
mod completion;
mod context;
mod daemon_flags;
mod engine_life;
mod events;
mod exec;
mod exposure;
mod faults;
mod firewalld;
mod formats;
mod health;
mod images;
mod inspect;
mod iptables;
mod ipv6;
mod lifecycle;
mod limits;
mod logs;
mod macvlan;
mod mistakes;
mod mounts;
mod names;

mod network_commands;
mod networks;
mod on_demand;
mod operations;
mod outside;
mod parallel;
mod policy;
mod process;
mod pull;
mod push;
mod registries;
mod registry_ways;
mod removal;
mod restart;
mod security;
mod spoofing;
mod stats;
mod stock;
mod streams;
mod system;
mod tls;
mod two_tiers;
mod update;
mod volumes;
mod websocket;

use dhow_testkit::World;

/// The binary under test.
const DHOW: &str = env!("CARGO_BIN_EXE_dhow");

/// A world with an engine and the image `busybox`.
fn busybox() -> World {
    World::with_busybox(DHOW)
}
