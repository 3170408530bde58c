//! A store of its own for each test, and archives made by hand.

use std::path::{Path, PathBuf};

use dhow_errdefs::Result;
use dhow_store::{LayerRecord, Lease, Store, UnpackOptions};
use tar::{EntryType, Header};

/// A store in a folder that goes away with the test, with something beside it that no archive may reach.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    /// Goes last: the store still deletes in the background, and a folder that changes cannot be removed.
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), "outside").unwrap();
        let store = Store::open(&dir.path().join("root")).unwrap();
        let lease = store.lease();
        Self { store, lease, dir }
    }

    /// A folder beside the data root.
    pub(crate) fn outside(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn apply(&self, archive: &[u8]) -> Result<LayerRecord> {
        self.store.layers().apply(&self.lease, None, archive, &UnpackOptions::default())
    }

    /// Unpacks what must be fine and returns the folder.
    pub(crate) fn unpack(&self, archive: &[u8]) -> PathBuf {
        let layer = self.apply(archive).unwrap();
        assert_eq!(self.store.layers().verify(&layer).unwrap(), []);
        self.store.layers().diff(&layer)
    }

    /// Unpacks what must be refused, and returns the error's text.
    pub(crate) fn refuse(&self, archive: &[u8]) -> dhow_errdefs::Error {
        let error = self.apply(archive).unwrap_err();
        self.assert_nothing_left();
        error
    }

    /// Nothing unpacked is left, and nothing outside was touched.
    pub(crate) fn assert_nothing_left(&self) {
        self.store.wait_for_deletions();
        assert_eq!(names(&self.store.root().join("layers")), ["base"]);
        assert_eq!(names(&self.store.root().join("trash")), [""; 0]);
        assert_eq!(self.store.metadata().layers().unwrap(), []);
        self.assert_outside_untouched();
    }

    pub(crate) fn assert_outside_untouched(&self) {
        assert_eq!(std::fs::read_to_string(self.dir.path().join("secret")).unwrap(), "outside");
        assert_eq!(names(self.dir.path()), ["root", "secret"]);
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// An archive that is written as told, however wrong that is.
#[derive(Default, Clone)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn file(self, path: &str, contents: &str) -> Self {
        self.entry(EntryType::Regular, path, "", contents.as_bytes())
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, "", b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, target, b"")
    }

    pub(crate) fn hardlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, target, b"")
    }

    pub(crate) fn entry(self, kind: EntryType, path: &str, link: &str, contents: &[u8]) -> Self {
        let mut header = header(kind, path);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_size(contents.len() as u64);
        self.push(header, contents)
    }

    /// An entry without contents and with something else about it.
    pub(crate) fn header(self, kind: EntryType, path: &str, change: impl FnOnce(&mut Header)) -> Self {
        let mut header = header(kind, path);
        change(&mut header);
        self.push(header, b"")
    }

    fn push(mut self, mut header: Header, contents: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// PAX records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut bytes = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length += 1;
            }
            bytes.extend_from_slice(format!("{length} {key}=").as_bytes());
            bytes.extend_from_slice(value);
            bytes.push(b'\n');
        }
        self.entry(EntryType::XHeader, "pax", "", &bytes)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    /// As it is, without the end marker.
    pub(crate) fn unfinished(self) -> Vec<u8> {
        self.0
    }
}

fn header(kind: EntryType, path: &str) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_uid(u64::from(rustix::process::geteuid().as_raw()));
    header.set_gid(u64::from(rustix::process::getegid().as_raw()));
    header.set_mtime(1_000_000_000);
    header.set_size(0);
    header
}
