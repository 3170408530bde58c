//! What is in flight: blobs and layers which no record mentions yet, and which collection must not touch.
//!
//! Leases live in memory. The root's lock guarantees that one process owns the store, so a lease can never outlive its
//! holder: what a killed engine had in flight is not leased any more, and the next collection takes it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dhow_oci::Digest;

/// Everything that is in flight, of all leases together.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    held: Mutex<Held>,
}

/// How many times each thing is held.
#[derive(Debug, Default)]
pub(crate) struct Held {
    blobs: HashMap<Digest, usize>,
    layers: HashMap<Digest, usize>,
}

impl Held {
    pub(crate) fn blob(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest)
    }

    /// The chain IDs of the layers in flight.
    pub(crate) fn layers(&self) -> impl Iterator<Item = &Digest> {
        self.layers.keys()
    }
}

impl InFlight {
    /// Stops everybody from taking things up while the guard lives: collection decides under it.
    pub(crate) fn freeze(&self) -> MutexGuard<'_, Held> {
        // A panic while it was held leaves counts that are at worst too high: something is collected later.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Protects what its holder is making from collection; given back when dropped.
///
/// Take one before the first blob of an image is written or looked up, and drop it after the record that refers to
/// everything (an image, a container) is in the database.
#[derive(Debug)]
pub struct Lease {
    flight: Arc<InFlight>,
    mine: Mutex<Mine>,
}

#[derive(Debug, Default)]
struct Mine {
    blobs: HashSet<Digest>,
    layers: HashSet<Digest>,
}

impl Lease {
    pub(crate) fn new(flight: &Arc<InFlight>) -> Self {
        Self { flight: Arc::clone(flight), mine: Mutex::default() }
    }

    /// Runs `publish` while no collection runs, and holds the blob when it succeeds.
    pub(crate) fn hold_blob<E>(&self, digest: &Digest, publish: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        let mut held = self.flight.freeze();
        publish()?;
        if self.mine().blobs.insert(*digest) {
            *held.blobs.entry(*digest).or_default() += 1;
        }
        Ok(())
    }

    /// Runs `publish` while no collection runs, and holds these layers (by chain ID) when it succeeds.
    pub(crate) fn hold_layers<T, E>(&self, chains: &[Digest], publish: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut held = self.flight.freeze();
        let value = publish()?;
        for chain in chains {
            if self.mine().layers.insert(*chain) {
                *held.layers.entry(*chain).or_default() += 1;
            }
        }
        Ok(value)
    }

    fn mine(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.flight.freeze();
        let mine = self.mine.get_mut().unwrap_or_else(PoisonError::into_inner);
        give_back(&mut held.blobs, &mine.blobs);
        give_back(&mut held.layers, &mine.layers);
    }
}

fn give_back(held: &mut HashMap<Digest, usize>, mine: &HashSet<Digest>) {
    for digest in mine {
        if let Some(count) = held.get_mut(digest) {
            *count -= 1;
            if *count == 0 {
                held.remove(digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_held_until_its_last_lease_is_dropped() {
        let flight = Arc::new(InFlight::default());
        let digest = Digest::of(b"x");
        let (first, second) = (Lease::new(&flight), Lease::new(&flight));
        for lease in [&first, &first, &second] {
            lease.hold_blob(&digest, || Ok::<_, ()>(())).unwrap();
        }
        drop(first);
        assert!(flight.freeze().blob(&digest));
        drop(second);
        assert!(!flight.freeze().blob(&digest));
    }

    #[test]
    fn what_failed_is_not_held() {
        let flight = Arc::new(InFlight::default());
        let digest = Digest::of(b"x");
        let lease = Lease::new(&flight);
        assert!(lease.hold_blob(&digest, || Err(())).is_err());
        assert!(!flight.freeze().blob(&digest));
    }
}
