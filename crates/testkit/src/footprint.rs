//! What a process costs.

use std::fs;

/// The most memory that a process had at any time, in KiB: all of it, the pages of the binary too (proc(5), `VmHWM`).
///
/// # Panics
/// When there is no such process.
#[must_use]
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    kilobytes(&status, "VmHWM:")
}

fn kilobytes(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Memory, descriptors and threads of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// Anonymous memory in KiB (proc_pid_smaps(5)): what the program itself asked for. The share of the binary's pages
    /// depends on how many others run it.
    pub memory: u64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

impl Footprint {
    /// What a process costs now.
    ///
    /// # Panics
    /// When there is no such process, or it is another user's.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the process runs");
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).expect("the process runs").count();
        Self { memory: kilobytes(&rollup, "Pss_Anon:"), descriptors: count("fd"), threads: count("task") }
    }
}
