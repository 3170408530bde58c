//! What a process costs.

use std::fs;

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
        let memory =
            rollup.lines().find_map(|line| line.strip_prefix("Pss_Anon:")?.trim().strip_suffix(" kB")?.parse().ok());
        let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).expect("the process runs").count();
        Self { memory: memory.expect("the kernel tells"), descriptors: count("fd"), threads: count("task") }
    }
}
