//! A resources document becomes writes, controller by controller.

use dhow_errdefs::Result;
use dhow_oci::runtime::{LinuxCpu, LinuxResources};

use crate::cgroup::{Cgroup, Member};
use crate::{Controller, blkio, cpu, cpuset, devices, hugetlb, memory, network, pids, rdma, unified, warning};

impl Cgroup {
    /// Puts limits and device rules into force, for a new container and for a running one. What the document does not
    /// give (or gives as zero, as Docker does) stays as it is. A section for block I/O that gives nothing makes it counted.
    ///
    /// The answer is a warning, in Docker's words, for each limit that the host cannot keep; those are left out.
    ///
    /// # Errors
    /// `InvalidArgument` for values the kernel refuses, `Conflict` for a memory limit below what is in use.
    pub fn apply(&self, resources: &LinuxResources) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if !resources.devices.is_empty()
            && let Some(member) = self.join(Controller::Devices)?
        {
            devices::apply(member, &resources.devices)?;
        }
        if let Some(cpu) = &resources.cpu {
            self.apply_cpu(cpu, &mut warnings)?;
        }
        if let Some(section) = resources.memory.as_ref().filter(|section| memory::is_wanted(section))
            && let Some(member) = self.wanted(Controller::Memory, warning::MEMORY_LIMIT, &mut warnings)?
        {
            memory::apply(member, section, &mut warnings)?;
        }
        if let Some(section) = &resources.pids {
            self.apply_pids(section.limit, &mut warnings)?;
        }
        if let Some(section) = resources.block_io.as_ref().filter(|section| blkio::is_wanted(section))
            && let Some(member) = self.wanted(Controller::BlkIo, warning::BLKIO_WEIGHT, &mut warnings)?
        {
            blkio::apply(member, section, &mut warnings)?;
        }
        if resources.block_io.as_ref().is_some_and(|section| !blkio::is_wanted(section)) {
            // A section that limits nothing asks for the counters: a v1 tree counts for those who are in it.
            self.join(Controller::BlkIo)?;
        }
        self.apply_rare(resources, &mut warnings)?;
        Ok(warnings)
    }

    fn apply_cpu(&self, section: &LinuxCpu, warnings: &mut Vec<String>) -> Result<()> {
        if cpuset::is_wanted(section)
            && let Some(member) = self.wanted(Controller::CpuSet, warning::CPUSET, warnings)?
        {
            cpuset::apply(&member.directory, section)?;
        }
        if cpu::is_wanted(section)
            && let Some(member) = self.wanted(Controller::Cpu, warning::CPU_SHARES, warnings)?
        {
            cpu::apply(member, section)?;
        }
        Ok(())
    }

    fn apply_pids(&self, limit: i64, warnings: &mut Vec<String>) -> Result<()> {
        let member = if limit > 0 {
            self.wanted(Controller::Pids, warning::PIDS_LIMIT, warnings)?
        } else {
            self.member(Controller::Pids)
        };
        member.map_or(Ok(()), |member| pids::set_limit(&member.directory, limit))
    }

    fn apply_rare(&self, resources: &LinuxResources, warnings: &mut Vec<String>) -> Result<()> {
        if !resources.hugepage_limits.is_empty()
            && let Some(member) = self.wanted(Controller::HugeTlb, warning::HUGETLB, warnings)?
        {
            hugetlb::apply(member, &resources.hugepage_limits)?;
        }
        if !resources.rdma.is_empty()
            && let Some(member) = self.wanted(Controller::Rdma, warning::RDMA, warnings)?
        {
            rdma::apply(member, &resources.rdma)?;
        }
        if let Some(section) = &resources.network {
            network::apply(self, section)?;
        }
        unified::apply(self, &resources.unified)
    }

    /// The cgroup in the tree of a controller that a limit needs; without one, a warning.
    fn wanted(&self, controller: Controller, lack: &str, warnings: &mut Vec<String>) -> Result<Option<&Member>> {
        let member = self.join(controller)?;
        if member.is_none() {
            warnings.push(lack.to_owned());
        }
        Ok(member)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use dhow_oci::runtime::{LinuxBlockIo, LinuxMemory, LinuxPids, LinuxThrottleDevice, LinuxWeightDevice};

    use super::*;
    use crate::Hierarchy;

    /// A v2 tree of ordinary files in which everything is delegated to `/dhow/box`.
    fn unified(root: &Path) -> Cgroup {
        let leaf = root.join("dhow/box");
        fs::create_dir_all(&leaf).unwrap();
        for directory in [root, &root.join("dhow"), &leaf] {
            fs::write(directory.join("cgroup.controllers"), "cpuset cpu io memory hugetlb pids rdma\n").unwrap();
        }
        Cgroup::create(&Hierarchy::at(root).unwrap(), "/dhow/box").unwrap()
    }

    fn everything() -> LinuxResources {
        let throttle = |rate| vec![LinuxThrottleDevice { major: 8, minor: 0, rate }];
        LinuxResources {
            memory: Some(LinuxMemory {
                limit: Some(100),
                swap: Some(300),
                reservation: Some(50),
                ..LinuxMemory::default()
            }),
            cpu: Some(LinuxCpu {
                shares: Some(1024),
                quota: Some(20_000),
                burst: Some(1_000),
                cpus: Some("0-1".into()),
                ..LinuxCpu::default()
            }),
            pids: Some(LinuxPids { limit: 0 }),
            block_io: Some(LinuxBlockIo {
                weight: Some(1000),
                weight_device: vec![LinuxWeightDevice { major: 8, minor: 0, weight: Some(10), leaf_weight: None }],
                throttle_read_bps_device: throttle(1_000),
                throttle_write_iops_device: throttle(0),
                ..LinuxBlockIo::default()
            }),
            hugepage_limits: vec![dhow_oci::runtime::LinuxHugepageLimit { page_size: "2MB".into(), limit: 4 }],
            unified: [("memory.high".to_owned(), "90".to_owned())].into(),
            ..LinuxResources::default()
        }
    }

    #[test]
    fn the_specification_speaks_v1_and_v2_gets_its_own_units() {
        let root = tempfile::tempdir().unwrap();
        let cgroup = unified(root.path());
        assert_eq!(cgroup.apply(&everything()).unwrap(), [""; 0]);
        let expected = [
            ("memory.max", "100"),
            ("memory.swap.max", "200"),
            ("memory.low", "50"),
            ("memory.high", "90"),
            ("cpu.weight", "100"),
            ("cpu.max", "20000 100000"),
            ("cpu.max.burst", "1000"),
            ("cpuset.cpus", "0-1"),
            ("pids.max", "max"),
            // One file for all devices: the last write is what an ordinary file keeps.
            ("io.weight", "8:0 1"),
            ("io.max", "8:0 wiops=max"),
            ("hugetlb.2MB.max", "4"),
            ("hugetlb.2MB.rsvd.max", "4"),
        ];
        for (file, value) in expected {
            assert_eq!(fs::read_to_string(root.path().join("dhow/box").join(file)).unwrap(), value, "{file}");
        }
    }

    #[test]
    fn what_the_host_lacks_is_a_warning_and_v1_alone_has_some() {
        let root = tempfile::tempdir().unwrap();
        let cgroup = unified(root.path());
        let memory = LinuxMemory { swappiness: Some(10), disable_oom_killer: Some(true), ..LinuxMemory::default() };
        let warnings = cgroup.apply(&LinuxResources { memory: Some(memory), ..LinuxResources::default() }).unwrap();
        assert_eq!(warnings, [warning::SWAPPINESS, warning::OOM_KILL_DISABLE]);

        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "pids\n").unwrap();
        let cgroup = Cgroup::create(&Hierarchy::at(root.path()).unwrap(), "/box").unwrap();
        let mut resources = everything();
        resources.unified.clear();
        let warnings = cgroup.apply(&resources).unwrap();
        let known = [warning::CPUSET, warning::CPU_SHARES, warning::MEMORY_LIMIT, warning::BLKIO_WEIGHT];
        assert_eq!(warnings[..4], known);
    }

    #[test]
    fn v1_trees_are_joined_as_limits_need_them() {
        let root = tempfile::tempdir().unwrap();
        for tree in ["cpu,cpuacct", "memory", "pids", "devices", "freezer", "blkio", "cpuset"] {
            fs::create_dir_all(root.path().join(tree).join("box")).unwrap();
            fs::write(root.path().join(tree).join("box/cgroup.procs"), "").unwrap();
        }
        fs::write(root.path().join("cpuset/cpuset.cpus"), "0-7\n").unwrap();
        let cgroup = Cgroup::create(&Hierarchy::at(root.path()).unwrap(), "/box").unwrap();
        assert!(!cgroup.joined().contains(Controller::CpuSet));
        let cpu = LinuxCpu { mems: Some("0".into()), ..LinuxCpu::default() };
        cgroup.apply(&LinuxResources { cpu: Some(cpu), ..LinuxResources::default() }).unwrap();
        assert!(cgroup.joined().contains(Controller::CpuSet));
        let view = cgroup.views().into_iter().find(|view| view.controllers.contains(Controller::CpuSet)).unwrap();
        assert_eq!((view.v2, view.directory), (false, root.path().join("cpuset/box")));
        assert!(!cgroup.views().iter().any(|view| view.controllers.contains(Controller::BlkIo)));
        let read = |file: &str| fs::read_to_string(root.path().join(file)).unwrap();
        assert_eq!((read("cpuset/box/cpuset.cpus"), read("cpuset/box/cpuset.mems")), ("0-7".into(), "0".into()));
        let raw = LinuxResources { unified: [("a".into(), "b".into())].into(), ..LinuxResources::default() };
        assert!(cgroup.apply(&raw).is_err());
    }
}
