//! Opening the database: check first, then trust.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use dhow_errdefs::{Class, Error, Result, ResultExt};
use rusqlite::{Connection, OpenFlags};

use super::sql::{class, failed};
use super::{Durability, schema};

/// Checks a database, creates it where there is none, and brings its tables up to date.
pub(super) fn prepare(path: &Path) -> Result<()> {
    // SQLite would create it readable for all.
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .context(|| format!("open {}", path.display()))?;
    let mut connection = connect(path, Durability::Full).map_err(|error| explain(path, error))?;
    check(path, &connection)?;
    schema::migrate(&mut connection).map_err(|error| explain(path, error))
}

/// One more connection to a database that [`prepare`] has seen.
pub(super) fn connect(path: &Path, durability: Durability) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed("open the database"))?;
    configure(&connection, durability).map_err(failed("configure the database"))?;
    Ok(connection)
}

fn configure(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    // Only the checkpointing thread is ever in the way, for moments.
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let synchronous = match durability {
        Durability::Fast => "normal",
        Durability::Full => "full",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Whoever writes it from its beginning again cuts the rest off: to write into a file whose pages are not in memory any
    // more, the kernel has to read them, in the middle of a start.
    connection.pragma_update(None, "journal_size_limit", 0)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Pages are checked as they are read, so that a flipped bit is an error and not a wrong answer.
    connection.pragma_update(None, "cell_size_check", true)?;
    // In KiB. There are four connections, each with a cache of its own, and the engine shall be small at rest.
    connection.pragma_update(None, "cache_size", -512)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Reads every page once; the database is small (a thousand containers are ten megabytes).
fn check(path: &Path, connection: &Connection) -> Result<()> {
    let verdict: rusqlite::Result<String> = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    match verdict {
        Ok(verdict) if verdict == "ok" => Ok(()),
        Ok(verdict) => Err(damaged(path).with_cause(Error::data_loss(verdict))),
        Err(error) if class(&error) == Class::DataLoss => Err(damaged(path).with_cause(error)),
        Err(error) => Err(failed("check the database")(error)),
    }
}

fn explain(path: &Path, error: Error) -> Error {
    if error.class() == Class::DataLoss { damaged(path).with_cause(error) } else { error }
}

fn damaged(path: &Path) -> Error {
    let file = path.display();
    Error::data_loss(format!("metadata database {file} is damaged")).with_hint(format!(
        "to go on without its records, move it away: for f in {file}*; do mv $f $f.damaged; done. \
         Images must then be loaded again; what containers wrote is kept under {}",
        path.with_file_name("lost").display()
    ))
}

/// Whether there is a database already; an empty file is none.
pub(crate) fn exists(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0)
}
