//! Who a further process runs as: the running container's own files say.
//!
//! They may lie on a file server that is dead, or on one in the container itself, and a thread that waits for that cannot be
//! called back. So it is one of its own, not one of those that everybody shares, and each container has one at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dhow_errdefs::{Error, Result, ResultExt};
use tokio::sync::{Semaphore, oneshot};

use crate::container::{Container, Process, View};
use crate::core::Core;
use crate::engine::to_the_end;
use crate::launch::Identity;
use crate::link::PATIENCE;

impl Core {
    /// Who a further process of a container runs as that is to run as `wanted`.
    ///
    /// # Errors
    /// Docker's words for a name that is not there; `Conflict` when the container has ended; `DeadlineExceeded` when its
    /// files do not answer.
    pub(crate) async fn user_in(&self, container: &Container, view: &Arc<View>, wanted: String) -> Result<Identity> {
        let (view, id) = (Arc::clone(view), Arc::clone(&container.id));
        let look = move || {
            let groups = view.spec.host.group_add.as_deref().unwrap_or_default();
            let found = crate::start::user_of_process(&view, &wanted, groups);
            match Process::of(&view) {
                // It is ending just now, before anybody knows.
                Err(_) if found.is_err() => Err(Error::conflict(format!("container {id} is not running"))),
                _ => found,
            }
        };
        self.execs.lookups.ask(&container.id, PATIENCE, look).await
    }
}

/// The turns of those who look something up in a container; only containers are in it in which somebody does. A turn that
/// does not end is closed.
#[derive(Debug, Default)]
pub(crate) struct Lookups(Mutex<HashMap<Arc<str>, Arc<Semaphore>>>);

impl Lookups {
    /// Looks something up on a thread of its own, when nobody else does in this container.
    ///
    /// # Errors
    /// What `look` gives; `DeadlineExceeded` when that takes too long, and at once as long as an earlier one hangs.
    async fn ask<T: Send + 'static>(
        &self,
        container: &Arc<str>,
        deadline: Duration,
        look: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.turn(container);
        let held = tokio::time::timeout(deadline, Arc::clone(&turn).acquire_owned()).await;
        let held = held.map_err(|_| silent())?.map_err(|_| silent())?;
        let (sender, answer) = oneshot::channel();
        let work = move || {
            let found = look();
            drop(held);
            // Who asked may have gone away.
            let _ = sender.send(found);
        };
        thread::Builder::new().name("user".into()).spawn(work).context(|| "start a thread")?;
        // Also when who asked has gone, as a probe that has waited long enough: those who come later are to know.
        let answer = to_the_end(async move {
            tokio::time::timeout(deadline, answer).await.map_err(|_| {
                turn.close();
                silent()
            })
        });
        answer.await?.map_err(|_| Error::internal("a thread that looks a user up died"))?
    }

    fn turn(&self, container: &Arc<str>) -> Arc<Semaphore> {
        let mut turns = self.lock();
        // Those that nobody has any more have ended, also where one hung.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(Arc::clone(container)).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Semaphore>>> {
        // Whole after each statement, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn silent() -> Error {
    Error::deadline("look up the user: what the container's /etc/passwd and /etc/group lie on does not answer")
        .with_hint("a file server, or a program in the container that serves files, is dead: mend it, or unmount it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn one_that_hangs_is_given_up_and_no_other_begins_until_it_is_back() {
        let (lookups, container): (Lookups, Arc<str>) = (Lookups::default(), "c".into());
        let (go_on, wait) = mpsc::channel::<()>();
        let hang = move || {
            let _ = wait.recv();
            Ok(())
        };
        // As a probe does that has less time than that.
        let probe = lookups.ask(&container, SHORT, hang);
        tokio::time::timeout(SHORT / 4, probe).await.unwrap_err();
        let refused = || lookups.ask(&container, SHORT, || -> Result<()> { panic!("a second thread") });
        assert_eq!(refused().await.unwrap_err().class(), Class::DeadlineExceeded);
        assert_eq!(refused().await.unwrap_err().class(), Class::DeadlineExceeded);
        assert_eq!(lookups.ask(&"other".into(), PATIENCE, || Ok(7)).await.unwrap(), 7);
        drop(go_on);
        while lookups.ask(&container, PATIENCE, || Ok(())).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn many_wait_for_their_turns_and_nothing_is_left_of_them() {
        let (lookups, container): (Arc<Lookups>, Arc<str>) = (Arc::default(), "c".into());
        let inside = Arc::new(AtomicU32::new(0));
        let ask = |number: u32| {
            let (lookups, container, inside) = (Arc::clone(&lookups), Arc::clone(&container), Arc::clone(&inside));
            let look = move || {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                Ok(number)
            };
            tokio::spawn(async move { lookups.ask(&container, PATIENCE, look).await })
        };
        let asked: Vec<_> = (0..50).map(ask).collect();
        for (number, asked) in asked.into_iter().enumerate() {
            assert_eq!(asked.await.unwrap().unwrap() as usize, number);
        }
        lookups.ask(&"other".into(), PATIENCE, || Ok(())).await.unwrap();
        assert!(!lookups.lock().contains_key("c"));
    }
}
