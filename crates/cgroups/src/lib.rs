//! Control groups: limits, device rules, freezing, killing, statistics, on v1, v2 and hybrid hosts.
//!
//! A [`Hierarchy`] is where the host keeps its trees; it is found once. A [`Cgroup`] is one container's path in every
//! tree that it needs. This crate is the only one that writes to the cgroup tree.
//!
//! What it does not do: it starts no process (the runtime clones into [`Cgroup::v2_fd`] and lets the child write to
//! [`Cgroup::tasks_fds`]), it talks to no systemd (cgroups are made directly, below `/dhow` or where the caller says),
//! and it keeps no state: everything is read from the kernel.
//!
//! Invariants: every file is reached through the descriptor of its directory; removal always ends; a limit the host
//! cannot keep is a warning in Docker's words, never silence.
//!
//! ```no_run
//! use dhow_cgroups::{Cgroup, Hierarchy};
//! use dhow_oci::runtime::LinuxResources;
//!
//! # fn main() -> dhow_errdefs::Result<()> {
//! let hierarchy = Hierarchy::detect()?;
//! let cgroup = Cgroup::create(&hierarchy, "/dhow/4f5e")?;
//! for warning in cgroup.apply(&LinuxResources::default())? {
//!     eprintln!("{warning}");
//! }
//! cgroup.delete()?;
//! # Ok(())
//! # }
//! ```

mod apply;
mod bare;
mod blkio;
mod cgroup;
mod controller;
mod cpu;
mod cpuset;
mod delegation;
mod devices;
mod file;
mod freezer;
mod hierarchy;
mod hugetlb;
mod kill;
mod memory;
mod network;
mod oom;
mod path;
mod pids;
mod rdma;
mod removal;
mod stats;
mod subtree;
mod support;
#[cfg(test)]
mod testing;
mod unified;
mod warning;

pub use cgroup::{Cgroup, View};
pub use controller::{Controller, Controllers};
pub use delegation::Delegation;
pub use hierarchy::{Hierarchy, Mode};
pub use stats::{CpuStats, IoEntry, IoStats, MemoryStats, PidsStats, Stats};
pub use support::Support;
