//! The records: one SQLite database in WAL mode, one writer at a time, migrations by number.
//!
//! # Durability
//!
//! A commit with [`Durability::Fast`] (`synchronous=NORMAL`) is a write to the page cache: a killed process loses
//! nothing; a power cut rolls back at worst the last transitions and never corrupts (<https://sqlite.org/wal.html>).
//! One with [`Durability::Full`] is on the disk when it returns, and so is every commit before it.
//!
//! The WAL is moved into the database by a thread of its own ([`checkpoint`]), never by a commit.
//!
//! # Damage
//!
//! [`Metadata::open`] checks the database and refuses a damaged one with [`Class::DataLoss`] and a hint; it never
//! repairs by guessing. To go on, the person moves the file away: the next start begins with an empty database, keeps
//! the containers' writable folders under `lost/`, and images are loaded again.
//!
//! [`Class::DataLoss`]: dhow_errdefs::Class::DataLoss

mod checkpoint;
mod containers;
mod images;
mod layers;
mod open;
mod schema;
mod sql;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dhow_errdefs::Result;
use rusqlite::{Connection, TransactionBehavior};

use checkpoint::Checkpointer;
use sql::failed;

pub(crate) use open::exists;

pub use containers::{ContainerRecord, Document};
pub use images::{ImageLayer, ImageRecord, TagRecord};
pub use layers::LayerRecord;

/// When a commit counts as done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// In the page cache: survives the death of this process, not a power cut. For container transitions.
    Fast,
    /// On the disk. For images, tags, layers, volumes and networks.
    Full,
}

/// The database of a data root.
#[derive(Debug)]
pub struct Metadata {
    /// Two connections, so that neither has to change its `synchronous` between transactions; one lock, so that SQLite's
    /// own lock is never contended and its sleeping busy handler never runs.
    writers: Mutex<Writers>,
    reader: Mutex<Connection>,
    checkpointer: Checkpointer,
}

#[derive(Debug)]
struct Writers {
    fast: Connection,
    full: Connection,
}

/// An open write transaction: everything done through it happens together or not at all.
#[derive(Debug)]
pub struct Transaction<'a> {
    sql: rusqlite::Transaction<'a>,
}

impl Metadata {
    /// Opens or creates the database `path`, checks it, and brings its tables up to date.
    ///
    /// # Errors
    /// [`DataLoss`](dhow_errdefs::Class::DataLoss) when it is damaged, [`Conflict`](dhow_errdefs::Class::Conflict) when
    /// a newer dhow wrote it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        open::prepare(path)?;
        let full = open::connect(path, Durability::Full)?;
        let fast = open::connect(path, Durability::Fast)?;
        let reader = open::connect(path, Durability::Fast)?;
        let checkpointer = Checkpointer::start(path)?;
        Ok(Self { writers: Mutex::new(Writers { fast, full }), reader: Mutex::new(reader), checkpointer })
    }

    /// Runs `body` in one transaction and commits when it returns `Ok`; otherwise nothing has happened.
    ///
    /// # Errors
    /// What `body` returns, or what the database says.
    pub fn transaction<T>(&self, durability: Durability, body: impl FnOnce(&Transaction) -> Result<T>) -> Result<T> {
        let value = {
            let mut writers = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = match durability {
                Durability::Fast => &mut writers.fast,
                Durability::Full => &mut writers.full,
            };
            let sql = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(failed("begin a transaction"))?;
            let transaction = Transaction { sql };
            let value = body(&transaction)?;
            transaction.sql.commit().map_err(failed("commit"))?;
            value
        };
        self.checkpointer.committed();
        Ok(value)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
