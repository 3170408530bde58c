//! What is written down of a volume: `volume.json` in its own folder, so that a volume can be told what it is even after
//! the engine's database was lost (docs/design/0018).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::atomic;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ANONYMOUS, LOCAL};

/// The version of the form that this engine writes. Version 0 is a folder without a record: the first engines made such.
const FORMAT: u32 = 1;

const FILE: &str = "volume.json";

/// What a volume is, beside its name, which is the folder's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    /// Who keeps its content.
    pub driver: String,
    /// Nanoseconds since 1970.
    created: i64,
    /// `None`: nobody gave any, which clients are told apart from an empty list.
    pub labels: Option<BTreeMap<String, String>>,
    /// Options of its driver.
    pub options: Option<BTreeMap<String, String>>,
    /// Nobody may remove it.
    #[serde(default)]
    pub protected: bool,
}

impl Record {
    pub(crate) fn new(
        driver: &str,
        labels: Option<BTreeMap<String, String>>,
        options: Option<BTreeMap<String, String>>,
    ) -> Self {
        let created = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
        Self { format: FORMAT, driver: driver.to_owned(), created, labels, options, protected: false }
    }

    pub(crate) fn created(&self) -> Timestamp {
        Timestamp::from_nanosecond(i128::from(self.created)).unwrap_or_default()
    }

    /// Nobody named it.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.labels.as_ref().is_some_and(|labels| labels.contains_key(ANONYMOUS))
    }

    /// Its content is in the data root, and nothing has to be mounted.
    pub(crate) fn is_plain(&self) -> bool {
        self.driver == LOCAL && self.options.as_ref().is_none_or(BTreeMap::is_empty)
    }

    /// Writes it into the volume's folder.
    pub(crate) fn write(&self, folder: &Path, sync: atomic::Sync) -> Result<()> {
        let step = || format!("write {}", folder.join(FILE).display());
        let text = serde_json::to_vec(self).map_err(|error| Error::internal(step()).with_cause(error))?;
        atomic::write(&folder.join(FILE), &text, 0o600, sync).context(step)
    }
}

/// Reads the record of the volume in a folder, and brings it into the present form.
///
/// # Errors
/// `Conflict` for a later version, `DataLoss` for what cannot be read.
pub(super) fn open(folder: &Path, name: &str) -> Result<Record> {
    let path = folder.join(FILE);
    let step = || format!("read {}", path.display());
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return adopt(folder, name),
        // One that a power cut has left of a volume that nobody had named.
        Ok(text) if text.is_empty() && is_random(name) => return adopt(folder, name),
        text => text.context(step)?,
    };
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged = |error: serde_json::Error| Error::data_loss(step()).with_cause(error);
    let Version { format } = serde_json::from_slice(&text).map_err(damaged)?;
    if format > FORMAT {
        let text = format!("{}: it has version {format}, this dhow knows {FORMAT}", step());
        return Err(Error::conflict(text).with_hint("it was written by a newer dhow: use that one"));
    }
    serde_json::from_slice(&text).map_err(damaged)
}

fn is_random(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A folder of before there were records: its name tells whether somebody chose it.
fn adopt(folder: &Path, name: &str) -> Result<Record> {
    let metadata = fs::metadata(folder).context(|| format!("stat {}", folder.display()))?;
    let labels = is_random(name).then(|| BTreeMap::from([(ANONYMOUS.to_owned(), String::new())]));
    let created = metadata.mtime().saturating_mul(1_000_000_000);
    let record = Record { created, ..Record::new(LOCAL, labels, None) };
    record.write(folder, atomic::Sync::No)?;
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let map = |key: &str| Some(BTreeMap::from([(key.to_owned(), "x".to_owned())]));
        let record = Record::new("local", map("label"), map("type"));
        record.write(dir.path(), atomic::Sync::No).unwrap();
        assert_eq!(open(dir.path(), "name").unwrap(), record);
    }

    #[test]
    fn version_1_stays_readable_and_later_ones_are_not_guessed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |text: &str| fs::write(dir.path().join(FILE), text).unwrap();
        write(r#"{"format":1,"driver":"local","created":5,"labels":null,"options":{"type":"tmpfs"}}"#);
        let record = open(dir.path(), "name").unwrap();
        assert_eq!((record.options.is_some(), record.labels.is_none()), (true, true));
        write(r#"{"format":2}"#);
        assert_eq!(open(dir.path(), "name").unwrap_err().class(), Class::Conflict);
        write("{");
        assert_eq!(open(dir.path(), "name").unwrap_err().class(), Class::DataLoss);
    }

    #[test]
    fn a_folder_without_a_record_is_a_volume_of_the_first_engines() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!open(dir.path(), "data").unwrap().is_anonymous());
        fs::remove_file(dir.path().join(FILE)).unwrap();
        let anonymous = open(dir.path(), &"0a".repeat(32)).unwrap();
        assert!(anonymous.is_anonymous());
        fs::write(dir.path().join(FILE), "").unwrap();
        assert!(open(dir.path(), &"0a".repeat(32)).unwrap().is_anonymous());
        assert!(open(dir.path(), "whatever").unwrap().is_anonymous());
    }
}
