//! Starts of containers, and copies that need nobody to start.
//!
//! What is copied at one moment, or has its content changed, is closed for that time: containers that have it and start are
//! waited for, those that want to start wait.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use dhow_errdefs::{Error, Result};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::{Volumes, lock};

/// By volume. There are only those that somebody goes through, keeps closed or waits at.
#[derive(Debug, Default)]
pub(crate) struct Doors(Mutex<HashMap<String, Arc<RwLock<()>>>>);

/// A container is on its way through: from before its volumes are mounted until it counts as running.
#[derive(Debug)]
pub(crate) struct Passage {
    _passed: Vec<OwnedRwLockReadGuard<()>>,
}

/// Nobody goes through.
#[derive(Debug)]
pub(super) struct Closed {
    _closed: Vec<OwnedRwLockWriteGuard<()>>,
}

impl Doors {
    /// Goes through the doors of some volumes, if none is closed.
    pub(crate) fn try_pass<'a>(&self, volumes: impl Iterator<Item = &'a str>) -> Option<Passage> {
        through(&self.of(volumes))
    }

    /// The same as soon as they are open. Who waits at one keeps none of the others from being closed.
    pub(crate) async fn pass<'a>(&self, volumes: impl Iterator<Item = &'a str>) -> Passage {
        let doors = self.of(volumes);
        loop {
            if let Some(passage) = through(&doors) {
                return passage;
            }
            for door in &doors {
                drop(door.read().await);
            }
        }
    }

    /// Closes the doors of some volumes as soon as everybody has come through who is on the way.
    async fn close<'a>(&self, volumes: impl Iterator<Item = &'a str>) -> Closed {
        let mut closed = Vec::new();
        for door in self.of(volumes) {
            closed.push(door.write_owned().await);
        }
        Closed { _closed: closed }
    }

    /// In one order, so that those who want several never wait for each other.
    fn of<'a>(&self, volumes: impl Iterator<Item = &'a str>) -> Vec<Arc<RwLock<()>>> {
        let names: BTreeSet<&str> = volumes.collect();
        if names.is_empty() {
            return Vec::new();
        }
        let mut doors = lock(&self.0);
        doors.retain(|_, door| Arc::strong_count(door) > 1);
        names.into_iter().map(|name| Arc::clone(doors.entry(name.to_owned()).or_default())).collect()
    }
}

fn through(doors: &[Arc<RwLock<()>>]) -> Option<Passage> {
    let passed = doors.iter().map(|door| Arc::clone(door).try_read_owned().ok()).collect::<Option<_>>();
    passed.map(|passed| Passage { _passed: passed })
}

impl Volumes {
    /// Closes the doors of some volumes for as long as the answer lives. Whoever goes through them for long, because a client
    /// does not go on with a `cp`, say, keeps nobody from starting a container for longer than this waits.
    ///
    /// # Errors
    /// `DeadlineExceeded` when somebody does not come through.
    pub(super) async fn close_doors<'a>(&self, volumes: impl Iterator<Item = &'a str>) -> Result<Closed> {
        let closed = tokio::time::timeout(self.patience(), self.doors.close(volumes)).await;
        closed.map_err(|_| {
            Error::deadline("somebody copies into the volume, or starts a container with it, and does not end")
                .with_hint("try again when that is done")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_goes_through_is_waited_for_and_a_closed_door_is_waited_at() {
        let doors = Doors::default();
        let passage = doors.pass(["a", "b"].into_iter()).await;
        assert!(doors.try_pass(["b"].into_iter()).is_some());
        let closing = doors.close(["b"].into_iter());
        tokio::pin!(closing);
        assert!(poll_once(closing.as_mut()).is_none());
        drop(passage);
        let closed = closing.await;
        assert!(doors.try_pass(["a", "b"].into_iter()).is_none());
        assert!(doors.try_pass(["a"].into_iter()).is_some());
        drop(closed);
        assert!(doors.try_pass(["a", "b"].into_iter()).is_some());
        drop(doors.of(["c"].into_iter()));
        assert_eq!(lock(&doors.0).len(), 1, "doors that nobody is at are forgotten");
    }

    fn poll_once<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        }
    }
}
