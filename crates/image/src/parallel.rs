//! Several things at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use dhow_errdefs::Result;

/// Does a number of things, so many at once, and stops at the first failure.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    at_once: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done: Vec<Mutex<Option<Result<T>>>> = (0..count).map(|_| Mutex::default()).collect();
    thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| {
                while !failed.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(place) = done.get(at) else { break };
                    let result = work(at);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let results = done.into_iter().filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner));
    results.collect()
}

/// Does two things at once, the first on this thread, and gives what came of both.
///
/// # Panics
/// Where the second one does.
pub(crate) fn both<A, B: Send>(first: impl FnOnce() -> A, second: impl FnOnce() -> B + Send) -> (A, B) {
    thread::scope(|scope| {
        let second = scope.spawn(second);
        let first = first();
        (first, second.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use dhow_errdefs::Error;

    use super::*;

    #[test]
    fn all_are_done_in_order_and_the_first_failure_is_told() {
        let done = in_parallel(10, 3, |at| Ok(at * 2)).expect("good");
        assert_eq!(done, (0..10).map(|at| at * 2).collect::<Vec<_>>());
        assert_eq!(in_parallel(0, 3, |_| Ok(())).expect("good"), []);
        let failed = in_parallel(100, 3, |at| if at == 3 { Err(Error::conflict("three")) } else { Ok(at) });
        assert_eq!(failed.expect_err("one fails").to_string(), "three");
    }

    #[test]
    fn both_meet() {
        let meeting = std::sync::Barrier::new(2);
        let meet = |name| {
            meeting.wait();
            name
        };
        assert_eq!(both(|| meet("first"), || meet("second")), ("first", "second"));
    }
}
