//! The one who reads the counters, while somebody listens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
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
    samples: Samples,
    kept: Kept,
}

type Samples = watch::Sender<Option<Arc<Sample>>>;

/// What is kept of a container from one reading to the next.
#[derive(Debug, Clone, Default)]
struct Kept {
    /// Because opening costs as much as reading.
    source: Option<Arc<Source>>,
    /// The first process whose shim was asked to have block I/O counted, whatever became of that: once is enough.
    asked: i32,
}

impl Sampler {
    /// Listens to a container; starts the reader if it is the first who listens to anything.
    pub(super) fn listen(&self, core: &Arc<Core>, container: &Arc<Container>) -> watch::Receiver<Option<Arc<Sample>>> {
        let samples = self.subscribe(container, || core.containers().find(&container.id).is_ok());
        let mut state = self.lock();
        if !state.running {
            state.running = true;
            tokio::spawn(read_for_all(Arc::downgrade(core)));
        }
        samples
    }

    /// One more listener to a container. One that was removed since it was found has been forgotten already, and nobody would
    /// do so again.
    fn subscribe(
        &self,
        container: &Arc<Container>,
        is_there: impl FnOnce() -> bool,
    ) -> watch::Receiver<Option<Arc<Sample>>> {
        let samples = {
            let mut state = self.lock();
            let watched = state.watched.entry(Arc::clone(&container.id)).or_insert_with(|| Watched {
                container: Arc::clone(container),
                samples: watch::Sender::new(None),
                kept: Kept::default(),
            });
            watched.samples.subscribe()
        };
        if !is_there() {
            self.forget(&container.id);
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
            kept: watched.kept.clone(),
        };
        Some(state.watched.values().map(job).collect())
    }

    /// Keeps what was opened for the next time.
    fn keep(&self, jobs: Vec<Job>) {
        let mut state = self.lock();
        for job in jobs {
            if let Some(watched) = state.watched.get_mut(&job.container.id) {
                watched.kept = job.kept;
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
    samples: Samples,
    kept: Kept,
}

/// Reads once a second until nobody listens or the engine closes.
async fn read_for_all(core: Weak<Core>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(core) = core.upgrade() else { return };
        let Some(mut jobs) = core.sampler.wanted() else { return };
        count_block_io(&core, &mut jobs).await;
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

/// Asks the shims of those that run since they were read last, all at once: many may be stuck.
async fn count_block_io(core: &Arc<Core>, jobs: &mut [Job]) {
    let mut asked = JoinSet::new();
    for job in jobs {
        if job.is_new() {
            let (core, container) = (Arc::clone(core), Arc::clone(&job.container));
            asked.spawn(async move { core.count_block_io(&container).await });
        }
    }
    while asked.join_next().await.is_some() {}
}

impl Job {
    /// It runs, and did not when this was asked before.
    fn is_new(&mut self) -> bool {
        let pid = self.container.view().pid;
        pid != 0 && std::mem::replace(&mut self.kept.asked, pid) != pid
    }

    /// Reads and tells. A container that does not run, or has just ended, is told as one without a sample.
    fn done(mut self, core: &Core, host: &Host) -> Self {
        let view = self.container.view();
        let source = &mut self.kept.source;
        if source.as_ref().is_none_or(|source| source.pid != view.pid) {
            *source = core.source_of(&self.container, &view).ok().flatten().map(Arc::new);
        }
        let sample = source.as_ref().and_then(|source| {
            let sample = source.sample(&view, host);
            sample.inspect_err(|error| tracing::debug!(id = %self.container.id, %error, "no statistics")).ok()
        });
        self.samples.send_replace(sample.map(Arc::new));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Condition, View};
    use jiff::Timestamp;

    fn container(pid: i32) -> Arc<Container> {
        let (condition, points) = (Condition::default(), Arc::default());
        let (spec, body) = (Arc::default(), Arc::default());
        let view = View { name: "box".into(), spec, body, points, condition, pid, link: None };
        Container::new(("c".into(), Timestamp::now()), (None, None), view).0
    }

    #[tokio::test]
    async fn who_listens_to_one_that_was_just_removed_hears_the_end() {
        let sampler = Sampler::default();
        let mut heard = sampler.subscribe(&container(0), || false);
        assert!(heard.changed().await.is_err());
        assert!(sampler.wanted().is_none());
        let mut heard = sampler.subscribe(&container(0), || true);
        assert!(!heard.has_changed().unwrap());
        sampler.forget("c");
        assert!(heard.changed().await.is_err());
    }

    #[test]
    fn a_shim_is_asked_once_whatever_becomes_of_that() {
        let sampler = Sampler::default();
        let _listener = sampler.subscribe(&container(7), || true);
        let new = || {
            let mut jobs = sampler.wanted().unwrap();
            let new = jobs[0].is_new();
            sampler.keep(jobs);
            new
        };
        assert_eq!([new(), new()], [true, false]);
    }
}
