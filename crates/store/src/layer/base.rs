//! What every container finds in its root file system, whatever its image has: the places where the engine mounts things,
//! as Docker makes them. It lies below all layers, so an image's own files and folders win, nothing has to be made when a
//! container starts, and nothing of it counts as a change of the container's.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use dhow_errdefs::{Result, ResultExt};

/// Its name beside the numbers of the layers.
pub(crate) const BASE: &str = "base";

const FOLDERS: [&str; 6] = ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"];

const FILES: [&str; 5] = [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];

const LINKS: [(&str, &str); 1] = [("etc/mtab", "/proc/mounts")];

/// Makes what is missing.
pub(super) fn prepare(base: &Path) -> Result<()> {
    make(base).context(|| format!("prepare {}", base.display()))
}

fn make(base: &Path) -> io::Result<()> {
    let folders = FOLDERS.iter().map(|folder| base.join(folder));
    for folder in [base.to_owned()].into_iter().chain(folders) {
        if is_new(fs::create_dir(&folder))? {
            open_to_all(&folder)?;
        }
    }
    for file in FILES.iter().map(|file| base.join(file)) {
        if is_new(File::create_new(&file).map(drop))? {
            open_to_all(&file)?;
        }
    }
    for (link, target) in LINKS {
        is_new(symlink(target, base.join(link)))?;
    }
    Ok(())
}

/// The modes that Docker gives them, whatever the umask is.
fn open_to_all(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn is_new(made: io::Result<()>) -> io::Result<bool> {
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}
