//! Somebody who listens.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::Shared;
use super::history::Reader;
use crate::Event;

/// How many events are taken up at once: what a listener holds at most.
const BATCH: usize = 64;

/// Hears every event once, in order, at its own pace.
#[derive(Debug)]
pub struct Listener {
    events: Arc<Shared>,
    news: watch::Receiver<u64>,
    /// The number of the first event that was not taken up.
    next: u64,
    since: Option<Timestamp>,
    ready: VecDeque<Arc<Event>>,
}

/// Where the next events are.
enum Place {
    /// They were taken up.
    Memory,
    /// They have been forgotten up to this number.
    Disk(Reader, u64),
    /// They have not happened yet.
    Future,
}

impl Listener {
    pub(super) fn new(events: Arc<Shared>, since: Option<Timestamp>) -> Self {
        let news = events.news.subscribe();
        let next = {
            let past = events.past();
            match (since, past.recent.front()) {
                (None, _) => past.next,
                (Some(since), Some(oldest)) if oldest.time < since => past.first(),
                (Some(_), _) => 0,
            }
        };
        Self { events, news, next, since, ready: VecDeque::new() }
    }

    /// The next event that has happened already; `None` when all were heard.
    pub async fn recorded(&mut self) -> Option<Arc<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            match self.look() {
                Place::Memory => {}
                Place::Disk(reader, until) => self.read(reader, until).await,
                Place::Future => return None,
            }
        }
    }

    /// The next event, whenever it happens. Nothing is lost if the caller does not wait for it.
    pub async fn next(&mut self) -> Arc<Event> {
        loop {
            if let Some(event) = self.recorded().await {
                return event;
            }
            if self.news.changed().await.is_err() {
                // The loudspeaker is held by ourselves, so this does not happen.
                std::future::pending::<()>().await;
            }
        }
    }

    fn look(&mut self) -> Place {
        self.news.mark_unchanged();
        let past = self.events.past();
        if self.next >= past.next {
            return Place::Future;
        }
        let first = past.first();
        if self.next < first {
            return Place::Disk(past.history.reader(), first);
        }
        let skipped = usize::try_from(self.next - first).unwrap_or(usize::MAX);
        let taken = past.recent.iter().skip(skipped).take(BATCH);
        self.next += (past.recent.len() - skipped).min(BATCH) as u64;
        self.ready.extend(taken.filter(|event| self.since.is_none_or(|since| event.time >= since)).cloned());
        Place::Memory
    }

    /// Takes up what memory has forgotten. What the disk has forgotten, too, is lost.
    async fn read(&mut self, reader: Reader, until: u64) {
        let (from, since) = (self.next, self.since);
        let read = tokio::task::spawn_blocking(move || reader.read(from..until, since, BATCH)).await;
        let found = read.unwrap_or_default();
        self.next = found.last().filter(|_| found.len() == BATCH).map_or(until, |(number, _)| number + 1);
        self.ready.extend(found.into_iter().map(|(_, event)| Arc::new(event)));
    }
}
