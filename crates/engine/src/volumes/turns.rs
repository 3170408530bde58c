//! Turns: at most one thread changes a volume, whatever the others do.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

use super::lock;

/// The volumes that are being changed.
#[derive(Debug, Default)]
pub(super) struct Turns {
    taken: Mutex<HashSet<String>>,
    given_back: Condvar,
}

/// The right to change one volume, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    name: String,
}

impl Turns {
    /// Waits for the turn; blocks.
    pub(super) fn take(&self, name: &str) -> Turn<'_> {
        let taken = lock(&self.taken);
        let wait = self.given_back.wait_while(taken, |taken| taken.contains(name));
        wait.unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Turn { turns: self, name: name.to_owned() }
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn one_at_a_time_and_each_name_for_itself() {
        let (turns, inside) = (Turns::default(), AtomicUsize::new(0));
        let _other = turns.take("other");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _turn = turns.take("one");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
    }
}
