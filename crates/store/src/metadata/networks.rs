//! Networks: rarely changed, never lost.

use dhow_errdefs::{Class, Error, Result};
use rusqlite::{Row, params};

use super::sql::{failed, rows};
use super::{Document, Durability, Metadata};

/// A network as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique.
    pub name: String,
    /// Nanoseconds since 1970.
    pub created: i64,
    /// What it is.
    pub network: Document,
}

impl Metadata {
    /// Records a new network ([`Durability::Full`]).
    ///
    /// # Errors
    /// [`AlreadyExists`](Class::AlreadyExists) when its ID or its name is taken.
    pub fn insert_network(&self, network: &NetworkRecord) -> Result<()> {
        let NetworkRecord { id, name, created, network: document } = network;
        let inserted = self.transaction(Durability::Full, |transaction| {
            let values = params![id, name, created, document.format, document.json];
            let insert =
                || transaction.sql.prepare_cached("INSERT INTO networks VALUES (?, ?, ?, ?, ?)")?.execute(values);
            insert().map_err(failed("record a network"))
        });
        match inserted {
            Err(error) if error.class() == Class::Conflict => {
                Err(Error::already_exists(format!("network {name} is recorded already")))
            }
            inserted => inserted.map(drop),
        }
    }

    /// Replaces what a network is ([`Durability::Full`]).
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when there is no such network.
    pub fn set_network(&self, id: &str, network: &Document) -> Result<()> {
        let changed = self.transaction(Durability::Full, |transaction| {
            let sql = "UPDATE networks SET format = ?2, network = ?3 WHERE id = ?1";
            let set = || transaction.sql.prepare_cached(sql)?.execute(params![id, network.format, network.json]);
            set().map_err(failed("record a network"))
        })?;
        if changed == 0 { Err(Error::not_found(format!("network {id} is not recorded"))) } else { Ok(()) }
    }

    /// Forgets a network ([`Durability::Full`]). Says whether it was there.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_network(&self, id: &str) -> Result<bool> {
        self.removal(Durability::Full, |transaction| {
            let delete = || transaction.sql.prepare_cached("DELETE FROM networks WHERE id = ?")?.execute([id]);
            Ok(delete().map_err(failed("forget a network"))? > 0)
        })
    }

    /// All networks, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn networks(&self) -> Result<Vec<NetworkRecord>> {
        let connection = self.reader();
        let sql = "SELECT id, name, created, format, network FROM networks ORDER BY created, rowid";
        rows(&connection, sql, [], read).map_err(failed("list networks"))
    }
}

fn read(row: &Row) -> rusqlite::Result<NetworkRecord> {
    let network = Document { format: row.get(3)?, json: row.get(4)? };
    Ok(NetworkRecord { id: row.get(0)?, name: row.get(1)?, created: row.get(2)?, network })
}
