//! Unpacked layers.

use dhow_errdefs::Result;
use dhow_oci::Digest;
use rusqlite::{Connection, Row, params};

use super::sql::{digest, failed, optional_digest, row, rows, size, to_sql};
use super::{Durability, Metadata, Transaction};

/// An unpacked layer, complete and on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerRecord {
    /// The folder `layers/<number>`; short, so that many fit into one mount call.
    pub number: u64,
    /// The digest of this layer and all below it.
    pub chain_id: Digest,
    /// The chain ID of the layer below; none for a bottom layer.
    pub parent: Option<Digest>,
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Bytes of file contents.
    pub size: u64,
    /// Permission bits of `/` in this layer.
    pub mode: u32,
    /// Owner of `/`.
    pub uid: u32,
    /// Group of `/`.
    pub gid: u32,
}

const LAYER: &str = "SELECT number, chain, parent, diff, size, mode, uid, gid FROM layers";

impl Metadata {
    /// The layer with that chain ID.
    ///
    /// # Errors
    /// What the database says.
    pub fn layer(&self, chain_id: &Digest) -> Result<Option<LayerRecord>> {
        layer(&self.reader(), chain_id)
    }

    /// All layers, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn layers(&self) -> Result<Vec<LayerRecord>> {
        layers(&self.reader())
    }

    /// The layer with that chain ID and all below it, top first; empty when the top is not there.
    ///
    /// # Errors
    /// What the database says.
    pub fn chain(&self, top: &Digest) -> Result<Vec<LayerRecord>> {
        let connection = self.reader();
        let sql = "WITH RECURSIVE chain_of (depth, wanted) AS (
                       VALUES (0, ?1)
                       UNION ALL
                       SELECT depth + 1, parent FROM chain_of JOIN layers ON layers.chain = wanted
                       WHERE parent IS NOT NULL AND depth < 1000)
                   SELECT number, chain, parent, diff, size, mode, uid, gid
                   FROM chain_of JOIN layers ON layers.chain = wanted ORDER BY depth";
        rows(&connection, sql, [top.to_string()], read).map_err(failed("follow a chain of layers"))
    }

    /// The highest number a layer has, 0 if there is none.
    pub(crate) fn last_layer(&self) -> Result<u64> {
        let connection = self.reader();
        connection
            .query_row("SELECT coalesce(max(number), 0) FROM layers", [], |row| size(row, 0))
            .map_err(failed("number layers"))
    }

    /// Records layers, lowest first; on the disk when it returns.
    pub(crate) fn insert_layers(&self, layers: &[LayerRecord]) -> Result<()> {
        self.transaction(Durability::Full, |transaction| {
            let insert = || {
                let mut statement =
                    transaction.sql.prepare_cached("INSERT INTO layers VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
                layers.iter().try_for_each(|layer| {
                    let parent = layer.parent.as_ref().map(ToString::to_string);
                    let (chain, diff) = (layer.chain_id.to_string(), layer.diff_id.to_string());
                    let (number, size) = (to_sql(layer.number), to_sql(layer.size));
                    let values = params![number, chain, parent, diff, size, layer.mode, layer.uid, layer.gid];
                    statement.execute(values).map(drop)
                })
            };
            insert().map_err(failed("record layers"))
        })
    }
}

impl Transaction<'_> {
    /// All layers, oldest first.
    pub(crate) fn layers(&self) -> Result<Vec<LayerRecord>> {
        layers(&self.sql)
    }

    /// Forgets layers; those that another layer or a container stands on are refused by the database.
    pub(crate) fn delete_layers(&self, layers: &[LayerRecord]) -> Result<()> {
        let delete = || {
            // A layer goes before the one it stands on.
            self.sql.pragma_update(None, "defer_foreign_keys", true)?;
            let mut statement = self.sql.prepare_cached("DELETE FROM layers WHERE number = ?")?;
            layers.iter().try_for_each(|layer| statement.execute([to_sql(layer.number)]).map(drop))
        };
        delete().map_err(failed("forget layers"))
    }
}

fn layers(connection: &Connection) -> Result<Vec<LayerRecord>> {
    rows(connection, &format!("{LAYER} ORDER BY number"), [], read).map_err(failed("list layers"))
}

pub(super) fn layer(connection: &Connection, chain_id: &Digest) -> Result<Option<LayerRecord>> {
    row(connection, &format!("{LAYER} WHERE chain = ?"), [chain_id.to_string()], read).map_err(failed("find a layer"))
}

fn read(row: &Row) -> rusqlite::Result<LayerRecord> {
    Ok(LayerRecord {
        number: size(row, 0)?,
        chain_id: digest(row, 1)?,
        parent: optional_digest(row, 2)?,
        diff_id: digest(row, 3)?,
        size: size(row, 4)?,
        mode: row.get(5)?,
        uid: row.get(6)?,
        gid: row.get(7)?,
    })
}
