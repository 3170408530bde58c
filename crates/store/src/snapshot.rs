//! A container's writable folder on top of a chain of layers.
//!
//! `containers/<id>/{upper,work}`; the overlay itself is mounted by the runtime, inside the container's mount namespace.

mod spare;
mod usage;

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::Digest;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::layer::{BASE, Change, Comparison, Upper, write_upper};
use crate::metadata::{LayerRecord, Metadata};
use crate::root::Namespace;
use crate::trash::Trash;

use spare::Spares;
pub use usage::{Usage, of as usage};

const PRIVATE: Mode = Mode::from_raw_mode(0o710);
const WORK: Mode = Mode::from_raw_mode(0o700);
const UPPER: Mode = Mode::from_raw_mode(0o755);

/// What an overlay is mounted from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Read-only folders, top first. The last one is `layers/base`, which has the places where things are mounted.
    pub lower: Vec<PathBuf>,
    /// The writable folder.
    pub upper: PathBuf,
    /// Overlay's own folder, on the same file system.
    pub work: PathBuf,
    /// Whether whiteouts and opaque folders are marked by `user.overlay.*`: mount with the option `userxattr`.
    pub userxattr: bool,
}

/// The writable folders of all containers.
#[derive(Debug)]
pub struct Snapshots {
    dir: PathBuf,
    fd: File,
    layers: PathBuf,
    namespace: Namespace,
    metadata: Arc<Metadata>,
    trash: Arc<Trash>,
    spares: Spares,
    /// Chains do not change once they exist, and a start must not ask the database for what it learned before.
    chains: Mutex<HashMap<Digest, Arc<Chain>>>,
}

/// What a chain of layers means for an overlay.
#[derive(Debug, PartialEq, Eq)]
struct Chain {
    lower: Vec<PathBuf>,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Snapshots {
    pub(crate) fn open(root: &crate::root::Root, metadata: &Arc<Metadata>, trash: &Arc<Trash>) -> Result<Self> {
        let dir = root.join("containers");
        let fd = File::open(&dir).context(|| format!("open {}", dir.display()))?;
        Ok(Self {
            dir,
            fd,
            layers: root.join("layers"),
            namespace: root.namespace(),
            metadata: Arc::clone(metadata),
            trash: Arc::clone(trash),
            spares: Spares::open(&root.join("spare"))?,
            chains: Mutex::default(),
        })
    }

    /// The folder of a container: `containers/<id>`. Its owner may keep other files of the container there.
    #[must_use]
    pub fn dir(&self, id: &str) -> PathBuf {
        self.dir.join(id)
    }

    /// Makes the writable folders of a container on top of the chain `top` (none: an empty root file system), with
    /// the mode and owner that the chain's `/` has. Folders that are there already are kept with what is in them.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the chain is not there.
    pub fn prepare(&self, id: &str, top: Option<&Digest>) -> Result<Overlay> {
        let chain = self.chain(id, top)?;
        self.make_dirs(id, &chain).map_err(io::Error::from).context(|| format!("prepare container {id}"))?;
        Ok(self.overlay_of(id, &chain))
    }

    /// What the overlay of a prepared container is mounted from; makes nothing.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the chain is not there.
    pub fn overlay(&self, id: &str, top: Option<&Digest>) -> Result<Overlay> {
        Ok(self.overlay_of(id, &*self.chain(id, top)?))
    }

    /// Lets a container be mounted with the option `volatile` once more. The kernel leaves a mark that forbids it, because
    /// after a power cut what was written may be there in part (Documentation/filesystems/overlayfs.rst, "Volatile mount");
    /// whoever calls this knows that there was none.
    ///
    /// # Errors
    /// What the file system says.
    pub fn permit_volatile(&self, id: &str) -> Result<()> {
        plain(id)?;
        let marks = [
            ("work/work/incompat/volatile/dirty", AtFlags::empty()),
            ("work/work/incompat/volatile", AtFlags::REMOVEDIR),
            ("work/work/incompat", AtFlags::REMOVEDIR),
        ];
        for (mark, kind) in marks {
            match rustix::fs::unlinkat(&self.fd, format!("{id}/{mark}"), kind) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(io::Error::from(error)).context(|| format!("prepare container {id}")),
            }
        }
        Ok(())
    }

    /// Takes the whole folder `containers/<id>` away and deletes it in the background. Says whether it was there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, id: &str) -> Result<bool> {
        plain(id)?;
        self.trash.discard(&self.dir(id))
    }

    /// What a container has written: reads its writable folder, which takes as long as it is large.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the container has no folder.
    pub fn usage(&self, id: &str) -> Result<Usage> {
        plain(id)?;
        let upper = self.dir(id).join("upper");
        usage::of(&upper).context(|| format!("measure {}", upper.display()))
    }

    /// What a container has changed against the chain `top`, sorted by path. Reads its writable folder.
    ///
    /// # Errors
    /// [`NotFound`](dhow_errdefs::Class::NotFound) when the container or the chain is not there.
    pub fn changes(&self, id: &str, top: Option<&Digest>) -> Result<Vec<Change>> {
        let upper = self.open_upper(id)?;
        let open = |path: &PathBuf| File::open(path).context(|| format!("open {}", path.display()));
        let lower = self.chain(id, top)?.lower.iter().map(open).collect::<Result<_>>()?;
        Comparison { marks: Upper(self.namespace), lower }.run(upper)
    }

    /// Writes what a container has changed as a layer on the chain `top`: a tar with whiteouts, always the same for the
    /// same changes. Nothing may change meanwhile, or some of it is in the layer and some is not.
    ///
    /// # Errors
    /// As [`changes`](Self::changes), and what writing says.
    pub fn write_layer<W: io::Write>(&self, id: &str, top: Option<&Digest>, out: W) -> Result<W> {
        let chain = self.chain(id, top)?;
        write_upper(self.open_upper(id)?, self.namespace, (chain.mode, chain.uid, chain.gid), out)
    }

    fn open_upper(&self, id: &str) -> Result<OwnedFd> {
        plain(id)?;
        let upper = self.dir(id).join("upper");
        File::open(&upper).map(OwnedFd::from).context(|| format!("open {}", upper.display()))
    }

    /// The bytes of file contents in a chain of layers.
    ///
    /// # Errors
    /// What the database says.
    pub fn chain_size(&self, top: &Digest) -> Result<u64> {
        Ok(self.metadata.chain(top)?.iter().map(|layer| layer.size).sum())
    }

    /// Forgets what is known of chains: some of them were collected.
    pub(crate) fn forget_chains(&self) {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Three system calls, eight without a spare folder; none of them waits for a disk.
    fn make_dirs(&self, id: &str, chain: &Chain) -> Result<(), Errno> {
        plain(id).map_err(|_| Errno::INVAL)?;
        let is_new = self.spares.place(&self.fd, id);
        if !is_new {
            make_dir(&self.fd, Path::new(id), PRIVATE)?;
        }
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(&self.fd, id, flags, Mode::empty())?;
        if !is_new {
            make_dir(&dir, Path::new("work"), WORK)?;
            if !make_dir(&dir, Path::new("upper"), UPPER)? {
                return Ok(());
            }
        }
        if (chain.uid, chain.gid) != (effective_uid(), effective_gid()) {
            let owner = (Some(Uid::from_raw(chain.uid)), Some(Gid::from_raw(chain.gid)));
            rustix::fs::chownat(&dir, "upper", owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let mode = Mode::from_raw_mode(chain.mode & 0o7777);
        // A folder made just now has lost what the process's umask takes away.
        if is_new && mode == UPPER {
            return Ok(());
        }
        rustix::fs::chmodat(&dir, "upper", mode, AtFlags::empty())
    }

    fn overlay_of(&self, id: &str, chain: &Chain) -> Overlay {
        let dir = self.dir(id);
        Overlay {
            lower: chain.lower.clone(),
            upper: dir.join("upper"),
            work: dir.join("work"),
            userxattr: self.namespace == Namespace::User,
        }
    }

    fn chain(&self, id: &str, top: Option<&Digest>) -> Result<Arc<Chain>> {
        let Some(top) = top else {
            return Ok(Arc::new(self.no_layers()));
        };
        if let Some(chain) = self.chains.lock().unwrap_or_else(PoisonError::into_inner).get(top) {
            return Ok(Arc::clone(chain));
        }
        let layers = self.metadata.chain(top)?;
        let Some(first) = layers.first() else {
            return Err(Error::not_found(format!("container {id}: layer {top} is not there")));
        };
        let chain = Arc::new(Chain {
            lower: layers.iter().map(|layer| self.lower(layer)).chain([self.layers.join(BASE)]).collect(),
            mode: first.mode,
            uid: first.uid,
            gid: first.gid,
        });
        self.chains.lock().unwrap_or_else(PoisonError::into_inner).insert(*top, Arc::clone(&chain));
        Ok(chain)
    }

    fn lower(&self, layer: &LayerRecord) -> PathBuf {
        self.layers.join(layer.number.to_string()).join("diff")
    }

    /// A container without layers has the mount points only.
    fn no_layers(&self) -> Chain {
        Chain { lower: vec![self.layers.join(BASE)], mode: 0o755, uid: effective_uid(), gid: effective_gid() }
    }
}

/// Says whether it was made (and not there already).
fn make_dir(dir: &impl std::os::fd::AsFd, name: &Path, mode: Mode) -> Result<bool, Errno> {
    match rustix::fs::mkdirat(dir, name, mode) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// An ID comes from the engine, but a path is made of it: it must be one plain component.
fn plain(id: &str) -> Result<()> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-') {
        Ok(())
    } else {
        Err(Error::invalid(format!("{id:?} is not a container ID")))
    }
}

fn effective_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn effective_gid() -> u32 {
    rustix::process::getegid().as_raw()
}
