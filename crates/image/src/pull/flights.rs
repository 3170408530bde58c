//! Blobs on their way: each is fetched once, whoever wants it.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use dhow_oci::Digest;

/// The blobs that are on their way now.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    now: Mutex<HashSet<Digest>>,
    landed: Condvar,
}

/// The right to fetch one blob; given back when dropped.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    digest: Digest,
}

impl Flights {
    /// Waits until nobody else fetches the blob. It may be here then.
    pub(super) fn enter(&self, digest: Digest) -> Flight<'_> {
        let mut now = self.lock();
        while !now.insert(digest) {
            now = self.landed.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
        Flight { flights: self, digest }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.digest);
        self.flights.landed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn one_at_a_time_for_each_blob() {
        let (flights, inside, most) = (Flights::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let digest = Digest::of(b"blob");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _flight = flights.enter(digest);
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        let _others = (flights.enter(digest), flights.enter(Digest::of(b"other")));
    }
}
