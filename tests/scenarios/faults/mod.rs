//! Faults: what is killed, full, damaged, stuck, too much or meant badly. Afterwards everything belongs to a listed object
//! and everything that is listed can be removed.
//!
//! `DHOW_FAULT_ROUNDS` multiplies the rounds of the tests that have rounds; `DHOW_FAULT_SEED` repeats one that failed.

mod abandoned;
mod connections;
mod containers;
mod crash;
mod damage;
mod deadlines;
mod descriptors;
mod far_copies;
mod full_disk;
mod hung_mount;
mod images;
mod liars;
mod malice;
mod many;
mod neighbours;
mod network_storm;
mod networks;
mod out_of_memory;
mod pulls;
mod races;
mod slow_disk;
mod steps;
mod strace;
mod upgrade;

use fastrand::Rng;

/// How many rounds, where `usual` are enough on an ordinary day.
fn rounds(usual: usize) -> usize {
    let factor: usize = std::env::var("DHOW_FAULT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    usual * factor
}

/// Chance, which can be repeated: the seed is in the output of a test that fails.
fn chance() -> Rng {
    let given = std::env::var("DHOW_FAULT_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("repeat with DHOW_FAULT_SEED={seed}");
    Rng::with_seed(seed)
}
