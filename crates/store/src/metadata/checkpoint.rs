//! Moves the WAL into the database in the background, so that no commit ever pays for it.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

use dhow_errdefs::{Result, ResultExt};
use rusqlite::Connection;

use super::{Durability, open};

/// How many commits there are between two checkpoints: some megabytes of WAL, which readers have to search.
const EVERY: u32 = 256;

#[derive(Debug)]
pub(super) struct Checkpointer {
    commits: AtomicU32,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path) -> Result<Self> {
        let connection = open::connect(path, Durability::Fast)?;
        let (wake, woken) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || run(&connection, &woken))
            .context(|| "start the checkpoint thread")?;
        Ok(Self { commits: AtomicU32::new(0), wake: Some(wake), thread: Some(thread) })
    }

    /// Tells that something was committed. Costs one addition; an idle engine is never woken.
    pub(super) fn committed(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed) % EVERY == EVERY - 1
            && let Some(wake) = &self.wake
        {
            // Full: the thread is awake already.
            let _ = wake.try_send(());
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(connection: &Connection, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // PASSIVE never waits for anybody. What it could not move now it moves the next time; an error (a full disk)
        // leaves the WAL as it is, which is complete and valid.
        let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        let _ = restart(connection);
    }
}

/// The first commit after a complete checkpoint starts the WAL anew and syncs its header: better here than in the
/// start of a container.
fn restart(connection: &Connection) -> rusqlite::Result<()> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}
