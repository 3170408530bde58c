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
/// How often what came in between is moved, too.
const ATTEMPTS: usize = 8;

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
        // An error (a full disk) leaves the WAL as it is, which is complete and valid.
        let _ = checkpoint(connection);
    }
}

/// The WAL can be written from its beginning again only after all of it was moved, and while there are commits without a
/// pause it grows as it is moved: the next attempt has less to move and is faster.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    for _ in 0..ATTEMPTS {
        if move_pages(connection)? {
            return restart(connection);
        }
    }
    Ok(())
}

/// Says whether nothing is left to move. PASSIVE never waits for anybody.
fn move_pages(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        let (in_wal, moved): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(in_wal == moved)
    })
}

/// The first commit after a complete checkpoint starts the WAL anew and syncs its header: better here than in the
/// start of a container.
fn restart(connection: &Connection) -> rusqlite::Result<()> {
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_keeps_the_wal_and_afterwards_it_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let connect = || open::connect(&path, Durability::Fast).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE ships (name)").unwrap();
        let (writer, reader, mover) = (connect(), connect(), connect());
        let launch = |times| {
            for _ in 0..times {
                writer.execute("INSERT INTO ships VALUES ('dhow')", []).unwrap();
            }
        };
        let length = || std::fs::metadata(dir.path().join("db-wal")).unwrap().len();
        reader.execute_batch("BEGIN; SELECT * FROM ships").unwrap();
        launch(100);
        assert!(!move_pages(&mover).unwrap(), "the reader still needs what was before");
        reader.execute_batch("COMMIT").unwrap();
        let before = length();
        checkpoint(&mover).unwrap();
        assert!(length() < before / 10, "it is written from its beginning again: {} of {before}", length());
    }
}
