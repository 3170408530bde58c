//! Looking into a container's root file system from outside, without trusting what is in it.
//!
//! A running container is looked at through its process, one that does not run through an overlay that is mounted
//! read-only and attached nowhere: it exists as a descriptor only and goes with it. Every path is resolved by the kernel
//! inside that root (`RESOLVE_IN_ROOT`), so that no link leads out.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use dhow_errdefs::{Result, ResultExt};
use dhow_store::Overlay;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::users::Accounts;

/// More than any sane /etc/passwd; what is longer is cut.
const ACCOUNTS_LIMIT: u64 = 4 << 20;

/// A root file system to look into.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    /// Of a container that does not run, its own changes included.
    pub(crate) fn of_overlay(overlay: &Overlay) -> Result<Self> {
        // The writable folder is the topmost layer: nothing in it changes while nobody runs.
        let layers: Vec<PathBuf> = std::iter::once(&overlay.upper).chain(&overlay.lower).cloned().collect();
        dhow_runtime::detached_layers(&layers, &options(overlay)).map(Self)
    }

    /// Of a container that does not run, to change it. Nobody else may do so at the same time.
    pub(crate) fn of_overlay_to_write(overlay: &Overlay) -> Result<Self> {
        let Overlay { lower, upper, work, .. } = overlay;
        dhow_runtime::detached_overlay(lower, upper, work, &options(overlay)).map(Self)
    }

    /// An open folder as a root.
    pub(crate) fn of_folder(folder: OwnedFd) -> Self {
        Self(folder)
    }

    /// Of a running container, by its first process.
    pub(crate) fn of_process(pid: i32) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, format!("/proc/{pid}/root"), flags, Mode::empty());
        // Where that is on the host is nobody's business who asks for something in a container.
        root.map(Self).map_err(io::Error::from).context(|| "open the file system of the container's first process")
    }

    /// Opens what is there, if anything; links are followed inside.
    pub(crate) fn open(&self, path: &str, flags: OFlags) -> io::Result<Option<OwnedFd>> {
        // Not to hang on a pipe, nor to take a terminal over.
        let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match openat2(&self.0, path, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS) {
            Ok(file) => Ok(Some(file)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// /etc/passwd and /etc/group.
    pub(crate) fn accounts(&self) -> Result<Accounts> {
        Ok(Accounts { passwd: self.read("etc/passwd")?, group: self.read("etc/group")? })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(file) = self.open(path, OFlags::RDONLY).context(|| format!("open /{path} in the container"))? {
            let file = File::from(file);
            if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
                file.take(ACCOUNTS_LIMIT)
                    .read_to_end(&mut bytes)
                    .context(|| format!("read /{path} in the container"))?;
            }
        }
        Ok(bytes)
    }
}

fn options(overlay: &Overlay) -> Vec<String> {
    overlay.userxattr.then(|| "userxattr".to_owned()).into_iter().collect()
}

impl AsFd for Root {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn accounts_are_read_through_the_layers_and_links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["lower/etc", "upper/etc", "work"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("lower/etc/passwd"), "low").unwrap();
        fs::write(path("lower/etc/group.real"), "group").unwrap();
        std::os::unix::fs::symlink("/etc/group.real", path("upper/etc/group")).unwrap();
        let overlay =
            Overlay { lower: vec![path("lower")], upper: path("upper"), work: path("work"), userxattr: false };
        let root = match Root::of_overlay(&overlay) {
            Ok(root) => root,
            Err(error) => {
                eprintln!("SKIPPED: overlay cannot be mounted here: {error}");
                return;
            }
        };
        let accounts = root.accounts().unwrap();
        assert_eq!((accounts.passwd.as_slice(), accounts.group.as_slice()), (&b"low"[..], &b"group"[..]));
    }
}
