//! What a host lacks, in the words in which Docker's users know it.

pub(crate) const MEMORY_LIMIT: &str =
    "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.";
pub(crate) const SWAP_LIMIT: &str = "Your kernel does not support swap limit capabilities or the cgroup is not mounted. \
                                     Memory limited without swap.";
pub(crate) const SOFT_LIMIT: &str =
    "Your kernel does not support memory soft limit capabilities or the cgroup is not mounted. Limitation discarded.";
pub(crate) const SWAPPINESS: &str = "Your kernel does not support memory swappiness capabilities or the cgroup is not \
                                     mounted. Memory swappiness discarded.";
pub(crate) const OOM_KILL_DISABLE: &str = "Your kernel does not support OomKillDisable. OomKillDisable discarded.";
pub(crate) const PIDS_LIMIT: &str =
    "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.";
pub(crate) const CPU_SHARES: &str =
    "Your kernel does not support CPU shares or the cgroup is not mounted. Shares discarded.";
pub(crate) const CPU_CFS: &str = "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.";
pub(crate) const CPU_REALTIME: &str =
    "Your kernel does not support CPU real-time scheduler. CPU real-time period/runtime discarded.";
pub(crate) const CPUSET: &str = "Your kernel does not support cpuset or the cgroup is not mounted. Cpuset discarded.";
pub(crate) const BLKIO_WEIGHT: &str =
    "Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.";
pub(crate) const BPS_READ: &str = "Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. \
                                   Block I/O BPS read limit discarded.";
pub(crate) const BPS_WRITE: &str = "Your kernel does not support BPS Block I/O write limit or the cgroup is not \
                                    mounted. Block I/O BPS write limit discarded.";
pub(crate) const IOPS_READ: &str = "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. \
                                    Block I/O IOPS read limit discarded.";
pub(crate) const IOPS_WRITE: &str = "Your kernel does not support IOPS Block write limit or the cgroup is not mounted. \
                                     Block I/O IOPS write limit discarded.";
pub(crate) const HUGETLB: &str =
    "Your kernel does not support huge page limits or the cgroup is not mounted. Limitation discarded.";
pub(crate) const RDMA: &str =
    "Your kernel does not support RDMA limits or the cgroup is not mounted. Limitation discarded.";
