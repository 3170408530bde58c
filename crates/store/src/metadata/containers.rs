//! Containers: what they are (rarely changed) and how they are (changed at every transition).

use dhow_errdefs::{Class, Error, Result, message};
use dhow_oci::Digest;
use rusqlite::{Row, params};

use super::sql::{failed, hex_prefix, optional_digest, row, rows};
use super::{Durability, Metadata, Transaction};

/// A JSON text and the version of its form, which its owner (the engine) migrates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The version of the form.
    pub format: u32,
    /// The text.
    pub json: String,
}

/// A container as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRecord {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique, without a leading slash.
    pub name: String,
    /// The image it was made from; its config blob stays as long as the container does.
    pub image: Option<Digest>,
    /// The chain ID of the layers it stands on; they stay as long as the container does.
    pub layer: Option<Digest>,
    /// Nanoseconds since 1970.
    pub created: i64,
    /// What it is.
    pub spec: Document,
    /// How it is.
    pub state: Document,
}

impl Document {
    /// Of something that is there and cannot be read: in a form that nobody has ever written.
    fn unreadable() -> Self {
        Self { format: 0, json: String::new() }
    }
}

const CONTAINER: &str = "SELECT c.id, name, image, layer, created, c.format, spec, s.format, state
                         FROM containers c LEFT JOIN container_states s ON s.id = c.id";

impl Metadata {
    /// Records a new container ([`Durability::Fast`]).
    ///
    /// # Errors
    /// [`Conflict`](Class::Conflict) in Docker's words when the name is taken, [`AlreadyExists`](Class::AlreadyExists)
    /// when the ID is, [`NotFound`](Class::NotFound) when its layer is not there any more.
    pub fn insert_container(&self, container: &ContainerRecord) -> Result<()> {
        self.transaction(Durability::Fast, |transaction| transaction.insert_container(container))
    }

    /// Replaces the state of a container ([`Durability::Fast`]).
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when there is no such container.
    pub fn set_container_state(&self, id: &str, state: &Document) -> Result<()> {
        self.transaction(Durability::Fast, |transaction| transaction.set_container_state(id, state))
    }

    /// Replaces the specification of a container ([`Durability::Fast`]).
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when there is no such container.
    pub fn set_container_spec(&self, id: &str, spec: &Document) -> Result<()> {
        self.transaction(Durability::Fast, |transaction| transaction.set_container_spec(id, spec))
    }

    /// Gives a container another name ([`Durability::Fast`]).
    ///
    /// # Errors
    /// [`Conflict`](Class::Conflict) in Docker's words when the name is taken, [`NotFound`](Class::NotFound) when there
    /// is no such container.
    pub fn rename_container(&self, id: &str, name: &str) -> Result<()> {
        self.transaction(Durability::Fast, |transaction| transaction.rename_container(id, name))
    }

    /// Forgets a container ([`Durability::Fast`]). Says whether it was there.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_container(&self, id: &str) -> Result<bool> {
        self.removal(Durability::Fast, |transaction| transaction.delete_container(id))
    }

    /// The container with that full ID.
    ///
    /// # Errors
    /// What the database says.
    pub fn container(&self, id: &str) -> Result<Option<ContainerRecord>> {
        let connection = self.reader();
        row(&connection, &format!("{CONTAINER} WHERE c.id = ?"), [id], read).map_err(failed("find a container"))
    }

    /// All containers, oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn containers(&self) -> Result<Vec<ContainerRecord>> {
        let connection = self.reader();
        rows(&connection, &format!("{CONTAINER} ORDER BY created, c.id"), [], read).map_err(failed("list containers"))
    }

    /// The IDs of all containers.
    pub(crate) fn container_ids(&self) -> Result<Vec<String>> {
        let connection = self.reader();
        rows(&connection, "SELECT id FROM containers", [], |row| row.get(0)).map_err(failed("list containers"))
    }

    /// The IDs that begin with `prefix`.
    ///
    /// # Errors
    /// [`InvalidArgument`](Class::InvalidArgument) when it is not hexadecimal.
    pub fn containers_with_prefix(&self, prefix: &str) -> Result<Vec<String>> {
        let prefix = hex_prefix(prefix)?;
        let connection = self.reader();
        rows(&connection, "SELECT id FROM containers WHERE id GLOB ? || '*'", [prefix], |row| row.get(0))
            .map_err(failed("find containers"))
    }
}

impl Transaction<'_> {
    /// Records a new container.
    ///
    /// # Errors
    /// As [`Metadata::insert_container`].
    pub fn insert_container(&self, container: &ContainerRecord) -> Result<()> {
        let insert = || {
            let image = container.image.as_ref().map(ToString::to_string);
            let layer = container.layer.as_ref().map(ToString::to_string);
            let (id, spec, state) = (&container.id, &container.spec, &container.state);
            self.sql.prepare_cached("INSERT INTO containers VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
                id,
                container.name,
                image,
                layer,
                container.created,
                spec.format,
                spec.json
            ])?;
            self.sql.prepare_cached("INSERT INTO container_states VALUES (?, ?, ?)")?.execute(params![
                id,
                state.format,
                state.json
            ])
        };
        match insert().map_err(failed("record a container")) {
            Err(error) if error.class() == Class::Conflict => Err(self.why_not(container).unwrap_or(error)),
            result => result.map(drop),
        }
    }

    /// Finds out which constraint it was; only after a failure, so that it costs nothing otherwise.
    fn why_not(&self, container: &ContainerRecord) -> Option<Error> {
        if let Some(holder) = self.holder(&container.name) {
            return Some(Error::conflict(message::name_in_use(&container.name, &holder)));
        }
        match &container.layer {
            Some(layer) if super::layers::layer(&self.sql, layer).ok()?.is_none() => {
                Some(Error::not_found(format!("container {}: layer {layer} is gone", container.id)))
            }
            _ => Some(Error::already_exists(format!("container {} is recorded already", container.id))),
        }
    }

    fn holder(&self, name: &str) -> Option<String> {
        self.sql.query_row("SELECT id FROM containers WHERE name = ?", [name], |row| row.get(0)).ok()
    }

    /// Replaces the state of a container.
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when there is no such container.
    pub fn set_container_state(&self, id: &str, state: &Document) -> Result<()> {
        let set = || {
            let sql = "UPDATE container_states SET format = ?2, state = ?3 WHERE id = ?1";
            self.sql.prepare_cached(sql)?.execute(params![id, state.format, state.json])
        };
        found(id, set().map_err(failed("record a state"))?)
    }

    /// Replaces the specification of a container.
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when there is no such container.
    pub fn set_container_spec(&self, id: &str, spec: &Document) -> Result<()> {
        let set = || {
            let sql = "UPDATE containers SET format = ?2, spec = ?3 WHERE id = ?1";
            self.sql.prepare_cached(sql)?.execute(params![id, spec.format, spec.json])
        };
        found(id, set().map_err(failed("record a specification"))?)
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// As [`Metadata::rename_container`].
    pub fn rename_container(&self, id: &str, name: &str) -> Result<()> {
        let set = || self.sql.prepare_cached("UPDATE containers SET name = ?2 WHERE id = ?1")?.execute([id, name]);
        match set().map_err(failed("rename a container")) {
            Ok(changed) => found(id, changed),
            Err(error) if error.class() == Class::Conflict => {
                Err(self.holder(name).map_or(error, |holder| Error::conflict(message::name_in_use(name, &holder))))
            }
            Err(error) => Err(error),
        }
    }

    /// Forgets a container. Says whether it was there.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_container(&self, id: &str) -> Result<bool> {
        let delete = || self.sql.prepare_cached("DELETE FROM containers WHERE id = ?")?.execute([id]);
        Ok(delete().map_err(failed("forget a container"))? > 0)
    }

    /// The image and the layer of every container: what collection must keep.
    pub(crate) fn container_roots(&self) -> Result<Vec<(Option<Digest>, Option<Digest>)>> {
        let read = |row: &Row| Ok((optional_digest(row, 0)?, optional_digest(row, 1)?));
        rows(&self.sql, "SELECT DISTINCT image, layer FROM containers", [], read).map_err(failed("list containers"))
    }
}

fn found(id: &str, changed: usize) -> Result<()> {
    if changed == 0 { Err(Error::not_found(message::no_such_container(id))) } else { Ok(()) }
}

/// A row, whatever somebody has made of it: a container that is there must be seen, if only to be removed.
fn read(row: &Row) -> rusqlite::Result<ContainerRecord> {
    let (image, layer) = (optional_digest(row, 2), optional_digest(row, 3));
    let document = |format, json| Some(Document { format: row.get(format).ok()?, json: row.get(json).ok()? });
    let spec = document(5, 6).filter(|_| image.is_ok() && layer.is_ok());
    Ok(ContainerRecord {
        id: lossy(row, 0)?,
        name: lossy(row, 1)?,
        image: image.unwrap_or_default(),
        layer: layer.unwrap_or_default(),
        created: row.get(4).unwrap_or_default(),
        spec: spec.unwrap_or_else(Document::unreadable),
        state: document(7, 8).unwrap_or_else(Document::unreadable),
    })
}

fn lossy(row: &Row, column: usize) -> rusqlite::Result<String> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes_or_null()?.unwrap_or_default()).into_owned())
}
