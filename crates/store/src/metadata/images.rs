//! Images and the tags that name them.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use dhow_errdefs::{Class, Error, Result, message};
use dhow_oci::Digest;
use rusqlite::{Connection, Row, params};

use super::sql::{digest, failed, hex_prefix, optional_digest, row, rows, size, to_sql};
use super::{Durability, Metadata, Transaction};

/// What is kept of an image beside its config blob, whose digest is its ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRecord {
    /// The digest of the config blob.
    pub id: Digest,
    /// The manifest it came with, if it came with one.
    pub manifest: Option<Digest>,
    /// The image whose container it was made of; none for what was pulled, loaded or imported.
    pub parent: Option<Digest>,
    /// The time in its config, in seconds since 1970; 0 if there is none.
    pub created: i64,
    /// The unpacked size of all layers in bytes.
    pub size: u64,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Bottom first.
    pub layers: Vec<ImageLayer>,
    /// Other blobs that belong to it (an index, attestations) and live as long as it does.
    pub blobs: Vec<Digest>,
}

/// One layer of an image: the blob it came in and the unpacked layer it became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// The digest of this layer and all below it: the key of the unpacked layer.
    pub chain_id: Digest,
    /// The blob as received.
    pub blob: Digest,
    /// The size of that blob in bytes.
    pub blob_size: u64,
    /// Its media type.
    pub media_type: String,
}

/// A name of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagRecord {
    /// The canonical reference with its tag, as `docker.io/library/busybox:latest`.
    pub name: String,
    /// The image's ID.
    pub image: Digest,
    /// When it was given, in nanoseconds since 1970.
    pub tagged: i64,
}

const IMAGE: &str = "SELECT id, manifest, created, size, platform, parent FROM images";

impl Metadata {
    /// Records an image and gives it these tags, all together; on the disk when it returns.
    ///
    /// An image recorded before under the same ID is replaced (its manifest may differ); its tags stay, and so does its
    /// parent when an archive brings it again.
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when a layer of it is not recorded.
    pub fn put_image(&self, image: &ImageRecord, tags: &[&str]) -> Result<()> {
        self.transaction(Durability::Full, |transaction| {
            transaction.put_image(image)?;
            tags.iter().try_for_each(|tag| transaction.set_tag(tag, &image.id).map(drop))
        })
    }

    /// The record of an image.
    ///
    /// # Errors
    /// What the database says.
    pub fn image(&self, id: &Digest) -> Result<Option<ImageRecord>> {
        image(&self.reader(), id)
    }

    /// All images, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub fn images(&self) -> Result<Vec<ImageRecord>> {
        images(&self.reader())
    }

    /// The IDs of the images whose hexadecimal ID begins with `prefix` (without `sha256:`).
    ///
    /// # Errors
    /// [`InvalidArgument`](Class::InvalidArgument) when it is not hexadecimal.
    pub fn images_with_prefix(&self, prefix: &str) -> Result<Vec<Digest>> {
        let prefix = hex_prefix(prefix)?;
        let connection = self.reader();
        rows(&connection, "SELECT id FROM images WHERE id GLOB 'sha256:' || ? || '*'", [prefix], |row| digest(row, 0))
            .map_err(failed("find images"))
    }

    /// Whether another image was made of it.
    ///
    /// # Errors
    /// What the database says.
    pub fn has_children(&self, id: &Digest) -> Result<bool> {
        let sql = "SELECT 1 FROM images WHERE parent = ? LIMIT 1";
        let child = row(&self.reader(), sql, [id.to_string()], |_| Ok(()));
        Ok(child.map_err(failed("find images made of another"))?.is_some())
    }

    /// Forgets an image and its tags. Its blobs and layers stay until the next collection. Says whether it was there.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_image(&self, id: &Digest) -> Result<bool> {
        self.removal(Durability::Full, |transaction| transaction.delete_image(id))
    }

    /// Gives an image a name and returns the image that had it before.
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when there is no such image.
    pub fn set_tag(&self, name: &str, image: &Digest) -> Result<Option<Digest>> {
        self.transaction(Durability::Full, |transaction| transaction.set_tag(name, image))
    }

    /// The image with that name.
    ///
    /// # Errors
    /// What the database says.
    pub fn tag(&self, name: &str) -> Result<Option<Digest>> {
        tag(&self.reader(), name)
    }

    /// All tags, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn tags(&self) -> Result<Vec<TagRecord>> {
        let connection = self.reader();
        rows(&connection, "SELECT name, image, tagged FROM tags ORDER BY name", [], read_tag)
            .map_err(failed("list tags"))
    }

    /// The tags of one image, by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn tags_of(&self, image: &Digest) -> Result<Vec<TagRecord>> {
        let connection = self.reader();
        let sql = "SELECT name, image, tagged FROM tags WHERE image = ? ORDER BY name";
        rows(&connection, sql, [image.to_string()], read_tag).map_err(failed("list tags"))
    }

    /// Takes a name away and returns the image that had it.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_tag(&self, name: &str) -> Result<Option<Digest>> {
        self.removal(Durability::Full, |transaction| transaction.delete_tag(name))
    }
}

impl Transaction<'_> {
    /// Records an image or replaces its record; its tags stay.
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when a layer of it is not recorded.
    pub fn put_image(&self, image: &ImageRecord) -> Result<()> {
        for layer in &image.layers {
            if super::layers::layer(&self.sql, &layer.chain_id)?.is_none() {
                return Err(Error::not_found(format!("image {}: layer {} is not unpacked", image.id, layer.chain_id)));
            }
        }
        self.write_image(image).map_err(failed("record an image"))
    }

    fn write_image(&self, image: &ImageRecord) -> rusqlite::Result<()> {
        let id = image.id.to_string();
        let manifest = image.manifest.as_ref().map(ToString::to_string);
        let parent = image.parent.as_ref().map(ToString::to_string);
        self.sql
            .prepare_cached(
                "INSERT INTO images (id, manifest, created, size, platform, parent) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (id) DO UPDATE SET manifest = ?2, created = ?3, size = ?4, platform = ?5,
                     parent = COALESCE(?6, parent)",
            )?
            .execute(params![id, manifest, image.created, to_sql(image.size), image.platform, parent])?;
        self.sql.prepare_cached("DELETE FROM image_layers WHERE image = ?")?.execute([&id])?;
        self.sql.prepare_cached("DELETE FROM image_blobs WHERE image = ?")?.execute([&id])?;
        let mut layers = self.sql.prepare_cached("INSERT INTO image_layers VALUES (?, ?, ?, ?, ?, ?, ?)")?;
        for (position, layer) in image.layers.iter().enumerate() {
            let (diff, chain) = (layer.diff_id.to_string(), layer.chain_id.to_string());
            let (blob, size) = (layer.blob.to_string(), to_sql(layer.blob_size));
            layers.execute(params![id, position as i64, diff, chain, blob, size, layer.media_type])?;
        }
        let mut blobs = self.sql.prepare_cached("INSERT OR IGNORE INTO image_blobs VALUES (?, ?)")?;
        for blob in &image.blobs {
            blobs.execute([&id, &blob.to_string()])?;
        }
        Ok(())
    }

    /// The record of an image.
    ///
    /// # Errors
    /// What the database says.
    pub fn image(&self, id: &Digest) -> Result<Option<ImageRecord>> {
        image(&self.sql, id)
    }

    /// All images, newest first.
    pub(crate) fn images(&self) -> Result<Vec<ImageRecord>> {
        images(&self.sql)
    }

    /// Forgets an image and its tags. Says whether it was there.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_image(&self, id: &Digest) -> Result<bool> {
        let delete = || self.sql.prepare_cached("DELETE FROM images WHERE id = ?")?.execute([id.to_string()]);
        Ok(delete().map_err(failed("forget an image"))? > 0)
    }

    /// Gives an image a name and returns the image that had it before.
    ///
    /// # Errors
    /// [`NotFound`](Class::NotFound) when there is no such image.
    pub fn set_tag(&self, name: &str, image: &Digest) -> Result<Option<Digest>> {
        let before = tag(&self.sql, name)?;
        let set = || {
            let sql = "INSERT INTO tags (name, image, tagged) VALUES (?1, ?2, ?3)
                       ON CONFLICT (name) DO UPDATE SET image = ?2, tagged = ?3";
            self.sql.prepare_cached(sql)?.execute(params![name, image.to_string(), now()])
        };
        match set().map_err(failed("tag an image")) {
            Ok(_) => Ok(before),
            Err(error) if error.class() == Class::Conflict => {
                Err(Error::not_found(message::no_such_image(&image.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes a name away and returns the image that had it.
    ///
    /// # Errors
    /// What the database says.
    pub fn delete_tag(&self, name: &str) -> Result<Option<Digest>> {
        let before = tag(&self.sql, name)?;
        let delete = || self.sql.prepare_cached("DELETE FROM tags WHERE name = ?")?.execute([name]);
        delete().map_err(failed("untag an image"))?;
        Ok(before)
    }
}

fn image(connection: &Connection, id: &Digest) -> Result<Option<ImageRecord>> {
    let find = || {
        let image = row(connection, &format!("{IMAGE} WHERE id = ?"), [id.to_string()], read_image)?;
        image.map(|image| with_parts(connection, image)).transpose()
    };
    find().map_err(failed("find an image"))
}

/// All of them in three questions, however many there are.
fn images(connection: &Connection) -> Result<Vec<ImageRecord>> {
    let list = || {
        let mut images = rows(connection, &format!("{IMAGE} ORDER BY created DESC, id"), [], read_image)?;
        let sql = "SELECT diff, chain, blob, blob_size, media_type, image FROM image_layers ORDER BY image, position";
        let layers = rows(connection, sql, [], |row| Ok((digest(row, 5)?, read_layer(row)?)))?;
        let blobs =
            rows(connection, "SELECT blob, image FROM image_blobs", [], |row| Ok((digest(row, 1)?, digest(row, 0)?)))?;
        let (mut layers, mut blobs) = (by_image(layers), by_image(blobs));
        for image in &mut images {
            image.layers = layers.remove(&image.id).unwrap_or_default();
            image.blobs = blobs.remove(&image.id).unwrap_or_default();
        }
        Ok(images)
    };
    list().map_err(failed("list images"))
}

fn by_image<T>(parts: Vec<(Digest, T)>) -> HashMap<Digest, Vec<T>> {
    let mut all: HashMap<Digest, Vec<T>> = HashMap::new();
    for (image, part) in parts {
        all.entry(image).or_default().push(part);
    }
    all
}

fn tag(connection: &Connection, name: &str) -> Result<Option<Digest>> {
    row(connection, "SELECT image FROM tags WHERE name = ?", [name], |row| digest(row, 0)).map_err(failed("find a tag"))
}

fn read_image(row: &Row) -> rusqlite::Result<ImageRecord> {
    Ok(ImageRecord {
        id: digest(row, 0)?,
        manifest: optional_digest(row, 1)?,
        created: row.get(2)?,
        size: size(row, 3)?,
        platform: row.get(4)?,
        parent: optional_digest(row, 5)?,
        layers: Vec::new(),
        blobs: Vec::new(),
    })
}

fn with_parts(connection: &Connection, mut image: ImageRecord) -> rusqlite::Result<ImageRecord> {
    let id = image.id.to_string();
    let sql = "SELECT diff, chain, blob, blob_size, media_type FROM image_layers WHERE image = ? ORDER BY position";
    image.layers = rows(connection, sql, [&id], read_layer)?;
    image.blobs = rows(connection, "SELECT blob FROM image_blobs WHERE image = ?", [&id], |row| digest(row, 0))?;
    Ok(image)
}

fn read_layer(row: &Row) -> rusqlite::Result<ImageLayer> {
    Ok(ImageLayer {
        diff_id: digest(row, 0)?,
        chain_id: digest(row, 1)?,
        blob: digest(row, 2)?,
        blob_size: size(row, 3)?,
        media_type: row.get(4)?,
    })
}

fn read_tag(row: &Row) -> rusqlite::Result<TagRecord> {
    Ok(TagRecord { name: row.get(0)?, image: digest(row, 1)?, tagged: row.get(2)? })
}

/// Nanoseconds since 1970; the year 2262 is the last one it can tell.
fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or_default()
}
