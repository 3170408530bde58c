//! What happens, told to whoever listens, and remembered for who asks later.
//!
//! Every event gets a number. The latest are in memory, more are on disk (see [`history`]). A [`Listener`] is a number:
//! the next event that it has not seen. So a listener that does not listen costs nothing, one that is slow is served from
//! the disk what memory has forgotten, and between the past and the present nothing is lost or told twice.

mod history;
mod listener;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dhow_errdefs::Result;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::spec::ContainerSpec;
use crate::{Event, EventKind};

use history::History;
pub use listener::Listener;

/// As many as memory keeps. Docker keeps as many altogether.
const RECENT: usize = 256;

/// The engine's loudspeaker. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    past: Mutex<Past>,
    /// The number of the next event. Its receivers are the listeners.
    news: watch::Sender<u64>,
}

/// Whether an event is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

/// What has happened.
#[derive(Debug)]
struct Past {
    next: u64,
    /// The latest, with consecutive numbers up to `next`.
    recent: VecDeque<Arc<Event>>,
    history: History,
}

impl Events {
    /// Goes on with the history in a data root. Blocks.
    pub(crate) fn open(data_root: &Path) -> Result<Self> {
        let (history, next) = History::open(data_root)?;
        let past = Past { next, recent: VecDeque::new(), history };
        Ok(Self(Arc::new(Shared { past: Mutex::new(past), news: watch::Sender::new(next) })))
    }

    /// Somebody listens from now on; with `since`, to what has happened since then before.
    pub(crate) fn listen(&self, since: Option<Timestamp>) -> Listener {
        Listener::new(Arc::clone(&self.0), since)
    }

    pub(crate) fn listeners(&self) -> usize {
        self.0.news.receiver_count()
    }

    /// Something happened to a container.
    pub(crate) fn container(
        &self,
        action: impl Into<String>,
        (id, name): (&str, &str),
        spec: &ContainerSpec,
        more: &[(&str, String)],
    ) {
        self.tell(EventKind::Container, action.into(), id, attributes(name, spec, more));
    }

    /// Something happened that is of no interest later: the comings and goings of a health check, which would crowd out
    /// everything else. Costs nothing while nobody listens.
    pub(crate) fn passing(
        &self,
        action: impl Into<String>,
        (id, name): (&str, &str),
        spec: &ContainerSpec,
        more: &[(&str, String)],
    ) {
        if self.listeners() > 0 {
            let (kind, attributes) = (EventKind::Container, attributes(name, spec, more));
            let time = Timestamp::now();
            self.0.tell(Event { kind, action: action.into(), id: id.to_owned(), attributes, time }, Keep::No);
        }
    }

    /// Something happened to a volume.
    pub(crate) fn volume(&self, action: &str, name: &str, driver: &str, more: &[(&str, &str)]) {
        let pair = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let attributes = [("driver", driver)].into_iter().chain(more.iter().copied()).map(pair);
        self.tell(EventKind::Volume, action.to_owned(), name, attributes.collect());
    }

    /// Something happened.
    pub(crate) fn tell(&self, kind: EventKind, action: String, id: &str, attributes: BTreeMap<String, String>) {
        self.0.tell(Event { kind, action, id: id.to_owned(), attributes, time: Timestamp::now() }, Keep::Yes);
    }
}

/// What is told of a container with every event: its labels, image and name.
fn attributes(name: &str, spec: &ContainerSpec, more: &[(&str, String)]) -> BTreeMap<String, String> {
    let mut attributes: BTreeMap<String, String> = spec.labels.clone();
    attributes.insert("image".to_owned(), spec.image.clone());
    attributes.insert("name".to_owned(), name.to_owned());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    attributes
}

impl Shared {
    fn tell(&self, mut event: Event, keep: Keep) {
        let mut past = self.past();
        // Numbers and times have the same order, however many threads come here, and if the clock is set back.
        event.time = past.recent.back().map_or(event.time, |last| last.time.max(event.time));
        if keep == Keep::Yes {
            let number = past.next;
            past.history.append(number, &event);
        }
        past.next += 1;
        if past.recent.len() == RECENT {
            past.recent.pop_front();
        }
        past.recent.push_back(Arc::new(event));
        // Under the lock, so that the numbers go up.
        self.news.send_replace(past.next);
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        // Whole after each statement, whoever panicked.
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// The number of the oldest event in memory.
    fn first(&self) -> u64 {
        self.next - self.recent.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Events) {
        let folder = tempfile::tempdir().unwrap();
        let events = Events::open(folder.path()).unwrap();
        (folder, events)
    }

    fn happen(events: &Events, numbers: std::ops::Range<usize>) {
        numbers.for_each(|number| events.volume("create", &number.to_string(), "local", &[]));
    }

    async fn heard(listener: &mut Listener) -> Vec<usize> {
        let mut heard = Vec::new();
        while let Some(event) = listener.recorded().await {
            heard.push(event.id.parse().unwrap());
        }
        heard
    }

    #[tokio::test]
    async fn a_listener_hears_what_happens_from_now_on() {
        let (_folder, events) = open();
        happen(&events, 0..2);
        let mut listener = events.listen(None);
        assert_eq!(events.listeners(), 1);
        happen(&events, 2..4);
        assert_eq!(heard(&mut listener).await, [2, 3]);
        let next = tokio::spawn(async move { listener.next().await.id.clone() });
        happen(&events, 4..5);
        assert_eq!(next.await.unwrap(), "4");
        assert_eq!(events.listeners(), 0);
    }

    #[tokio::test]
    async fn the_past_and_the_present_meet_without_a_seam() {
        let (folder, events) = open();
        happen(&events, 0..700);
        let mut listener = events.listen(Some(Timestamp::UNIX_EPOCH));
        happen(&events, 700..1000);
        assert_eq!(heard(&mut listener).await, (0..1000).collect::<Vec<_>>());
        let middle = Timestamp::now();
        happen(&events, 1000..1002);
        assert_eq!(heard(&mut events.listen(Some(middle))).await, [1000, 1001]);
        drop(events);
        let events = Events::open(folder.path()).unwrap();
        happen(&events, 1002..1003);
        assert_eq!(heard(&mut events.listen(Some(middle))).await, [1000, 1001, 1002]);
    }

    #[tokio::test]
    async fn a_slow_listener_holds_little_and_loses_nothing_that_is_on_disk() {
        let (_folder, events) = open();
        let mut slow = events.listen(None);
        happen(&events, 0..3 * RECENT);
        assert!(events.0.past().recent.len() == RECENT);
        assert_eq!(heard(&mut slow).await, (0..3 * RECENT).collect::<Vec<_>>());
    }
}
