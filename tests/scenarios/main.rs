//! Scenarios through the front door: the real binary, a private engine, real containers. Each file is one theme; each
//! test has its own world and reads as intent, steps, observables.

mod archive;
mod asked_to_end;
mod certificates;
mod check;
mod completion;
mod context;
mod daemon_flags;
mod described_devices;
mod details;
mod engine_life;
mod events;
mod exec;
mod exposure;
mod faults;
mod firewalld;
mod flows;
mod formats;
mod health;
mod images;
mod inspect;
mod iptables;
mod ipv6;
mod lifecycle;
mod limits;
mod links;
mod logins;
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
mod same;
mod security;
mod spoofing;
mod stats;
mod stock;
mod streams;
mod system;
mod tls;
mod tokens;
mod two_tiers;
mod update;
mod volumes;
mod websocket;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use dhow_testkit::{Registry, World, finish_with_input};

/// The binary under test.
const DHOW: &str = env!("CARGO_BIN_EXE_dhow");

/// A world with an engine and the image `busybox`.
fn busybox() -> World {
    World::with_busybox(DHOW)
}

/// The folders of a cgroup, in every tree.
fn cgroups(path: &str) -> Vec<PathBuf> {
    let trees = fs::read_dir("/sys/fs/cgroup").expect("there are cgroups").flatten().map(|entry| entry.path());
    // The mount point itself is the tree where there is one only.
    let trees = trees.chain([PathBuf::from("/sys/fs/cgroup")]);
    trees.map(|tree| tree.join(path.trim_start_matches('/'))).filter(|folder| folder.is_dir()).collect()
}

/// SHA-256, as registries write it.
fn digest(bytes: &[u8]) -> String {
    let sum = finish_with_input(&mut Command::new("sha256sum"), bytes.to_vec()).ok();
    format!("sha256:{}", sum.split(' ').next().expect("a sum"))
}

/// A registry that has the image `app:1`, made by a script in busybox, and that image's name there.
fn registry_with_what_is_made(script: &str) -> (Registry, String) {
    let (maker, registry) = (busybox(), Registry::start());
    let name = registry.name("app:1");
    maker.dhow(&["run", "--name", "box", "--network", "none", "busybox", "sh", "-c", script]).exits(0);
    maker.dhow(&["commit", "box", &name]).exits(0);
    maker.dhow(&["push", &name]).exits(0);
    (registry, name)
}
