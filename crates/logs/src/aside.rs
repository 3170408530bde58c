//! Files that are written by a thread of their own (`mode=non-blocking`): a disk that hangs holds no container back.
//!
//! Lines wait in a queue of limited size (`max-buffer-size`). A burst that finds no room there waits for a moment, because
//! a disk that works makes room in less. After that, lines are lost and counted until the disk takes something again; a note
//! in the log tells of them then.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dhow_errdefs::{Result, ResultExt};

use crate::queue::{Queue, Waiting};
use crate::sink::Sink;
use crate::{Stream, Timestamp};

/// How long the end of a container waits for a disk that takes nothing.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long a burst waits for a disk, once until that makes progress.
const MOMENT: Duration = Duration::from_millis(50);

/// The side of whoever writes, who never waits for long.
#[derive(Debug)]
pub(crate) struct Aside {
    shared: Arc<Shared>,
    /// Of the next line.
    time: Timestamp,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<State>,
    /// There is something to write, or room again, or nothing more will come, or everything is written.
    changed: Condvar,
    /// Lines that were lost here or on the disk.
    lost: AtomicU64,
    /// Bytes that may wait.
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Batch,
    /// Bytes that the thread writes at this moment, and how many lines they are.
    in_hand: (usize, u64),
    /// The disk has taken nothing for a moment.
    stuck: bool,
    /// Nothing more will come.
    ends: bool,
    /// The thread has ended.
    ended: bool,
}

/// What is written in one go.
#[derive(Debug, Default)]
struct Batch {
    queue: Queue,
    /// When the first of it came.
    since: Timestamp,
    notes: Vec<Vec<u8>>,
    /// Lines that found no room.
    missed: u64,
}

impl Batch {
    /// Something is about to come that was written then.
    fn begin(&mut self, time: Timestamp) {
        if self.is_empty() {
            self.since = time;
        }
    }

    fn is_empty(&self) -> bool {
        self.queue.lines() == 0 && self.notes.is_empty() && self.missed == 0
    }
}

impl Aside {
    /// Starts the thread.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub(crate) fn start(sink: Sink, limit: u64) -> Result<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let shared = Arc::new(Shared { limit, ..Shared::default() });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log".to_owned()).stack_size(128 << 10);
        thread.spawn(move || theirs.write_all(sink)).context(|| "start the thread that writes the log")?;
        Ok(Self { shared, time: Timestamp::default() })
    }

    pub(crate) fn begin_batch(&mut self, time: Timestamp) {
        self.time = time;
    }

    pub(crate) fn line(&mut self, stream: Stream, line: &[u8]) {
        let mut state = self.shared.lock();
        let full = |state: &State| {
            let waits = state.waiting.queue.len() + state.in_hand.0;
            waits > 0 && waits + Queue::size_of(line) > self.shared.limit
        };
        if full(&state) && !state.stuck {
            self.shared.changed.notify_all();
            let waited = self.shared.changed.wait_timeout_while(state, MOMENT, |state| full(state));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.stuck = full(&state);
        }
        state.waiting.begin(self.time);
        if full(&state) {
            state.waiting.missed += 1;
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting.queue.push(&Waiting { stream, time: self.time, more: false, line });
        self.time.0 += 1;
    }

    pub(crate) fn note(&self, note: &[u8]) {
        let mut state = self.shared.lock();
        state.waiting.begin(self.time);
        state.waiting.notes.push(note.to_owned());
    }

    pub(crate) fn flush(&self) {
        self.shared.changed.notify_all();
    }

    /// Waits a little until everything is written. What is not then counts as lost.
    pub(crate) fn finish(&self) {
        let mut state = self.shared.lock();
        state.ends = true;
        self.shared.changed.notify_all();
        let ended = self.shared.changed.wait_timeout_while(state, FAREWELL, |state| !state.ended);
        let (mut state, _) = ended.unwrap_or_else(PoisonError::into_inner);
        let left = mem::take(&mut state.waiting).queue.lines() + state.in_hand.1;
        self.shared.lost.fetch_add(left, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.shared.lock().ends = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// The thread.
    fn write_all(&self, mut sink: Sink) {
        let mut busy = false;
        while let Some(mut batch) = self.next(busy) {
            let before = sink.lost();
            sink.begin_batch(batch.since);
            batch.notes.iter().for_each(|note| sink.note(note));
            let mut write = |waiting: Waiting<'_>| {
                sink.at(waiting.time);
                sink.line(waiting.stream, waiting.line);
            };
            while batch.queue.pop(&mut write).is_some() {}
            sink.flush();
            if batch.missed > 0 {
                // They came after those that had found room.
                sink.miss(batch.missed);
                sink.begin_batch(Timestamp::now());
                sink.flush();
            }
            self.lost.fetch_add(sink.lost() - before, Ordering::Relaxed);
            let mut state = self.lock();
            (state.in_hand, state.stuck) = ((0, 0), false);
            drop(state);
            self.changed.notify_all();
            busy = sink.work();
        }
        sink.finish();
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// What is to be written next: nothing, if the thread is `busy` otherwise. `None`: nothing more will come.
    fn next(&self, busy: bool) -> Option<Batch> {
        let wait = self.changed.wait_while(self.lock(), |state| state.waiting.is_empty() && !state.ends && !busy);
        let mut state = wait.unwrap_or_else(PoisonError::into_inner);
        if state.ends && state.waiting.is_empty() {
            return None;
        }
        let batch = mem::take(&mut state.waiting);
        state.in_hand = (batch.queue.len(), batch.queue.lines());
        Some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
