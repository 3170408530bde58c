//! Health checks: what a container is asked, how its answers add up, and how they are had.
//!
//! [`Check`] and [`Health`] are pure. The container's owner holds the clock and starts a [`Visit`] when one is due; its
//! result comes back to the owner like any other command. A probe never overlaps with the one before.

mod check;
mod network;
mod output;
mod target;
mod verdict;
mod visit;

pub(crate) use check::{Check, Probe, unknown_kind};
pub use verdict::{Health, HealthResult, HealthStatus};
pub(crate) use visit::{Visit, is_probe, new_probe};
