//! Where a plugin listens.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use serde::Deserialize;

/// An address that can be connected to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

const ENDINGS: [&str; 3] = ["sock", "spec", "json"];

impl Address {
    /// Looks for a plugin: sockets before files, the first folder before the others.
    ///
    /// # Errors
    /// `NotFound` in Docker's words; what is wrong with its file.
    pub(super) fn find(folders: &[PathBuf], name: &str) -> Result<Self> {
        let missing = || Error::not_found(format!("plugin {name:?} not found"));
        // A name is not a path.
        if name.is_empty() || name.starts_with('.') || name.contains('/') {
            return Err(missing());
        }
        for ending in ENDINGS {
            for folder in folders {
                let file = format!("{name}.{ending}");
                for path in [folder.join(&file), folder.join(name).join(&file)] {
                    if path.exists() {
                        return Self::read(path, ending);
                    }
                }
            }
        }
        Err(missing())
    }

    fn read(path: PathBuf, ending: &str) -> Result<Self> {
        if ending == "sock" {
            return Ok(Self::Unix(path));
        }
        let step = || format!("read {}", path.display());
        let text = fs::read_to_string(&path).context(step)?;
        if ending == "spec" {
            return Self::parse(text.trim()).context(step);
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Description {
            addr: String,
        }
        let description = serde_json::from_str::<Description>(&text);
        let description = description.map_err(|cause| Error::invalid(step()).with_cause(cause))?;
        Self::parse(description.addr.trim()).context(step)
    }

    fn parse(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Unix(PathBuf::from(path))),
            Some(("tcp" | "http", host)) if host.contains(':') => Ok(Self::Tcp(host.trim_end_matches('/').to_owned())),
            Some(("https", _)) => Err(Error::not_implemented(format!("{text}: plugins behind TLS are not supported"))),
            _ => {
                Err(Error::invalid(format!("{text:?} is not the address of a plugin: unix:///path or tcp://host:port")))
            }
        }
    }
}

/// Every name under which there is something.
pub(super) fn names(folders: &[PathBuf]) -> Vec<String> {
    let mut names = BTreeSet::new();
    for folder in folders {
        for path in entries(folder) {
            if path.is_dir() {
                // Only the socket of its own name is looked for there.
                names
                    .extend(entries(&path).iter().filter_map(|inner| named(inner)).filter(|name| path.ends_with(name)));
            } else {
                names.extend(named(&path));
            }
        }
    }
    names.into_iter().collect()
}

fn named(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?;
    ENDINGS.contains(&ending).then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_files_are_found_and_paths_are_no_names() {
        let dir = tempfile::tempdir().unwrap();
        let folders = [dir.path().join("run"), dir.path().join("etc")];
        fs::create_dir_all(folders[0].join("deep")).unwrap();
        fs::create_dir_all(&folders[1]).unwrap();
        fs::write(folders[0].join("deep/deep.sock"), "").unwrap();
        fs::write(folders[1].join("spec.spec"), "tcp://127.0.0.1:5\n").unwrap();
        fs::write(folders[1].join("json.json"), r#"{"Name":"json","Addr":"unix:///x"}"#).unwrap();
        fs::write(folders[1].join("tls.json"), r#"{"Addr":"https://x:1"}"#).unwrap();
        let find = |name: &str| Address::find(&folders, name);
        assert_eq!(find("deep").unwrap(), Address::Unix(folders[0].join("deep/deep.sock")));
        assert_eq!(find("spec").unwrap(), Address::Tcp("127.0.0.1:5".into()));
        assert_eq!(find("json").unwrap(), Address::Unix("/x".into()));
        assert_eq!(find("nothing").unwrap_err().to_string(), "plugin \"nothing\" not found");
        assert!(find("../etc/spec").is_err() && find("tls").is_err());
        assert_eq!(names(&folders), ["deep", "json", "spec", "tls"]);
    }
}
