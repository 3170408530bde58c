//! The kernel's controllers by name, and sets of them.

use std::fmt;

/// One kernel controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Controller {
    /// CPU time: shares or weight, quota, real time.
    Cpu,
    /// CPU accounting; a controller of its own on v1 only.
    CpuAcct,
    /// Which CPUs and memory nodes may be used.
    CpuSet,
    /// Memory and swap.
    Memory,
    /// Number of tasks.
    Pids,
    /// Block I/O: `blkio` on v1, `io` on v2.
    BlkIo,
    /// Huge pages.
    HugeTlb,
    /// Access to device nodes; on v2 an eBPF program instead of a controller.
    Devices,
    /// Stopping all tasks; on v2 part of the core.
    Freezer,
    /// Class of network packets; v1 only.
    NetCls,
    /// Priority of network packets; v1 only.
    NetPrio,
    /// RDMA handles and objects.
    Rdma,
    /// Performance events by cgroup; v1 only (implicit on v2).
    PerfEvent,
}

impl Controller {
    /// Every controller dhow knows.
    pub const ALL: [Self; 13] = [
        Self::Cpu,
        Self::CpuAcct,
        Self::CpuSet,
        Self::Memory,
        Self::Pids,
        Self::BlkIo,
        Self::HugeTlb,
        Self::Devices,
        Self::Freezer,
        Self::NetCls,
        Self::NetPrio,
        Self::Rdma,
        Self::PerfEvent,
    ];

    /// The name in `/proc/cgroups` and in the mount options of v1.
    #[must_use]
    pub const fn v1_name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::CpuAcct => "cpuacct",
            Self::CpuSet => "cpuset",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::BlkIo => "blkio",
            Self::HugeTlb => "hugetlb",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
            Self::NetCls => "net_cls",
            Self::NetPrio => "net_prio",
            Self::Rdma => "rdma",
            Self::PerfEvent => "perf_event",
        }
    }

    /// The name in `cgroup.controllers`; `None` for what v2 does not have as a controller.
    #[must_use]
    pub const fn v2_name(self) -> Option<&'static str> {
        match self {
            Self::BlkIo => Some("io"),
            Self::Cpu | Self::CpuSet | Self::Memory | Self::Pids | Self::HugeTlb | Self::Rdma => Some(self.v1_name()),
            Self::CpuAcct | Self::Devices | Self::Freezer | Self::NetCls | Self::NetPrio | Self::PerfEvent => None,
        }
    }

    /// The controller with that v1 name.
    #[must_use]
    pub fn from_v1(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.v1_name() == name)
    }

    /// The controller with that v2 name.
    #[must_use]
    pub fn from_v2(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|controller| controller.v2_name() == Some(name))
    }
}

/// A set of controllers.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Controllers(u16);

impl Controllers {
    /// The empty set.
    pub const NONE: Self = Self(0);

    /// Whether the controller is in the set.
    #[must_use]
    pub const fn contains(self, controller: Controller) -> bool {
        self.0 & (1 << controller as u8) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds one.
    pub const fn insert(&mut self, controller: Controller) {
        self.0 |= 1 << controller as u8;
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The members, in the order of [`Controller::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(move |controller| self.contains(*controller))
    }

    /// The set in a line of v2 names, as in `cgroup.controllers`; names dhow does not know (`misc`, `dmem`) are skipped.
    #[must_use]
    pub fn from_v2_line(line: &str) -> Self {
        line.split_ascii_whitespace().filter_map(Controller::from_v2).collect()
    }
}

impl FromIterator<Controller> for Controllers {
    fn from_iter<I: IntoIterator<Item = Controller>>(controllers: I) -> Self {
        let mut set = Self::NONE;
        controllers.into_iter().for_each(|controller| set.insert(controller));
        set
    }
}

impl fmt::Debug for Controllers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for controller in Controller::ALL {
            assert_eq!(Controller::from_v1(controller.v1_name()), Some(controller));
            if let Some(name) = controller.v2_name() {
                assert_eq!(Controller::from_v2(name), Some(controller));
            }
        }
    }

    #[test]
    fn a_line_of_v2_names_becomes_a_set() {
        let set = Controllers::from_v2_line("cpuset cpu io memory hugetlb pids rdma misc dmem\n");
        assert!(set.contains(Controller::BlkIo) && set.contains(Controller::Pids));
        assert!(!set.contains(Controller::Devices));
        assert_eq!(set.iter().count(), 7);
    }
}
