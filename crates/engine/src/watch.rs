//! Work that may wait for something that never comes: a file server that is dead, a plugin that hangs.
//!
//! No clock can tell a large volume from a dead one, so what is watched is progress: whoever copies tells each step, and a
//! call is given up when there was none for as long as the engine waits for a plugin (`--plugin-deadline`). The thread that
//! waits cannot be called back; what it has made by the time it comes back is undone by itself, because it must ask before
//! anything takes effect.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dhow_errdefs::{Error, Result};

use crate::engine::interrupted;

const WORKING: u8 = 0;
const TAKING_EFFECT: u8 = 1;
const GIVEN_UP: u8 = 2;

type Undo = Box<dyn FnOnce() + Send>;

/// Somebody waits for some work, and for how long.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Watched>);

struct Watched {
    patience: Duration,
    steps: AtomicU64,
    state: AtomicU8,
    elsewhere: AtomicBool,
    given_up: Mutex<Vec<Undo>>,
}

impl Watch {
    /// Of somebody who waits as long as it takes; only turns of others are waited for no longer than `patience`.
    pub(crate) fn patient(patience: Duration) -> Self {
        Self(Arc::new(Watched {
            patience,
            steps: AtomicU64::new(0),
            state: AtomicU8::new(WORKING),
            elsewhere: AtomicBool::new(false),
            given_up: Mutex::default(),
        }))
    }

    /// How long nothing may happen.
    pub(crate) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// The work goes on.
    pub(crate) fn step(&self) {
        self.0.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The same of work that need not go on when nobody wants it any more.
    ///
    /// # Errors
    /// `DeadlineExceeded` if it was given up.
    pub(crate) fn go_on(&self) -> Result<()> {
        self.step();
        if self.0.state.load(Ordering::SeqCst) == GIVEN_UP { Err(nobody_wants_it()) } else { Ok(()) }
    }

    /// Waits for somebody who has a deadline of their own, a client, say: meanwhile it is not given up.
    pub(crate) fn elsewhere<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.0.elsewhere.store(true, Ordering::SeqCst);
        let done = wait();
        // In this order: whoever sees that it is back sees the step, too.
        self.step();
        self.0.elsewhere.store(false, Ordering::SeqCst);
        done
    }

    /// What was made is about to become visible: from now on it is waited for.
    ///
    /// # Errors
    /// `DeadlineExceeded` if it was given up: nobody wants it any more.
    pub(crate) fn take_effect(&self) -> Result<()> {
        let state = &self.0.state;
        match state.compare_exchange(WORKING, TAKING_EFFECT, Ordering::SeqCst, Ordering::SeqCst) {
            Err(GIVEN_UP) => Err(nobody_wants_it()),
            _ => Ok(()),
        }
    }

    /// What is to be done when it is given up, by whoever gives it up.
    pub(crate) fn when_given_up(&self, undo: impl FnOnce() + Send + 'static) {
        self.0.given_up.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(undo));
    }

    fn steps(&self) -> u64 {
        self.0.steps.load(Ordering::Relaxed)
    }

    fn give_up(&self) -> bool {
        let state = &self.0.state;
        if state.compare_exchange(WORKING, GIVEN_UP, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return false;
        }
        let undo = std::mem::take(&mut *self.0.given_up.lock().unwrap_or_else(PoisonError::into_inner));
        undo.into_iter().for_each(|undo| undo());
        true
    }

    fn is_elsewhere(&self) -> bool {
        self.0.elsewhere.load(Ordering::SeqCst)
    }
}

fn nobody_wants_it() -> Error {
    Error::deadline("it was given up")
}

/// What is said of work that has made no step for so long.
pub(crate) fn given_up(patience: Duration) -> Error {
    Error::deadline(format!("given up: nothing has happened for {} s", patience.as_secs_f32()))
        .with_hint("a file server or a plugin of one of the volumes does not answer; other volumes are unharmed")
}

/// What work has only as long as somebody wants it: who gives the work up takes it away.
#[derive(Debug)]
pub(crate) struct Lent<T>(Arc<Mutex<Option<T>>>);

impl<T: Send + 'static> Lent<T> {
    /// Lends something; `end` is what happens to it when the work is given up.
    pub(crate) fn to(watch: &Watch, thing: T, end: impl FnOnce(T) + Send + 'static) -> Self {
        let lent = Arc::new(Mutex::new(Some(thing)));
        let back = Arc::clone(&lent);
        watch.when_given_up(move || {
            // Whoever works with it at this moment does not hang, and will hear that it was given up.
            if let Some(thing) = back.try_lock().ok().and_then(|mut thing| thing.take()) {
                end(thing);
            }
        });
        Self(lent)
    }

    /// Works with it.
    ///
    /// # Errors
    /// `DeadlineExceeded` if it was taken away.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut().map(work).ok_or_else(nobody_wants_it)
    }

    /// Takes it back, if it was not taken away.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Blocking work that is given up when it makes no step for so long.
///
/// # Errors
/// What the work says; `DeadlineExceeded` when it was given up.
pub(crate) async fn watched<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce(&Watch) -> Result<T> + Send + 'static,
) -> Result<T> {
    let watch = Watch::patient(patience);
    let working = watch.clone();
    let task = tokio::task::spawn_blocking(move || work(&working));
    interrupted(watch_over(&watch, task).await?)
}

/// Waits for work that does what a watch says.
///
/// # Errors
/// `DeadlineExceeded` when it was given up.
pub(crate) async fn watch_over<T>(watch: &Watch, work: impl Future<Output = T>) -> Result<T> {
    let mut work = std::pin::pin!(work);
    let patience = watch.patience();
    // A little longer than the work itself waits for others: it knows better what has not come.
    let longer = patience + patience / 4;
    loop {
        let seen = watch.steps();
        match tokio::time::timeout(longer, &mut work).await {
            Ok(done) => return Ok(done),
            Err(_) if !watch.is_elsewhere() && watch.steps() == seen && watch.give_up() => {
                return Err(given_up(patience));
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;
    use std::sync::mpsc;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn what_hangs_is_given_up_and_takes_no_effect_later() {
        let (go_on, wait) = mpsc::channel::<()>();
        let (told, outcome) = mpsc::channel();
        let (undo, undone) = mpsc::channel();
        let work = move |watch: &Watch| {
            watch.when_given_up(move || undo.send(()).unwrap());
            let _ = wait.recv();
            told.send(watch.take_effect().map_err(|error| error.class())).unwrap();
            Ok(())
        };
        let error = watched(SHORT, work).await.unwrap_err();
        assert_eq!(error.class(), Class::DeadlineExceeded);
        undone.recv().unwrap();
        drop(go_on);
        let outcome = tokio::task::spawn_blocking(move || outcome.recv().unwrap()).await.unwrap();
        assert_eq!(outcome, Err(Class::DeadlineExceeded));
    }

    #[tokio::test]
    async fn what_was_lent_is_taken_away_when_work_is_given_up_and_not_while_it_waits_for_a_client() {
        let watch = Watch::patient(SHORT);
        let (ended, end) = mpsc::channel();
        let lent = Lent::to(&watch, 7, move |thing| ended.send(thing).unwrap());
        let waiting = watch.clone();
        let client = tokio::task::spawn_blocking(move || waiting.elsewhere(|| std::thread::sleep(SHORT * 10)));
        watch_over(&watch, client).await.unwrap().unwrap();
        assert_eq!(lent.with(|thing| *thing).unwrap(), 7);
        assert!(watch.go_on().is_ok());
        watch_over(&watch, std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(end.recv().unwrap(), 7);
        let refused = [watch.go_on(), lent.with(|_| ())].map(|it| it.unwrap_err().class());
        assert_eq!((refused, lent.take()), ([Class::DeadlineExceeded; 2], None));
    }

    #[tokio::test]
    async fn what_goes_on_or_takes_effect_is_waited_for() {
        let slow = |watch: &Watch| {
            for _ in 0..20 {
                std::thread::sleep(SHORT / 4);
                watch.step();
            }
            Ok(1)
        };
        assert_eq!(watched(SHORT, slow).await.unwrap(), 1);
        let late = |watch: &Watch| {
            watch.take_effect()?;
            std::thread::sleep(SHORT * 4);
            Ok(2)
        };
        assert_eq!(watched(SHORT, late).await.unwrap(), 2);
    }
}
