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

/// As many as memory keeps, if they are no more than so many bytes. Docker keeps as many altogether.
const RECENT: usize = 256;
const RECENT_BYTES: usize = 1 << 20;

/// How long the text of an action or an attribute may be, and how long all labels of a thing together. Clients may have
/// engines keep whole scripts as commands and labels; what is told of those is what they are known by.
const LONGEST_TEXT: usize = 4 << 10;
const ROOM_FOR_LABELS: usize = 16 << 10;

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
    /// Of those.
    bytes: usize,
    history: History,
}

impl Events {
    /// Goes on with the history in a data root. Blocks.
    pub(crate) fn open(data_root: &Path) -> Result<Self> {
        let (history, next) = History::open(data_root)?;
        let past = Past { next, recent: VecDeque::new(), bytes: 0, history };
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
    let mut attributes = with_room(&spec.labels);
    attributes.insert("image".to_owned(), spec.image.clone());
    attributes.insert("name".to_owned(), name.to_owned());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    attributes
}

/// The labels of a thing, as many as there is room for.
pub(crate) fn with_room(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut room = ROOM_FOR_LABELS;
    let mut fits = |key: &str, value: &str| match room.checked_sub(key.len() + value.len().min(LONGEST_TEXT)) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    labels.iter().filter(|(key, value)| fits(key, value)).map(|(key, value)| (key.clone(), cut(value))).collect()
}

/// A text that is no longer than is told; the dots say that it was.
fn cut(text: &str) -> String {
    if text.len() <= LONGEST_TEXT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST_TEXT - '…'.len_utf8())])
}

impl Shared {
    fn tell(&self, mut event: Event, keep: Keep) {
        event.shorten();
        let mut past = self.past();
        // Numbers and times have the same order, however many threads come here, and if the clock is set back.
        event.time = past.recent.back().map_or(event.time, |last| last.time.max(event.time));
        if keep == Keep::Yes {
            let number = past.next;
            past.history.append(number, &event);
        }
        past.remember(event);
        // Under the lock, so that the numbers go up.
        self.news.send_replace(past.next);
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        // Whole after each statement, whoever panicked.
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Past {
    /// Keeps one in memory, and no more than there is room for: the disk has those before.
    fn remember(&mut self, event: Event) {
        self.next += 1;
        self.bytes += event.weight();
        self.recent.push_back(Arc::new(event));
        while self.recent.len() > RECENT || self.bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { return };
            self.bytes -= oldest.weight();
        }
    }

    /// The number of the oldest event in memory.
    fn first(&self) -> u64 {
        self.next - self.recent.len() as u64
    }
}

impl Event {
    /// Cuts what is too long to be told and kept.
    fn shorten(&mut self) {
        for text in std::iter::once(&mut self.action).chain(self.attributes.values_mut()) {
            if text.len() > LONGEST_TEXT {
                *text = cut(text);
            }
        }
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let attributes = self.attributes.iter().map(|(key, value)| key.len() + value.len() + 2 * size_of::<String>());
        size_of::<Self>() + self.action.len() + self.id.len() + attributes.sum::<usize>()
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

    fn labels(spec: &mut ContainerSpec, count: usize, value: &str) {
        spec.labels = (0..count).map(|number| (format!("label-{number}"), value.to_owned())).collect();
    }

    #[tokio::test]
    async fn long_events_are_cut_and_everybody_elses_stay() {
        let (folder, events) = open();
        happen(&events, 0..10);
        let mut spec = ContainerSpec { image: "busybox".into(), ..ContainerSpec::default() };
        labels(&mut spec, 2_000, &"\u{1}".repeat(1_000));
        for _ in 0..2 {
            let action = format!("exec_create: {}", "é".repeat(2 << 20));
            events.container(action, ("100", "box"), &spec, &[("execID", "e".into())]);
        }
        drop(events);
        let events = Events::open(folder.path()).unwrap();
        let mut listener = events.listen(Some(Timestamp::UNIX_EPOCH));
        for id in 0..10 {
            assert_eq!(listener.recorded().await.unwrap().id, id.to_string());
        }
        let long = listener.recorded().await.unwrap();
        assert!(long.action.starts_with("exec_create: éé") && long.action.ends_with('…'), "{}", long.action.len());
        assert_eq!(["execID", "image", "name"].map(|key| long.attributes[key].as_str()), ["e", "busybox", "box"]);
        assert!(long.attributes.contains_key("label-0") && long.attributes.len() < 100, "{}", long.attributes.len());
        assert_eq!(listener.recorded().await.unwrap().id, "100");
        assert!(listener.recorded().await.is_none());
    }

    #[tokio::test]
    async fn memory_holds_so_many_bytes_and_the_disk_has_the_rest() {
        let (_folder, events) = open();
        let mut spec = ContainerSpec::default();
        labels(&mut spec, 10, &"x".repeat(600));
        let mut slow = events.listen(None);
        (0..RECENT).for_each(|number| events.container("start", (&number.to_string(), "box"), &spec, &[]));
        let recent = events.0.past().recent.clone();
        let bytes: usize = recent.iter().flat_map(|event| event.attributes.values()).map(String::len).sum();
        assert!(recent.len() > 10 && bytes <= RECENT_BYTES, "{bytes} bytes of {} events", recent.len());
        assert_eq!(heard(&mut slow).await, (0..RECENT).collect::<Vec<_>>());
    }
}
