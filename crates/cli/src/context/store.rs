//! The files of contexts.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;

use super::{DEFAULT, Meta};

/// Certificates and keys: from the endpoint and the file's name to what is in it.
pub(crate) type Material = BTreeMap<(String, String), Vec<u8>>;

/// All contexts of one configuration folder.
pub(crate) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(crate) fn new(configuration: &Path) -> Self {
        Self { folder: configuration.join("contexts") }
    }

    pub(crate) fn meta_folder(&self, name: &str) -> PathBuf {
        self.folder.join("meta").join(Digest::of(name.as_bytes()).hex())
    }

    pub(crate) fn tls_folder(&self, name: &str) -> PathBuf {
        self.folder.join("tls").join(Digest::of(name.as_bytes()).hex())
    }

    /// All contexts, by name.
    pub(crate) fn list(&self) -> Result<Vec<Meta>> {
        let folder = self.folder.join("meta");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.context(|| format!("read {}", folder.display()))?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.context(|| format!("read {}", folder.display()))?.path().join("meta.json");
            match fs::read(&path) {
                // A context that is being made or removed at this moment.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                text => all.push(parse(&path, &text.context(|| format!("read {}", path.display()))?)?),
            }
        }
        all.sort_by(|one: &Meta, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// One context.
    pub(crate) fn read(&self, name: &str) -> Result<Meta> {
        let path = self.meta_folder(name).join("meta.json");
        let text = fs::read(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::not_found(format!(
                "context {name:?}: context not found: open {}: no such file or directory",
                path.display()
            )),
            _ => Error::internal(format!("context {name:?}: read {}", path.display())).with_cause(error),
        })?;
        parse(&path, &text)
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.meta_folder(name).join("meta.json").exists()
    }

    /// The certificates and keys of a context.
    pub(crate) fn material(&self, name: &str) -> Result<Material> {
        let folder = self.tls_folder(name);
        let step = || format!("read {}", folder.display());
        let mut material = Material::new();
        for endpoint in entries(&folder).context(step)? {
            for file in entries(&folder.join(&endpoint)).context(step)? {
                let content = fs::read(folder.join(&endpoint).join(&file)).context(step)?;
                material.insert((endpoint.clone(), file), content);
            }
        }
        Ok(material)
    }

    /// Writes a new context, its secrets first: without them it would be there and of no use.
    pub(crate) fn add(&self, meta: &Meta, material: &Material) -> Result<()> {
        self.write_material(&meta.name, material)?;
        self.write(meta)
    }

    /// Writes a context that is there already or not.
    pub(crate) fn write(&self, meta: &Meta) -> Result<()> {
        let folder = self.meta_folder(&meta.name);
        fs::create_dir_all(&folder).context(|| format!("create {}", folder.display()))?;
        let text = serde_json::to_vec(meta).map_err(|cause| Error::internal("encode a context").with_cause(cause))?;
        let path = folder.join("meta.json");
        crate::config::replace(&path, &text, 0o644).context(|| format!("write {}", path.display()))
    }

    /// Puts other certificates and keys in the place of those that are there.
    pub(crate) fn write_material(&self, name: &str, material: &Material) -> Result<()> {
        let folder = self.tls_folder(name);
        let step = || format!("write {}", folder.display());
        remove(&folder).context(step)?;
        // What is above the secrets is no secret: Docker's folders have the usual mode.
        folder.ancestors().nth(2).map_or(Ok(()), fs::create_dir_all).context(step)?;
        for ((endpoint, file), content) in material {
            let place = folder.join(endpoint);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&place).context(step)?;
            let opened = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(place.join(file));
            opened.and_then(|mut opened| io::Write::write_all(&mut opened, content)).context(step)?;
        }
        Ok(())
    }

    /// Removes a context and its secrets.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        for folder in [self.meta_folder(name), self.tls_folder(name)] {
            remove(&folder).context(|| format!("remove {}", folder.display()))?;
        }
        Ok(())
    }
}

fn parse(path: &Path, text: &[u8]) -> Result<Meta> {
    serde_json::from_slice(text).map_err(|cause| Error::invalid(format!("parse {}", path.display())).with_cause(cause))
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Names in a folder; none in one that is missing.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
    }
}

/// Docker's words about a name that is none.
pub(crate) fn no_name() -> Error {
    Error::invalid("context name cannot be empty")
}

/// Refuses names that Docker refuses.
pub(crate) fn check_name(name: &str) -> Result<()> {
    if name == DEFAULT {
        return Err(Error::invalid(format!("{DEFAULT:?} is a reserved context name")));
    }
    if name.is_empty() {
        return Err(no_name());
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    if name.len() < 2 || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(inner) {
        let rule = "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$";
        return Err(Error::invalid(format!(
            "context name {name:?} is invalid, names are validated against regexp {rule:?}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::context::Endpoint;

    #[test]
    fn a_context_is_written_where_docker_looks_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert!(store.list().unwrap().is_empty());
        let meta = Meta::new("far", "d".into(), Endpoint::new("tcp://10.0.0.9:1".into(), false));
        let material = Material::from([(("docker".into(), "key.pem".into()), b"secret".to_vec())]);
        store.write(&meta).unwrap();
        store.write_material("far", &material).unwrap();
        // sha256("far"), as the stock command line has it.
        let id = "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868";
        let key = folder.path().join("contexts/tls").join(id).join("docker/key.pem");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!((store.list().unwrap(), store.read("far").unwrap()), (vec![meta.clone()], meta));
        assert_eq!(store.material("far").unwrap(), material);
        store.remove("far").unwrap();
        assert!(!key.exists() && store.list().unwrap().is_empty() && store.material("far").unwrap().is_empty());
        let missing = store.read("far").unwrap_err().to_string();
        assert!(missing.starts_with("context \"far\": context not found: open /"), "{missing}");
    }

    #[test]
    fn names_are_dockers() {
        for good in ["ab", "a.b_c-d+e", "1x"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["default", "a", "", "x/y", "bad name", ".hidden", "../up"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
