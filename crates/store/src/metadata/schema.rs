//! The tables, one migration per version. A migration that was released is never changed.

use dhow_errdefs::{Error, Result};
use rusqlite::{Connection, TransactionBehavior};

use super::sql::failed;

/// Migration `n` makes version `n + 1`. `PRAGMA user_version` holds the version.
const MIGRATIONS: [&str; 3] = [
    // 1: images, tags, layers, containers. The state of a container has a table of its own: it changes often and must
    // not rewrite the specification beside it.
    "CREATE TABLE images (
         id       TEXT PRIMARY KEY,
         manifest TEXT,
         created  INTEGER NOT NULL,
         size     INTEGER NOT NULL,
         platform TEXT NOT NULL
     );
     CREATE TABLE image_layers (
         image    TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
         position INTEGER NOT NULL,
         diff     TEXT NOT NULL,
         chain    TEXT NOT NULL,
         blob     TEXT NOT NULL,
         blob_size INTEGER NOT NULL,
         media_type TEXT NOT NULL,
         PRIMARY KEY (image, position)
     ) WITHOUT ROWID;
     CREATE INDEX image_layers_chain ON image_layers (chain);
     CREATE TABLE image_blobs (
         image    TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
         blob     TEXT NOT NULL,
         PRIMARY KEY (image, blob)
     ) WITHOUT ROWID;
     CREATE TABLE tags (
         name     TEXT PRIMARY KEY,
         image    TEXT NOT NULL REFERENCES images ON DELETE CASCADE,
         tagged   INTEGER NOT NULL
     ) WITHOUT ROWID;
     CREATE INDEX tags_image ON tags (image);
     CREATE TABLE layers (
         number   INTEGER PRIMARY KEY,
         chain    TEXT NOT NULL UNIQUE,
         parent   TEXT REFERENCES layers (chain),
         diff     TEXT NOT NULL,
         size     INTEGER NOT NULL,
         mode     INTEGER NOT NULL,
         uid      INTEGER NOT NULL,
         gid      INTEGER NOT NULL
     );
     CREATE INDEX layers_parent ON layers (parent);
     CREATE TABLE containers (
         id       TEXT PRIMARY KEY,
         name     TEXT NOT NULL UNIQUE,
         image    TEXT,
         layer    TEXT REFERENCES layers (chain),
         created  INTEGER NOT NULL,
         format   INTEGER NOT NULL,
         spec     TEXT NOT NULL
     );
     CREATE INDEX containers_layer ON containers (layer);
     CREATE TABLE container_states (
         id       TEXT PRIMARY KEY REFERENCES containers ON DELETE CASCADE,
         format   INTEGER NOT NULL,
         state    TEXT NOT NULL
     );",
    // 2: networks.
    "CREATE TABLE networks (
         id       TEXT PRIMARY KEY,
         name     TEXT NOT NULL UNIQUE,
         created  INTEGER NOT NULL,
         format   INTEGER NOT NULL,
         network  TEXT NOT NULL
     );",
    // 3: the images that images were made of. No reference: it may be removed before them.
    "ALTER TABLE images ADD COLUMN parent TEXT;",
];

/// Brings the tables up to the newest version, all steps in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let newest = MIGRATIONS.len();
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed("begin a migration"))?;
    let version: usize = transaction
        .pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0))
        .map_err(failed("read the version"))? as usize;
    if version > newest {
        return Err(Error::conflict(format!("metadata has version {version}; this dhow knows {newest}"))
            .with_hint("it was used by a newer dhow: use that one, or another data root"));
    }
    for step in &MIGRATIONS[version..] {
        transaction.execute_batch(step).map_err(failed("migrate"))?;
    }
    if version < newest {
        transaction.pragma_update(None, "user_version", newest as u32).map_err(failed("write the version"))?;
    }
    transaction.commit().map_err(failed("commit a migration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSERT: &str = "INSERT INTO images (id, created, size, platform)";

    #[test]
    fn version_1_is_made_from_nothing_and_kept() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection.execute(&format!("{INSERT} VALUES ('i', 0, 0, '')"), []).unwrap();
        migrate(&mut connection).unwrap();
        let (version, images): (u32, u32) = connection
            .query_row("SELECT user_version, (SELECT count(*) FROM images) FROM pragma_user_version", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!((version as usize, images), (MIGRATIONS.len(), 1));
    }

    #[test]
    fn every_older_version_is_brought_up_with_what_is_in_it() {
        for old in 1..MIGRATIONS.len() {
            let mut connection = Connection::open_in_memory().unwrap();
            MIGRATIONS[..old].iter().for_each(|step| connection.execute_batch(step).unwrap());
            connection.pragma_update(None, "user_version", old as u32).unwrap();
            connection.execute(&format!("{INSERT} VALUES ('i', 0, 0, '')"), []).unwrap();
            migrate(&mut connection).unwrap();
            let sql = "SELECT (SELECT count(*) FROM images), (SELECT count(*) FROM networks)";
            let counts: (u32, u32) = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            assert_eq!(counts, (1, 0));
        }
    }

    #[test]
    fn a_newer_version_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 1000).unwrap();
        assert_eq!(migrate(&mut connection).unwrap_err().class(), dhow_errdefs::Class::Conflict);
    }
}
