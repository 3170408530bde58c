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
mod networks;
mod open;
mod reserve;
mod schema;
mod sql;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dhow_errdefs::{Class, Result};
use rusqlite::{Connection, TransactionBehavior};

use checkpoint::Checkpointer;
use reserve::Reserve;
use sql::failed;

pub(crate) use open::exists;

pub use containers::{ContainerRecord, Document};
pub use images::{ImageLayer, ImageRecord, TagRecord};
pub use layers::LayerRecord;
pub use networks::NetworkRecord;

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
    reserve: Reserve,
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
        let reserve = Reserve::of(path);
        let opened = match Self::connect(path) {
            // SQLite does not say of every failure that the disk is full.
            Err(error) if !matches!(error.class(), Class::DataLoss | Class::Conflict) && reserve.spend() => {
                Self::connect(path)?
            }
            result => result?,
        };
        reserve.refill();
        let (writers, reader, checkpointer) = opened;
        Ok(Self { writers: Mutex::new(writers), reader: Mutex::new(reader), checkpointer, reserve })
    }

    fn connect(path: &Path) -> Result<(Writers, Connection, Checkpointer)> {
        open::prepare(path)?;
        let full = open::connect(path, Durability::Full)?;
        let fast = open::connect(path, Durability::Fast)?;
        let reader = open::connect(path, Durability::Fast)?;
        Ok((Writers { fast, full }, reader, Checkpointer::start(path)?))
    }

    /// A transaction that makes room in the end, and on a full disk may use the reserve for it.
    fn removal<T>(&self, durability: Durability, body: impl Fn(&Transaction) -> Result<T>) -> Result<T> {
        let result = match self.transaction(durability, &body) {
            Err(error) if error.class() == Class::ResourceExhausted && self.reserve.spend() => {
                self.transaction(durability, &body)
            }
            result => result,
        };
        self.reserve.refill();
        result
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
