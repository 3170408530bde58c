//! The folders with files that describe devices.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::DeviceName;
use rustix::fs::{Mode, OFlags};

use super::document::{Device, Document};

/// Bytes of the largest file that is read.
const LARGEST: u64 = 4 << 20;

/// Everything that the files describe.
#[derive(Debug, Default)]
pub(super) struct Found {
    devices: BTreeMap<String, Entry>,
    /// Names that two files of one folder describe.
    conflicts: BTreeSet<String>,
    /// What is wrong with folders and files; each costs only itself.
    pub(super) warnings: Vec<String>,
}

/// One device, in the file that describes it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) document: Rc<Document>,
    place: usize,
    path: Rc<Path>,
    /// Of the folder; the later ones win.
    rank: usize,
}

impl Entry {
    pub(super) fn device(&self) -> &Device {
        &self.document.devices[self.place]
    }
}

impl Found {
    /// Reads the folders; what a later one describes wins, but a device that two files of one folder describe is none,
    /// whatever the other folders say: so it is in Docker. Read again each time: nobody has to be told of changes.
    pub(super) fn read(folders: &[PathBuf]) -> Self {
        let mut found = Self::default();
        for (rank, folder) in folders.iter().enumerate() {
            found.add(folder, rank);
        }
        found.devices.retain(|name, _| !found.conflicts.contains(name));
        found
    }

    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.devices.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.devices.keys()
    }

    fn warn(&mut self, path: &Path, what: &str) {
        self.warnings.push(format!("CDI: Error associated with spec file {}: {what}", path.display()));
    }

    fn add(&mut self, folder: &Path, rank: usize) {
        for path in self.files(folder) {
            match read(&path) {
                Ok(document) => {
                    let (document, path) = (Rc::new(document), Rc::<Path>::from(path));
                    for (place, device) in document.devices.iter().enumerate() {
                        let Ok(name) = DeviceName::new(&document.kind, &device.name) else { continue };
                        let entry = Entry { document: Rc::clone(&document), place, path: Rc::clone(&path), rank };
                        self.describe(name.to_string(), entry);
                    }
                }
                Err(error) => self.warn(&path, &format!("failed to load CDI Spec {error}")),
            }
        }
    }

    fn describe(&mut self, name: String, entry: Entry) {
        match self.devices.get(&name).filter(|other| other.rank == entry.rank) {
            Some(other) => {
                let (other, path) = (Rc::clone(&other.path), entry.path);
                let text = format!("conflicting device {name:?} (specs {path:?}, {other:?})");
                self.warn(&path, &text);
                self.warn(&other, &text);
                self.conflicts.insert(name);
            }
            None => drop(self.devices.insert(name, entry)),
        }
    }

    /// The files of a folder, by name.
    fn files(&mut self, folder: &Path) -> Vec<PathBuf> {
        let listed = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        match listed {
            Ok(entries) => {
                let paths = entries.iter().map(fs::DirEntry::path);
                let suits = |path: &PathBuf| path.extension().is_some_and(|it| it == "json" || it == "yaml");
                let mut paths: Vec<PathBuf> = paths.filter(|path| suits(path) && !path.is_dir()).collect();
                paths.sort();
                paths
            }
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    self.warn(folder, &error.to_string());
                }
                Vec::new()
            }
        }
    }
}

fn read(path: &Path) -> Result<Document> {
    let text = text(path).context(|| format!("failed to read CDI Spec {path:?}"))?;
    Document::parse(&text).context(|| format!("failed to parse CDI Spec {path:?}"))
}

fn text(path: &Path) -> Result<String> {
    let step = || "open";
    // A named pipe would keep whoever opens it waiting.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(std::io::Error::from).context(step)?);
    if !file.metadata().context(step)?.is_file() {
        return Err(Error::invalid("no regular file"));
    }
    let mut text = String::new();
    file.take(LARGEST + 1).read_to_string(&mut text).context(|| "read")?;
    if text.len() as u64 > LARGEST {
        return Err(Error::invalid(format!("more than {LARGEST} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, device: &str, value: &str) {
        let text = format!(
            r#"{{"cdiVersion":"0.5.0","kind":"v.com/c","devices":[{{"name":"{device}","containerEdits":{{"env":["A={value}"]}}}}]}}"#
        );
        fs::write(folder.join(name), text).unwrap();
    }

    fn value(found: &Found, name: &str) -> Option<String> {
        found.get(name).map(|entry| entry.device().container_edits.env[0].clone())
    }

    #[test]
    fn a_later_folder_wins_and_a_conflict_is_no_device() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        file(first.path(), "a.json", "x", "1");
        file(second.path(), "a.yaml", "x", "2");
        file(first.path(), "b.json", "y", "1");
        file(second.path(), "c.json", "y", "2");
        file(second.path(), "d.json", "y", "3");
        file(first.path(), "e.txt", "z", "1");
        let found = Found::read(&[first.path().into(), "/no/such/folder".into(), second.path().into()]);
        assert_eq!(value(&found, "v.com/c=x").as_deref(), Some("A=2"));
        assert_eq!(value(&found, "v.com/c=y"), None);
        assert_eq!(found.names().collect::<Vec<_>>(), ["v.com/c=x"]);
        assert_eq!(found.warnings.len(), 2);
        assert!(found.warnings[0].contains("conflicting device \"v.com/c=y\""), "{:?}", found.warnings);
    }

    #[test]
    fn a_conflict_is_none_whatever_other_folders_say() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["a.json", "b.json", "c.json"] {
            file(first.path(), name, "x", name);
        }
        file(second.path(), "a.json", "x", "2");
        let found = Found::read(&[first.path().into(), second.path().into()]);
        assert_eq!(value(&found, "v.com/c=x"), None);
        assert_eq!(found.warnings.len(), 4, "{:?}", found.warnings);
    }

    #[test]
    fn a_bad_file_costs_itself() {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "good.json", "x", "1");
        fs::write(folder.path().join("bad.yaml"), "kind: [").unwrap();
        fs::write(folder.path().join("large.json"), " ".repeat(LARGEST as usize + 1)).unwrap();
        fs::write(folder.path().join("strange.json"), [0xff, 0xfe]).unwrap();
        let pipe = folder.path().join("pipe.json");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        let found = Found::read(&[folder.path().into()]);
        assert!(found.get("v.com/c=x").is_some());
        assert_eq!(found.warnings.len(), 4, "{:?}", found.warnings);
        assert!(found.warnings.iter().any(|warning| warning.contains("no regular file")));
        assert!(found.warnings.iter().any(|warning| warning.contains("more than 4194304 bytes")));
    }
}
