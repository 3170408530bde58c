//! Disks of a world: a small one, to be filled, and one that shares blocks.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A file system at a folder, until it is dropped.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

/// The file that takes all space.
const BALLAST: &str = "ballast";

impl Disk {
    /// A tmpfs of limited size.
    pub(crate) fn at(folder: &Path, megabytes: u32) -> Self {
        fs::create_dir_all(folder).expect("a folder to mount at");
        let options = std::ffi::CString::new(format!("size={megabytes}m,mode=711")).expect("no NUL");
        mount("tmpfs", folder, "tmpfs", MountFlags::empty(), Some(options.as_c_str())).expect("tests run as root");
        Self(folder.to_owned())
    }

    /// A btrfs in a file beside the folder; `None` where the host has no such file system, or no loop devices.
    pub(crate) fn with_shared_blocks(folder: &Path) -> Option<Self> {
        fs::create_dir_all(folder).expect("a folder to mount at");
        let file = folder.with_extension("btrfs");
        File::create(&file).and_then(|file| file.set_len(256 << 20)).expect("a sparse file");
        let works = |command: &mut Command| command.output().is_ok_and(|it| it.status.success());
        let mounted = works(Command::new("mkfs.btrfs").arg("--quiet").arg(&file))
            && works(Command::new("mount").args(["-t", "btrfs", "-o", "loop"]).arg(&file).arg(folder));
        mounted.then(|| Self(folder.to_owned()))
    }

    /// Takes what space is left.
    pub(crate) fn fill(&self) {
        let mut file = File::options().create(true).append(true).open(self.0.join(BALLAST)).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            let piece = vec![b'x'; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    /// Gives the space back.
    pub(crate) fn relieve(&self) {
        fs::remove_file(self.0.join(BALLAST)).expect("it was filled");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Whoever still has a file open there, the name is to be free.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}
