//! The archive format of an initial RAM disk (Linux, Documentation/driver-api/early-userspace/buffer-format.rst: "newc").

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

/// An archive in memory.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<PathBuf>,
}

impl Archive {
    /// A folder and those it is in, unless they are there.
    pub(crate) fn folder(&mut self, name: &str) {
        let mut missing: Vec<PathBuf> = Path::new(name).ancestors().map(Path::to_owned).collect();
        missing.retain(|folder| !folder.as_os_str().is_empty() && !self.folders.contains(folder));
        for folder in missing.into_iter().rev() {
            self.entry(&folder.display().to_string(), FOLDER, &[]);
            self.folders.insert(folder);
        }
    }

    pub(crate) fn program(&mut self, name: &str, data: &[u8]) {
        self.in_folder(name, PROGRAM, data);
    }

    pub(crate) fn file(&mut self, name: &str, data: &[u8]) {
        self.in_folder(name, FILE, data);
    }

    fn in_folder(&mut self, name: &str, mode: u32, data: &[u8]) {
        if let Some((folder, _)) = name.rsplit_once('/') {
            self.folder(folder);
        }
        self.entry(name, mode, data);
    }

    /// Ends the archive. `/bin/sh` is there for the scripts' first line, before busybox installs itself.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("bin/sh", LINK, b"busybox");
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    /// Header of 8-digit fields, name with NUL, data; both padded to a multiple of four.
    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(data.len()).expect("a test program is smaller than 4 GiB");
        let name_size = u32::try_from(name.len() + 1).expect("a short name");
        self.bytes.extend_from_slice(b"070701");
        for field in [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_aligned_and_the_trailer_ends_it() {
        let mut archive = Archive::default();
        archive.file("a", b"12345");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[..6], b"070701");
        assert_eq!(&bytes[112..117], b"12345");
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }

    #[test]
    fn what_a_file_is_in_is_made_before_it_and_once() {
        let mut archive = Archive::default();
        archive.file("a/b/c", b"");
        archive.file("a/b/d", b"");
        let text = String::from_utf8_lossy(&archive.finish()).into_owned();
        let at = |name: &str| text.find(&format!("{name}\0")).expect("it is there");
        assert!(at("a") < at("a/b") && at("a/b") < at("a/b/c"));
        assert_eq!(text.matches("a/b\0").count(), 1);
    }
}
