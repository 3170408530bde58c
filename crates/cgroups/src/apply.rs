//! A resources document becomes writes, controller by controller.

use dhow_errdefs::Result;
use dhow_oci::runtime::{LinuxCpu, LinuxResources};

use crate::cgroup::{Cgroup, Member};
use crate::{Controller, blkio, cpu, cpuset, devices, hugetlb, memory, network, pids, rdma, unified, warning};

impl Cgroup {
    /// Puts limits and device rules into force, for a new container and for a running one. What the document does not
    /// give (or gives as zero, as Docker does) stays as it is.
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
