//! A shim ahead of the next start, which then does not wait for a fork, an execve and the shim's own beginning.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dhow_errdefs::Result;
use dhow_shim::Spawned;
use dhow_sys::process::has_ended;

/// How long after the last start the next spare is started: while a container starts, and while many do, the processors
/// have better things to do.
const QUIET: Duration = Duration::from_millis(20);

/// At most one shim that waits for its container. An engine that starts nothing has none; one that ends lets it go, and
/// it ends by itself when the engine is killed.
#[derive(Debug, Default)]
pub(crate) struct Shims {
    spare: Mutex<Option<Spawned>>,
    /// Somebody is starting one.
    busy: AtomicBool,
    starts: AtomicU64,
}

impl Shims {
    /// The spare, if there is one that lives.
    pub(crate) fn take(&self) -> Option<Spawned> {
        self.starts.fetch_add(1, Ordering::Relaxed);
        let spare = self.lock().take()?;
        if !has_ended(&spare.pidfd) {
            return Some(spare);
        }
        // Somebody has killed it. It is our child, and it has ended.
        let _ = dhow_shim::reap(&spare.pidfd);
        None
    }

    /// A container was created, and is likely to be started at once: the spare makes ahead what takes long.
    pub(crate) fn foresee(&self) {
        if let Some(spare) = &*self.lock() {
            // What is wrong with it is found out by who takes it.
            let _ = dhow_shim::foresee(&spare.control);
        }
    }

    /// Waits until nobody has taken, or wanted, a spare for a while. `false`: somebody has, and waits now in turn.
    pub(crate) async fn quiet(&self) -> bool {
        let starts = self.starts.load(Ordering::Relaxed);
        tokio::time::sleep(QUIET).await;
        self.starts.load(Ordering::Relaxed) == starts
    }

    /// Starts a spare unless there is one. Blocks; an engine that cannot start one does without.
    pub(crate) fn refill(&self, program: &Path, directory: &Path) {
        if self.lock().is_some() || self.busy.swap(true, Ordering::Acquire) {
            return;
        }
        match dhow_shim::spawn_spare(program, directory) {
            Ok(spare) => *self.lock() = Some(spare),
            Err(error) => tracing::debug!(%error, "no shim could be started ahead"),
        }
        self.busy.store(false, Ordering::Release);
    }

    /// Lets the spare go and waits until it has ended.
    pub(crate) fn close(&self) -> Result<()> {
        // No more of them.
        self.busy.store(true, Ordering::Relaxed);
        let Some(Spawned { pidfd, control, .. }) = self.lock().take() else { return Ok(()) };
        drop(control);
        dhow_shim::reap(&pidfd)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Spawned>> {
        // Whole after each statement, whoever panicked.
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
