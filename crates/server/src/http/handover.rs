//! Clients that are on their way from the server to a container.
//!
//! `docker run` attaches, waits for the answer to that, and starts the container on another connection. The answer goes
//! out before the socket can be handed to the engine, so without care the start could overtake the hand-over and the
//! first output would be lost. So a start waits until the hand-overs to that container are done, which is a matter of
//! microseconds and never of the client.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Hand-overs going on, by the name under which the client knows the container (clients use the same for both calls).
#[derive(Debug, Clone, Default)]
pub(crate) struct Handovers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    going_on: Mutex<HashMap<String, usize>>,
    ended: Notify,
}

/// A hand-over that is going on, until it is dropped.
#[derive(Debug)]
pub(crate) struct Handover {
    all: Handovers,
    container: String,
}

impl Handovers {
    /// Announces a hand-over. To be called before the client gets its answer.
    pub(crate) fn begin(&self, container: &str) -> Handover {
        self.with(|going_on| *going_on.entry(container.to_owned()).or_default() += 1);
        Handover { all: self.clone(), container: container.to_owned() }
    }

    /// Waits until no hand-over to that container is going on.
    pub(crate) async fn settled(&self, container: &str) {
        loop {
            let ended = self.0.ended.notified();
            if !self.with(|going_on| going_on.contains_key(container)) {
                return;
            }
            ended.await;
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<String, usize>) -> T) -> T {
        change(&mut self.0.going_on.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        self.all.with(|going_on| {
            if let Some(count) = going_on.get_mut(&self.container) {
                *count -= 1;
                if *count == 0 {
                    going_on.remove(&self.container);
                }
            }
        });
        self.all.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_waits_for_its_own_container_only() {
        let all = Handovers::default();
        let (first, second) = (all.begin("a"), all.begin("a"));
        all.settled("b").await;
        let waiting = tokio::spawn({
            let all = all.clone();
            async move { all.settled("a").await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.expect("ends");
    }
}
