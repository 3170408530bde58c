//! Blobs on their way: each is fetched once from a registry, whoever wants it.
//!
//! Only from one registry: another one that sends the same blob as a drip, or never to its end, holds up nobody but those
//! who want something of it.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use dhow_errdefs::Result;
use dhow_oci::Digest;

use crate::cancelled::{Cancelled, LOOK};

/// The blobs that are on their way now, and from where.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    now: Mutex<HashMap<Digest, Vec<String>>>,
    landed: Condvar,
}

/// The right to fetch one blob from one registry; given back when dropped.
#[derive(Debug)]
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    digest: Digest,
    from: String,
    /// Nobody else was fetching the blob when it began, so that what is here of it from an earlier time is this one's.
    pub(super) first: bool,
}

impl Flights {
    /// Waits until nobody else fetches the blob from there. It may be here then.
    ///
    /// # Errors
    /// `Cancelled` when nobody wants it any more.
    pub(super) fn enter(&self, digest: Digest, from: &str, cancelled: Cancelled<'_>) -> Result<Flight<'_>> {
        let mut now = self.lock();
        while now.get(&digest).is_some_and(|others| others.iter().any(|other| other == from)) {
            cancelled.check()?;
            now = self.landed.wait_timeout(now, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        let others = now.entry(digest).or_default();
        let first = others.is_empty();
        others.push(from.to_owned());
        Ok(Flight { flights: self, digest, from: from.to_owned(), first })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Vec<String>>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut now = self.flights.lock();
        if let Some(others) = now.get_mut(&self.digest) {
            others.retain(|other| *other != self.from);
            if others.is_empty() {
                now.remove(&self.digest);
            }
        }
        self.flights.landed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    fn enter<'a>(flights: &'a Flights, digest: Digest, from: &str) -> Flight<'a> {
        flights.enter(digest, from, Cancelled::NEVER).expect("it is wanted")
    }

    #[test]
    fn one_at_a_time_for_each_blob() {
        let (flights, inside, most) = (Flights::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        let digest = Digest::of(b"blob");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _flight = enter(&flights, digest, "here");
                    most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!(most.into_inner(), 1);
        let _others = (enter(&flights, digest, "here"), enter(&flights, Digest::of(b"other"), "here"));
    }

    #[test]
    fn one_registry_holds_up_nobody_who_asks_another() {
        let (flights, digest) = (Flights::default(), Digest::of(b"blob"));
        let slow = enter(&flights, digest, "slow");
        let quick = enter(&flights, digest, "quick");
        assert!(slow.first && !quick.first);
        assert!(flights.enter(digest, "slow", Cancelled::when(&|| true)).is_err(), "nobody wants it any more");
        drop(slow);
        assert!(!enter(&flights, digest, "slow").first, "the other one is still on its way");
    }
}
