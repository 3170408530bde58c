//! A container's files: what changed, what is at a path.

use serde::{Deserialize, Serialize};

/// A difference between a container and its image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FilesystemChange {
    /// Absolute, as the container sees it.
    pub path: String,
    /// 0: modified, 1: added, 2: deleted.
    pub kind: u8,
}

/// What is at a path; the header `X-Docker-Container-Path-Stat` has it as JSON in base64.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathStat {
    /// The last component.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Kind and permissions as Go's `os.FileMode` has them.
    pub mode: FileMode,
    /// RFC 3339.
    pub mtime: String,
    /// Where a link leads in the end.
    pub link_target: String,
}

/// Kind and permissions of a file with the bits of Go's `os.FileMode`, which are not those of stat(2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileMode(pub u32);

/// The bits: Go's, and stat(2)'s under `S_IFMT`.
const KINDS: [(u32, u32); 6] = [
    (1 << 31, 0o040_000),
    (1 << 27, 0o120_000),
    (1 << 26, 0o060_000),
    (1 << 26 | 1 << 21, 0o020_000),
    (1 << 25, 0o010_000),
    (1 << 24, 0o140_000),
];

/// The same for set-user-ID, set-group-ID and sticky.
const SPECIAL: [(u32, u32); 3] = [(1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000)];

impl FileMode {
    /// From the mode of stat(2).
    #[must_use]
    pub fn from_stat(mode: u32) -> Self {
        let kind = KINDS.iter().find(|(_, kind)| mode & 0o170_000 == *kind).map_or(0, |(bits, _)| *bits);
        let special = SPECIAL.iter().filter(|(_, bit)| mode & bit != 0).map(|(bits, _)| bits).sum::<u32>();
        Self(kind | special | mode & 0o777)
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_folder(self) -> bool {
        self.0 & 1 << 31 != 0
    }

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_link(self) -> bool {
        self.0 & 1 << 27 != 0
    }

    /// Whether it is a device.
    #[must_use]
    pub fn is_device(self) -> bool {
        self.0 & 1 << 26 != 0
    }
}

/// The answer to a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CommitResponse {
    /// The image's ID.
    pub id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_go() {
        for (stat, go) in [
            (0o040_755, 2_147_484_141),
            (0o100_644, 420),
            (0o120_777, 134_218_239),
            (0o104_755, 1 << 23 | 0o755),
            (0o041_777, 1 << 31 | 1 << 20 | 0o777),
            (0o020_666, 1 << 26 | 1 << 21 | 0o666),
            (0o060_660, 1 << 26 | 0o660),
        ] {
            assert_eq!(FileMode::from_stat(stat), FileMode(go), "{stat:o}");
        }
        assert!(FileMode::from_stat(0o040_755).is_folder() && !FileMode::from_stat(0o100_644).is_folder());
        assert!(FileMode::from_stat(0o120_777).is_link() && FileMode::from_stat(0o020_666).is_device());
    }
}
