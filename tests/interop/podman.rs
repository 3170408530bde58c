//! A podman with storage of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The program, and where it keeps everything.
pub(crate) struct Podman {
    folder: TempDir,
}

impl Podman {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// A folder for files of the test's own.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        let mut command = Command::new("podman");
        command.arg("--root").arg(path("storage")).arg("--runroot").arg(path("run")).arg("--tmpdir").arg(path("tmp"));
        command.args(["--cgroup-manager", "cgroupfs", "--events-backend", "none"]).args(args);
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        drop(self.command(&["rm", "--all", "--force", "--time", "0"]).output());
        drop(self.command(&["system", "renumber"]).output());
        for mount in ["storage/overlay", "storage"] {
            drop(Command::new("umount").arg(self.folder.path().join(mount)).output());
        }
    }
}
