//! What a container has in the kernel, written down beside its shim's socket before the container runs: an engine that is
//! started later finds there what the one before had no time to record.

use std::path::Path;
use std::{fs, io};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_network::Connection;
use serde::{Deserialize, Serialize};

/// The version of the file.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Facts {
    format: u32,
    connection: Connection,
}

/// Writes it down.
pub(super) fn remember(run_dir: &Path, connection: &Connection) -> Result<()> {
    let facts = Facts { format: FORMAT, connection: connection.clone() };
    let text = serde_json::to_vec(&facts)
        .map_err(|error| Error::internal("write down a container's networks").with_cause(error))?;
    fs::create_dir_all(run_dir).context(|| format!("create {}", run_dir.display()))?;
    let (new, path) = (run_dir.join("network.json.new"), run_dir.join("network.json"));
    fs::write(&new, text).context(|| format!("write {}", new.display()))?;
    fs::rename(&new, &path).context(|| format!("rename {}", new.display()))
}

/// What is written down; `None` if nothing is.
///
/// # Errors
/// When it cannot be read.
pub(super) fn recall(run_dir: &Path) -> Result<Option<Connection>> {
    let path = run_dir.join("network.json");
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.context(|| format!("read {}", path.display()))?,
    };
    match serde_json::from_slice::<Facts>(&text) {
        Ok(facts) if facts.format == FORMAT => Ok(Some(facts.connection)),
        _ => Err(Error::internal(format!("{} is damaged", path.display()))),
    }
}

/// Forgets it. The folder is the shim's, unless that had no time to come.
pub(super) fn forget(run_dir: &Path) {
    if fs::remove_file(run_dir.join("network.json")).is_ok() {
        let _ = fs::remove_dir(run_dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("id");
        assert_eq!(recall(&dir).unwrap(), None);
        let connection = Connection { servers: vec![[9, 9, 9, 9].into()], ..Connection::default() };
        remember(&dir, &connection).unwrap();
        assert_eq!(recall(&dir).unwrap(), Some(connection));
        fs::write(dir.join("network.json"), "{\"format\":2,\"connection\":{}}").unwrap();
        assert!(recall(&dir).is_err());
        forget(&dir);
        assert!(!dir.exists());
    }
}
