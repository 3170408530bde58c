//! The data root: its folders, its format, its lock.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::atomic;
use dhow_sys::folder_lock::{FolderLock, Taken};
use rustix::fs::XattrFlags;

/// The version of the layout below a data root that this dhow writes.
pub const FORMAT: u32 = 1;

/// The folders of a data root.
const FOLDERS: [&str; 7] = ["content", "content/sha256", "content/ingest", "layers", "containers", "spare", "trash"];

/// A locked data root of the present format.
#[derive(Debug)]
pub(crate) struct Root {
    path: PathBuf,
    /// Nothing was here before.
    fresh: bool,
    namespace: Namespace,
    lock: FolderLock,
}

/// Where overlay keeps its own attributes (Linux Documentation/filesystems/overlayfs.rst, "Whiteouts and opaque
/// directories" and "Unprivileged mount").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// `trusted.overlay.*`: needs CAP_SYS_ADMIN in the initial user namespace.
    Trusted,
    /// `user.overlay.*`: read when the overlay is mounted with the option `userxattr`.
    User,
}

impl Namespace {
    /// The prefix of the attributes' names.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.",
            Self::User => "user.overlay.",
        }
    }
}

impl Root {
    /// Creates what is missing, takes the lock, brings the layout up to [`FORMAT`].
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).context(|| format!("find data root {}", path.display()))?;
        create(&path, 0o711)?;
        let lock = lock(&path)?;
        let fresh = match read_format(&path)? {
            None => true,
            Some(FORMAT) => false,
            Some(older) if older < FORMAT => migrate(&path, older).map(|()| false)?,
            Some(newer) => return Err(too_new(&path, newer)),
        };
        for folder in FOLDERS {
            create(&path.join(folder), 0o700)?;
        }
        if fresh {
            write_format(&path)?;
        }
        let namespace = probe(&path)?;
        Ok(Self { path, fresh, namespace, lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Says to other engines where this one is reached.
    pub(crate) fn say_where(&self, address: &str) -> Result<()> {
        self.lock.say(address)
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    pub(crate) fn namespace(&self) -> Namespace {
        self.namespace
    }
}

/// The root itself can be passed through (to `volumes`), what is in it cannot: images may hold set-user-ID programs with
/// known holes (CVE-2021-41091).
fn create(path: &Path, mode: u32) -> Result<()> {
    match fs::DirBuilder::new().recursive(true).mode(mode).create(path) {
        Err(_) if path.is_dir() => Ok(()),
        result => result.context(|| format!("create {}", path.display())),
    }
}

fn lock(root: &Path) -> Result<FolderLock> {
    FolderLock::take(root)?.map_err(|taken| in_use("data root", root, &taken, "--data-root"))
}

/// A folder belongs to one engine, which is another one than this.
#[must_use]
pub fn in_use(what: &str, folder: &Path, taken: &Taken, flag: &str) -> Error {
    let reach = match taken.said.as_str() {
        "" => "stop that engine".to_owned(),
        address => format!("reach that engine with DOCKER_HOST={address}, or stop it"),
    };
    Error::conflict(format!("{what} {} is in use by another engine", folder.display()))
        .with_hint(format!("{reach}, or give this one its own {what} ({flag})"))
}

fn read_format(root: &Path) -> Result<Option<u32>> {
    let path = root.join("format");
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(|| format!("read {}", path.display())),
    };
    match text.trim_end().parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) => {
            Err(Error::data_loss(format!("{} does not hold a version number", path.display()))
                .with_hint(rewrite_format()))
        }
    }
}

/// What to do about a file that is damaged.
fn rewrite_format() -> String {
    format!("if this is a dhow data root, write its version into the file `format` in it: {FORMAT} for this dhow")
}

fn write_format(root: &Path) -> Result<()> {
    let path = root.join("format");
    let text = format!("{FORMAT}\n");
    atomic::write(&path, text.as_bytes(), 0o644, atomic::Sync::Yes).context(|| format!("write {}", path.display()))
}

fn too_new(root: &Path, version: u32) -> Error {
    Error::conflict(format!("data root {} has format {version}; this dhow knows {FORMAT}", root.display()))
        .with_hint("it was used by a newer dhow: use that one, or another data root")
}

/// One step for each version, each leaving a root of the next one. Version 1 is the first.
fn migrate(root: &Path, from: u32) -> Result<()> {
    Err(Error::data_loss(format!("data root {} has format {from}, which never existed", root.display()))
        .with_hint(rewrite_format()))
}

/// Asks the kernel which attributes this process may set: nothing else says so reliably in a user namespace.
fn probe(root: &Path) -> Result<Namespace> {
    let trash = root.join("trash");
    let dir = File::open(&trash).context(|| format!("open {}", trash.display()))?;
    match rustix::fs::fsetxattr(dir.as_fd(), "trusted.overlay.dhow", b"y", XattrFlags::empty()) {
        Ok(()) => {
            // A leftover would be harmless: it is not an overlay attribute and `trash` is never a layer.
            let _ = rustix::fs::fremovexattr(dir.as_fd(), "trusted.overlay.dhow");
            Ok(Namespace::Trusted)
        }
        Err(_) => Ok(Namespace::User),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhow_errdefs::Class;

    #[test]
    fn a_second_engine_is_refused_and_told_which_root() {
        let dir = tempfile::tempdir().unwrap();
        let first = Root::open(dir.path()).unwrap();
        assert!(first.is_fresh());
        let error = Root::open(dir.path()).unwrap_err();
        assert_eq!(error.class(), Class::Conflict);
        assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
        drop(first);
        assert!(!Root::open(dir.path()).unwrap().is_fresh());
    }

    #[test]
    fn formats_of_other_versions_are_refused_not_guessed() {
        let dir = tempfile::tempdir().unwrap();
        drop(Root::open(dir.path()).unwrap());
        for (text, class) in
            [("2\n", Class::Conflict), ("0\n", Class::DataLoss), ("", Class::DataLoss), ("x", Class::DataLoss)]
        {
            fs::write(dir.path().join("format"), text).unwrap();
            assert_eq!(Root::open(dir.path()).unwrap_err().class(), class, "{text:?}");
        }
    }
}
