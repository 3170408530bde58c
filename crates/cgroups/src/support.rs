//! What this host can limit: for `docker info`, and for the warnings of `docker create`.

use dhow_oci::runtime::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use crate::hierarchy::{Hierarchy, Tree, Version};
use crate::{Controller, Controllers, blkio, cpu, cpuset, memory, warning};

/// The limits the host has. The default value is a host (or a user) without any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Support {
    /// A limit on memory.
    pub memory: bool,
    /// A limit on memory and swap together.
    pub swap: bool,
    /// A soft limit (`--memory-reservation`).
    pub reservation: bool,
    /// `--memory-swappiness`; v1 only.
    pub swappiness: bool,
    /// `--oom-kill-disable`; v1 only.
    pub oom_kill_disable: bool,
    /// Shares (v1) or weight (v2) of CPU time.
    pub cpu_shares: bool,
    /// Quota and period of CPU time, and so `--cpus`.
    pub cpu_cfs: bool,
    /// Real-time period and runtime; v1 only.
    pub cpu_realtime: bool,
    /// CPU sets.
    pub cpuset: bool,
    /// A limit on the number of tasks.
    pub pids: bool,
    /// Weights of block I/O.
    pub blkio_weight: bool,
    /// Throttles of block I/O.
    pub blkio_throttle: bool,
    /// Limits on huge pages.
    pub hugetlb: bool,
    /// Limits on RDMA.
    pub rdma: bool,
    /// Device rules.
    pub devices: bool,
    /// Pausing.
    pub freezer: bool,
}

impl Hierarchy {
    /// What the host can limit with these controllers: all it [has](Hierarchy::controllers), or those that were
    /// delegated to this user.
    #[must_use]
    pub fn support(&self, controllers: Controllers) -> Support {
        let tree = |controller| Some(self.tree(self.tree_of(controller)?)).filter(|_| controllers.contains(controller));
        let has = |controller, file| tree(controller).is_some_and(|tree| has_file(tree, file));
        let memory = tree(Controller::Memory);
        let v1_memory = memory.is_some_and(|tree| tree.version == Version::V1);
        let cpu = tree(Controller::Cpu);
        let io = tree(Controller::BlkIo);
        Support {
            memory: memory.is_some(),
            swap: memory.is_some_and(counts_swap),
            reservation: memory.is_some(),
            swappiness: v1_memory && has(Controller::Memory, "memory.swappiness"),
            oom_kill_disable: v1_memory && has(Controller::Memory, "memory.oom_control"),
            cpu_shares: cpu.is_some(),
            cpu_cfs: cpu.is_some_and(|tree| tree.version == Version::V2 || has_file(tree, "cpu.cfs_quota_us")),
            cpu_realtime: cpu.is_some_and(|tree| tree.version == Version::V1 && has_file(tree, "cpu.rt_runtime_us")),
            cpuset: tree(Controller::CpuSet).is_some(),
            pids: tree(Controller::Pids).is_some(),
            blkio_weight: io.is_some_and(weighs_io),
            blkio_throttle: io
                .is_some_and(|tree| tree.version == Version::V2 || has_file(tree, "blkio.throttle.read_bps_device")),
            hugetlb: tree(Controller::HugeTlb).is_some(),
            rdma: tree(Controller::Rdma).is_some(),
            devices: tree(Controller::Devices).is_some(),
            freezer: tree(Controller::Freezer).is_some(),
        }
    }
}

/// Whether a tree has a control file. On v2 most files are not in the root, so its children are asked too.
fn has_file(tree: &Tree, file: &str) -> bool {
    if tree.root.has(file) {
        return true;
    }
    let children = tree.root.children().unwrap_or_default();
    children.iter().any(|child| tree.root.child(child).is_ok_and(|child| child.has(file)))
}

/// v1 counts swap when it was booted with `swapaccount=1`; v2 always, if the kernel has swap at all.
fn counts_swap(tree: &Tree) -> bool {
    match tree.version {
        Version::V1 => has_file(tree, "memory.memsw.limit_in_bytes"),
        Version::V2 => has_file(tree, "memory.swap.max") || std::path::Path::new("/proc/swaps").exists(),
    }
}

fn weighs_io(tree: &Tree) -> bool {
    let files: [&str; 2] = match tree.version {
        Version::V1 => ["blkio.weight", "blkio.bfq.weight"],
        Version::V2 => ["io.weight", "io.bfq.weight"],
    };
    files.iter().any(|file| has_file(tree, file))
}

impl Support {
    /// The warnings for what a request asks and the host cannot do, in Docker's words and order. Such a limit is left
    /// out when the container starts.
    #[must_use]
    pub fn check(&self, resources: &LinuxResources) -> Vec<String> {
        let mut missing = Vec::new();
        if let Some(memory) = &resources.memory {
            self.check_memory(memory, &mut missing);
        }
        if resources.pids.as_ref().is_some_and(|pids| pids.limit > 0) && !self.pids {
            missing.push(warning::PIDS_LIMIT);
        }
        if let Some(cpu) = &resources.cpu {
            self.check_cpu(cpu, &mut missing);
        }
        if let Some(io) = &resources.block_io {
            self.check_io(io, &mut missing);
        }
        if !resources.hugepage_limits.is_empty() && !self.hugetlb {
            missing.push(warning::HUGETLB);
        }
        if !resources.rdma.is_empty() && !self.rdma {
            missing.push(warning::RDMA);
        }
        missing.into_iter().map(str::to_owned).collect()
    }

    fn check_memory(&self, memory: &LinuxMemory, missing: &mut Vec<&'static str>) {
        let set = |value: Option<i64>| value.is_some_and(|value| value > 0);
        let asked = [
            (set(memory.limit) && !self.memory, warning::MEMORY_LIMIT),
            (set(memory.limit) && self.memory && memory.swap != Some(-1) && !self.swap, warning::SWAP_LIMIT),
            (memory.swappiness.is_some() && !self.swappiness, warning::SWAPPINESS),
            (set(memory.reservation) && !self.reservation, warning::SOFT_LIMIT),
            (memory.disable_oom_killer == Some(true) && !self.oom_kill_disable, warning::OOM_KILL_DISABLE),
        ];
        missing.extend(asked.iter().filter(|(lacks, _)| *lacks).map(|(_, text)| *text));
        debug_assert!(missing.is_empty() || memory::is_wanted(memory));
    }

    fn check_cpu(&self, cpu: &LinuxCpu, missing: &mut Vec<&'static str>) {
        let unsigned = |value: Option<u64>| value.is_some_and(|value| value > 0);
        let signed = |value: Option<i64>| value.is_some_and(|value| value > 0);
        let realtime = unsigned(cpu.realtime_period) || signed(cpu.realtime_runtime);
        let asked = [
            (unsigned(cpu.shares) && !self.cpu_shares, warning::CPU_SHARES),
            ((unsigned(cpu.period) || signed(cpu.quota)) && !self.cpu_cfs, warning::CPU_CFS),
            (realtime && !self.cpu_realtime, warning::CPU_REALTIME),
            (cpuset::is_wanted(cpu) && !self.cpuset, warning::CPUSET),
        ];
        missing.extend(asked.iter().filter(|(lacks, _)| *lacks).map(|(_, text)| *text));
        debug_assert!(missing.is_empty() || cpu::is_wanted(cpu) || cpuset::is_wanted(cpu));
    }

    fn check_io(&self, io: &LinuxBlockIo, missing: &mut Vec<&'static str>) {
        if blkio::wants_weight(io) && !self.blkio_weight {
            missing.push(warning::BLKIO_WEIGHT);
        }
        if !self.blkio_throttle {
            missing.extend(blkio::throttle_warnings(io));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_cgroups_gets_dockers_warnings() {
        let resources = LinuxResources {
            memory: Some(LinuxMemory { limit: Some(1 << 26), ..LinuxMemory::default() }),
            cpu: Some(LinuxCpu { quota: Some(50_000), cpus: Some("0".into()), ..LinuxCpu::default() }),
            ..LinuxResources::default()
        };
        let warnings = Support::default().check(&resources);
        assert_eq!(warnings, [warning::MEMORY_LIMIT, warning::CPU_CFS, warning::CPUSET]);
        let memory_only = Support { memory: true, ..Support::default() };
        assert_eq!(memory_only.check(&resources)[0], warning::SWAP_LIMIT);
        assert!(Support::default().check(&LinuxResources::default()).is_empty());
    }
}
