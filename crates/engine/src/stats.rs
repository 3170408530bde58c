//! `docker stats`: what containers use.
//!
//! One [`Sampler`] reads the counters once a second for everybody who listens, each container once, however many listen
//! to it; while nobody listens there is no sampler at all. A listener only ever finds the newest sample, so one that
//! reads slowly costs nothing.

mod host;
mod network;
mod sampler;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dhow_cgroups::{Cgroup, Stats};
use dhow_errdefs::Result;
use dhow_oci::runtime::{LinuxBlockIo, LinuxResources};
use dhow_shim::protocol::Op;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::container::{Container, Process, View};
use crate::core::Core;
pub(crate) use sampler::Sampler;

/// How long a shim may take to join one more cgroup.
const SHIMS_TIME: Duration = Duration::from_secs(1);

/// The counters of a container at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// When they were read.
    pub read: Timestamp,
    /// Those of its cgroup. A memory limit that is none is the host's memory.
    pub usage: Stats,
    /// The cgroup is of version 2, whose `memory.stat` and block I/O have other names.
    pub unified: bool,
    /// CPU time the whole host has spent, idle or not, in nanoseconds.
    pub system_ns: u64,
    /// CPUs that are online.
    pub online_cpus: u32,
    /// By interface of its own network namespace, without loopback; none where it has the host's.
    pub networks: BTreeMap<String, NetworkCounters>,
}

/// What went through a network interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NetworkCounters {
    /// Received.
    pub rx: Traffic,
    /// Sent.
    pub tx: Traffic,
}

/// One direction of an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// Packets that were broken.
    pub errors: u64,
    /// Packets that were thrown away.
    pub dropped: u64,
}

/// One answer of `stats`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// All 64 digits.
    pub id: String,
    /// Without the slash Docker writes before it.
    pub name: String,
    /// `None` while it does not run.
    pub sample: Option<Arc<Sample>>,
    /// The sample that this listener was told before.
    pub previous: Option<Arc<Sample>>,
}

/// Somebody who wants to know, once a second, what a container uses.
#[derive(Debug)]
pub struct StatsListener {
    container: Arc<Container>,
    samples: watch::Receiver<Option<Arc<Sample>>>,
    previous: Option<Arc<Sample>>,
}

impl StatsListener {
    /// The next reading; `None` when the container was removed or the engine ends.
    pub async fn next(&mut self) -> Option<Reading> {
        self.samples.changed().await.ok()?;
        let sample = self.samples.borrow_and_update().clone();
        let previous = std::mem::replace(&mut self.previous, sample.clone());
        Some(Reading { sample, previous, ..named(&self.container) })
    }
}

fn named(container: &Container) -> Reading {
    Reading { id: container.id.to_string(), name: container.view().name.clone(), ..Reading::default() }
}

impl Core {
    /// Listens to a container.
    pub(crate) fn listen_to_stats(self: &Arc<Self>, container: Arc<Container>) -> StatsListener {
        let samples = self.sampler.listen(self, &container);
        StatsListener { container, samples, previous: None }
    }

    /// Has block I/O counted on hosts with v1 trees, where a container is in that tree only when somebody wants it.
    async fn count_block_io(&self, container: &Container) {
        let view = container.view();
        let (Some(link), true) = (&view.link, self.host.cgroups.is_some() && self.host.cgroup_version == 1) else {
            return;
        };
        let counted = LinuxResources { block_io: Some(LinuxBlockIo::default()), ..LinuxResources::default() };
        // A shim that is stuck must not hold up the numbers of all others.
        if tokio::time::timeout(SHIMS_TIME, link.ask(Op::Update(Box::new(counted)))).await.is_err() {
            tracing::debug!(id = %container.id, "block I/O is not counted");
        }
    }

    /// What a container uses now.
    pub(crate) async fn stats_of(self: Arc<Self>, container: Arc<Container>) -> Result<Reading> {
        self.count_block_io(&container).await;
        crate::engine::blocking(move || self.stats_now(&container)).await
    }

    /// The same. Blocks for some dozen reads.
    fn stats_now(&self, container: &Container) -> Result<Reading> {
        let view = container.view();
        let sample = match self.source_of(container, &view)? {
            Some(source) => Some(Arc::new(source.sample(&view, &host::Host::read())?)),
            None => None,
        };
        Ok(Reading { sample, ..named(container) })
    }

    /// Where the counters of a container that runs are; `None`: it does not.
    fn source_of(&self, container: &Container, view: &View) -> Result<Option<Source>> {
        let Some(process) = Some(view).filter(|view| view.pid != 0).and_then(|view| Process::of(view).ok()) else {
            return Ok(None);
        };
        let cgroup = match (&self.host.cgroups, self.present_cgroup_of(container)) {
            (Some(hierarchy), Some(path)) => Some(Cgroup::open(hierarchy, &path)?),
            _ => None,
        };
        Ok(Some(Source { pid: view.pid, process, cgroup }))
    }
}

/// Where the counters of a container are, from one start to its end.
#[derive(Debug)]
struct Source {
    pid: i32,
    process: Process,
    /// `None`: this engine has no cgroups.
    cgroup: Option<Cgroup>,
}

impl Source {
    fn sample(&self, view: &View, host: &host::Host) -> Result<Sample> {
        let cgroup = self.cgroup.as_ref();
        let mut usage = cgroup.map(Cgroup::stats).transpose()?.unwrap_or_default();
        usage.memory.limit = Some(usage.memory.limit.map_or(host.memory, |limit| limit.min(host.memory)));
        Ok(Sample {
            read: Timestamp::now(),
            unified: cgroup.is_some_and(Cgroup::counts_memory_by_v2),
            usage,
            system_ns: host.cpu_ns,
            online_cpus: host.online_cpus,
            networks: network::counters(view, &self.process),
        })
    }
}
