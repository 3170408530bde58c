//! The one who reads the counters, while somebody listens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::host::Host;
use super::{Sample, Source};
use crate::container::Container;
use crate::core::Core;

/// Docker's interval, which its clients' arithmetic expects.
const INTERVAL: Duration = Duration::from_secs(1);

/// Containers somebody listens to, by id.
#[derive(Debug, Default)]
pub(crate) struct Sampler(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    watched: HashMap<Arc<str>, Watched>,
    /// A task reads for them.
    running: bool,
}

/// A container somebody listens to.
#[derive(Debug)]
struct Watched {
    container: Arc<Container>,
    samples: watch::Sender<Option<Arc<Sample>>>,
    /// Kept, because opening costs as much as reading.
    source: Option<Arc<Source>>,
}

impl Sampler {
    /// Listens to a container; starts the reader if it is the first who listens to anything.
    pub(super) fn listen(&self, core: &Arc<Core>, container: &Arc<Container>) -> watch::Receiver<Option<Arc<Sample>>> {
        let mut state = self.lock();
        let watched = state.watched.entry(Arc::clone(&container.id)).or_insert_with(|| Watched {
            container: Arc::clone(container),
            samples: watch::Sender::new(None),
            source: None,
        });
        let samples = watched.samples.subscribe();
        if !state.running {
            state.running = true;
            tokio::spawn(read_for_all(Arc::downgrade(core)));
        }
        samples
    }

    /// A container that was removed: its listeners are told the end.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().watched.remove(id);
    }

    /// The engine closes: all listeners are told the end.
    pub(crate) fn close(&self) {
        self.lock().watched.clear();
    }

    /// Those that are still listened to; nobody, and the reader is to end.
    fn wanted(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        state.watched.retain(|_, watched| watched.samples.receiver_count() > 0);
        if state.watched.is_empty() {
            state.running = false;
            return None;
        }
        let job = |watched: &Watched| Job {
            container: Arc::clone(&watched.container),
            samples: watched.samples.clone(),
            source: watched.source.clone(),
        };
        Some(state.watched.values().map(job).collect())
    }

    /// Keeps what was opened for the next time.
    fn keep(&self, jobs: Vec<Job>) {
        let mut state = self.lock();
        for job in jobs {
            if let Some(watched) = state.watched.get_mut(&job.container.id) {
                watched.source = job.source;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole after each statement, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One container to be read.
struct Job {
    container: Arc<Container>,
    samples: watch::Sender<Option<Arc<Sample>>>,
    source: Option<Arc<Source>>,
}

/// Reads once a second until nobody listens or the engine closes.
async fn read_for_all(core: Weak<Core>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(core) = core.upgrade() else { return };
        let Some(jobs) = core.sampler.wanted() else { return };
        for job in jobs.iter().filter(|job| job.is_new()) {
            core.count_block_io(&job.container).await;
        }
        let read = tokio::task::spawn_blocking(move || {
            let host = Host::read();
            let jobs = jobs.into_iter().map(|job| job.done(&core, &host)).collect();
            core.sampler.keep(jobs);
        });
        if let Err(error) = read.await {
            tracing::error!(%error, "reading statistics failed");
        }
    }
}

impl Job {
    /// It runs, and did not when it was read before.
    fn is_new(&self) -> bool {
        let pid = self.container.view().pid;
        pid != 0 && self.source.as_ref().is_none_or(|source| source.pid != pid)
    }

    /// Reads and tells. A container that does not run, or has just ended, is told as one without a sample.
    fn done(mut self, core: &Core, host: &Host) -> Self {
        let view = self.container.view();
        if self.source.as_ref().is_none_or(|source| source.pid != view.pid) {
            self.source = core.source_of(&self.container, &view).ok().flatten().map(Arc::new);
        }
        let sample = self.source.as_ref().and_then(|source| {
            let sample = source.sample(&view, host);
            sample.inspect_err(|error| tracing::debug!(id = %self.container.id, %error, "no statistics")).ok()
        });
        self.samples.send_replace(sample.map(Arc::new));
        self
    }
}
