//! Turns: at most one thread changes a volume, whatever the others do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dhow_errdefs::{Error, Result};

use super::lock;
use crate::watch::Watch;

/// How often who waits for a turn looks whether the one who has it gets on.
const LOOK: Duration = Duration::from_millis(100);

/// The volumes that are being changed, and how far that is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: Mutex<HashMap<String, Arc<AtomicU64>>>,
    given_back: Condvar,
}

/// The right to change one volume, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    name: String,
    steps: Arc<AtomicU64>,
}

impl Turns {
    /// Waits for the turn; blocks.
    pub(super) fn take(&self, name: &str) -> Turn<'_> {
        let taken = lock(&self.taken);
        let wait = self.given_back.wait_while(taken, |taken| taken.contains_key(name));
        self.give(&mut wait.unwrap_or_else(PoisonError::into_inner), name)
    }

    /// The same for somebody who does not wait for one that makes no step.
    ///
    /// # Errors
    /// `DeadlineExceeded` then.
    pub(super) fn take_watched(&self, name: &str, watch: &Watch) -> Result<Turn<'_>> {
        let mut taken = lock(&self.taken);
        let (mut seen, mut since) = (None, Instant::now());
        while let Some(steps) = taken.get(name) {
            let now = (Arc::clone(steps), steps.load(Ordering::Relaxed));
            // Another one who has it begins to count anew.
            if !seen.is_some_and(|(whose, count)| Arc::ptr_eq(&whose, &now.0) && count == now.1) {
                since = Instant::now();
                watch.step();
            }
            seen = Some(now);
            if since.elapsed() >= watch.patience() {
                let text = format!("volume {name} is busy: what somebody does with it does not end");
                return Err(Error::deadline(text)
                    .with_hint("its file server or plugin does not answer; other volumes are unharmed"));
            }
            taken = self.given_back.wait_timeout(taken, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(self.give(&mut taken, name))
    }

    /// The turn, if nobody has it.
    pub(super) fn take_now(&self, name: &str) -> Option<Turn<'_>> {
        let mut taken = lock(&self.taken);
        (!taken.contains_key(name)).then(|| self.give(&mut taken, name))
    }

    fn give(&self, taken: &mut HashMap<String, Arc<AtomicU64>>, name: &str) -> Turn<'_> {
        let steps = Arc::new(AtomicU64::new(0));
        taken.insert(name.to_owned(), Arc::clone(&steps));
        Turn { turns: self, name: name.to_owned(), steps }
    }
}

impl Turn<'_> {
    /// Tells those who wait that it goes on.
    pub(super) fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.turns.taken).remove(&self.name);
        self.turns.given_back.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    #[test]
    fn one_at_a_time_and_each_name_for_itself() {
        let (turns, inside) = (Turns::default(), AtomicUsize::new(0));
        let _other = turns.take("other");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _turn = turns.take("one");
                    assert!(turns.take_now("one").is_none());
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!(turns.take_now("one").is_some());
    }

    #[test]
    fn a_turn_that_makes_no_step_is_waited_for_no_longer_than_that() {
        let (turns, watch) = (Turns::default(), Watch::patient(Duration::from_millis(250)));
        let turn = turns.take("one");
        assert!(turns.take_watched("one", &watch).unwrap_err().to_string().contains("volume one is busy"));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| turns.take_watched("one", &watch).map(drop));
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(50));
                turn.step();
            }
            drop(turn);
            waiting.join().unwrap().unwrap();
        });
    }
}
