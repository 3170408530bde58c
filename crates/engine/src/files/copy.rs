//! `cp` and `export`: archives out of a container and into it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use dhow_archive::{Archive, Owner, Packer, Rules};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_store::Change;
use rustix::fs::{AtFlags, Mode, OFlags, StatVfsMountFlags, StatxFlags, fstatvfs, openat, statx};
use tokio::sync::oneshot;

use super::ground::{Access, Ground, bare};
use super::path;
use super::sink::{ArchiveSink, WatchedSink, answered, start};
use super::stat::{self, Found, PathStat};
use super::tree::Inside;
use crate::Engine;
use crate::container::{Container, Process, shareable};
use crate::core::Core;
use crate::create::clean_path;
use crate::engine::{blocking, to_the_end};
use crate::rootfs::Root;
use crate::watch::{Lent, Watch, watch_over};

/// How an archive is put into a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtractOptions {
    /// Everything belongs to the container's user, if it has one.
    pub users: bool,
    /// Folders are replaced only by folders, and nothing else by a folder.
    pub keeps_kinds: bool,
}

impl Engine {
    /// What a container has changed against its image, sorted by path.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn changes(&self, reference: &str) -> Result<Vec<Change>> {
        let (core, container) = (Arc::clone(&self.core), self.find(reference)?);
        blocking(move || core.store.snapshots().changes(&container.id, container.layer.as_ref())).await
    }

    /// What is at a path of a container.
    ///
    /// # Errors
    /// `NotFound` with Docker's words.
    pub async fn path_stat(&self, reference: &str, path: &str) -> Result<PathStat> {
        let ground = Ground::find(&self.core, &*self.find(reference)?).await?;
        let (name, path) = (reference.to_owned(), path.to_owned());
        let watch = self.core.volumes.watch();
        let look = move |watch: &Watch| {
            ground.enter(Access::Read, watch, |root| Wanted::find(root, &name, &path)?.stat(root, watch))
        };
        on_a_thread(watch, look).await
    }

    /// Writes what is at a path of a container, with all below it, as an archive whose names begin with the last component
    /// of the path. Returns when it is known to be there; the archive follows.
    ///
    /// # Errors
    /// `NotFound` with Docker's words; then the sink is not used.
    pub async fn copy_out(&self, reference: &str, path: &str, sink: Box<dyn ArchiveSink>) -> Result<PathStat> {
        let (core, container) = (Arc::clone(&self.core), self.find(reference)?);
        let ground = Ground::find(&self.core, &container).await?;
        let (name, path) = (reference.to_owned(), path.to_owned());
        let watch = self.core.volumes.watch();
        let (mut sink, answer) = WatchedSink::new(&watch, sink);
        let end = start(watch.clone(), move |watch| {
            let written = ground.enter(Access::Read, watch, |root| {
                let wanted = Wanted::find(root, &name, &path)?;
                sink.announce(wanted.stat(root, watch)?)?;
                wanted.write(root, &mut sink)
            });
            sink.finish(written);
        })?;
        let stat = answered(watch, answer, end).await?;
        core.tell(&container, "archive-path");
        Ok(stat)
    }

    /// Puts an archive (plain, gzip or zstd) into a folder of a container.
    ///
    /// # Errors
    /// `NotFound` with Docker's words, `InvalidArgument` if it is no folder or the archive is bad, `PermissionDenied` if
    /// it cannot be written to, `ResourceExhausted` when the disk is full.
    pub async fn copy_in(
        &self,
        reference: &str,
        path: &str,
        options: ExtractOptions,
        archive: Box<dyn Read + Send>,
    ) -> Result<()> {
        let container = self.find(reference)?;
        let ground = Ground::find(&self.core, &container).await?;
        let request = Extraction {
            name: reference.to_owned(),
            path: path.to_owned(),
            options,
            user: container.view().spec.user.clone(),
            read_only: container.view().spec.host.readonly_rootfs,
        };
        let watch = self.core.volumes.watch();
        let archive = WatchedReader { watch: watch.clone(), lent: Lent::to(&watch, archive, drop) };
        let put = move |watch: &Watch| ground.enter(Access::Write, watch, |root| request.run(root, archive));
        on_a_thread(watch, put).await?;
        self.core.tell(&container, "extract-to-dir");
        Ok(())
    }

    /// Writes a container's whole file system as an archive, without what is mounted into it. Returns when it has begun.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn export(&self, reference: &str, mut sink: Box<dyn ArchiveSink>) -> Result<()> {
        let (core, container) = (Arc::clone(&self.core), self.find(reference)?);
        let (opened, answer) = oneshot::channel();
        let owner = Arc::clone(&container);
        // No volume is looked at.
        start(self.core.volumes.watch(), move |_| match core.bare_root(&owner) {
            Ok(root) => {
                let _ = opened.send(Ok(()));
                let written = all(&root, &mut sink);
                sink.finish(written);
            }
            Err(error) => drop(opened.send(Err(error))),
        })?;
        answer.await.map_err(|_| Error::internal("a thread that reads a container died"))??;
        self.core.tell(&container, "export");
        Ok(())
    }
}

impl Core {
    /// Tells that something was done to a container's files.
    pub(super) fn tell(&self, container: &Container, action: &str) {
        let view = container.view();
        self.events.container(action, (&container.id, &view.name), &view.spec, &[]);
    }

    /// The root without volumes.
    fn bare_root(&self, container: &Container) -> Result<Root> {
        let view = container.view();
        if shareable(&view) {
            let root = Process::of(&view).and_then(|process| process.look(bare));
            if root.is_ok() || container.view().pid == view.pid {
                return root;
            }
        }
        Root::of_overlay(&self.store.snapshots().overlay(&container.id, container.layer.as_ref())?)
    }
}

fn all(root: &Root, sink: &mut dyn Write) -> Result<()> {
    let view = Inside::new(root);
    let mut packer = Packer::new(sink, &view);
    let folder = root.open("/", OFlags::RDONLY | OFlags::DIRECTORY).context(|| "open /")?;
    packer.below(folder.ok_or_else(|| Error::internal("the container has no root"))?)?;
    packer.finish().map(drop)
}

/// Something in a container that is to be read.
struct Wanted {
    path: String,
    found: Found,
}

impl Wanted {
    fn find(root: &Root, container: &str, path: &str) -> Result<Self> {
        let absolute = path::absolute(path);
        match stat::find(root, &absolute)? {
            Some(found) => Ok(Self { path: absolute, found }),
            None => Err(missing(container, path)),
        }
    }

    fn stat(&self, root: &Root, watch: &Watch) -> Result<PathStat> {
        stat::describe(root, &self.path, &self.found, watch)
    }

    fn write(&self, root: &Root, sink: &mut dyn Write) -> Result<()> {
        let view = Inside::new(root);
        let mut packer = Packer::new(sink, &view);
        let name = path::base(&self.path);
        let step = || format!("open {}", self.path);
        if self.found.is_folder() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let folder = openat(&self.found.file, ".", flags, Mode::empty()).map_err(io::Error::from).context(step)?;
            packer.folder(folder, name.as_bytes())?;
        } else {
            let (parent, last) = path::split(&self.path);
            let parent = stat::resolve(root, parent, OFlags::DIRECTORY).map_err(io::Error::from).context(step)?;
            let last = std::ffi::CString::new(last).map_err(io::Error::from).context(step)?;
            packer.thing(parent.as_fd(), &last, name.as_bytes())?;
        }
        packer.finish().map(drop)
    }
}

/// An archive that is to be put into a container.
struct Extraction {
    name: String,
    path: String,
    options: ExtractOptions,
    user: String,
    read_only: bool,
}

impl Extraction {
    fn run(&self, root: &Root, archive: WatchedReader) -> Result<()> {
        let path = clean_path(&self.path);
        let step = || format!("open {path}");
        // A link at the end is followed, too.
        let folder = match stat::resolve(root, &path, OFlags::empty()) {
            Ok(folder) => folder,
            Err(rustix::io::Errno::NOENT) => return Err(missing(&self.name, &self.path)),
            Err(error) => return Err(io::Error::from(error)).context(step),
        };
        let found = rustix::fs::fstat(&folder).map_err(io::Error::from).context(step)?;
        if rustix::fs::FileType::from_raw_mode(found.st_mode) != rustix::fs::FileType::Directory {
            return Err(Error::invalid("extraction point is not a directory"));
        }
        self.check_writable(root, &folder)?;
        let owner = match self.options.users && !self.user.is_empty() {
            true => root.accounts()?.resolve(&self.user, &[]).map(|user| Owner::Of(user.uid, user.gid))?,
            false => Owner::Archived,
        };
        let rules =
            Rules { owner, keeps_kinds: self.options.keeps_kinds, rename: None, exact: false, shown: path.clone() };
        let mut input = dhow_image::inflate(Box::new(archive))?;
        dhow_archive::unpack(&mut Archive::new(&mut input, true), root.as_fd(), path.as_bytes(), &rules)
            .map_err(of_the_upload)?;
        // What is left are zeros, mostly; it is read so that the client can finish sending.
        drop(io::copy(&mut input, &mut io::sink()));
        Ok(())
    }

    /// Says in Docker's words why nothing can be written, before anything is tried.
    fn check_writable(&self, root: &Root, folder: &OwnedFd) -> Result<()> {
        let step = || format!("look at {}", self.path);
        let mount = |file: std::os::fd::BorrowedFd<'_>| {
            statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|stat| stat.stx_mnt_id)
        };
        let on_root = mount(folder.as_fd()) == mount(root.as_fd());
        let flags = fstatvfs(folder).map_err(io::Error::from).context(step)?.f_flag;
        match (on_root, flags.contains(StatVfsMountFlags::RDONLY)) {
            (true, read_only) if read_only || self.read_only => {
                Err(Error::denied("container rootfs is marked read-only"))
            }
            (false, true) => Err(Error::denied("mounted volume is marked read-only")),
            _ => Ok(()),
        }
    }
}

/// Damage in what a client has sent is the client's, not the engine's.
fn of_the_upload(error: Error) -> Error {
    match error.class() {
        dhow_errdefs::Class::DataLoss => error.with_class(dhow_errdefs::Class::InvalidArgument),
        _ => error,
    }
}

fn missing(container: &str, path: &str) -> Error {
    Error::not_found(format!("Could not find the file {path} in container {container}"))
}

/// The archive that work reads which may be given up.
struct WatchedReader {
    watch: Watch,
    lent: Lent<Box<dyn Read + Send>>,
}

impl Read for WatchedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.watch.go_on().map_err(io::Error::other)?;
        self.lent.with(|archive| self.watch.elsewhere(|| archive.read(buffer))).map_err(io::Error::other)?
    }
}

async fn on_a_thread<T: Send + 'static>(
    watch: Watch,
    work: impl FnOnce(&Watch) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, answer) = oneshot::channel();
    start(watch.clone(), move |watch| drop(sender.send(work(watch))))?;
    // It is watched even when the client has gone: what it holds of the container is given back.
    let answer = to_the_end(async move { watch_over(&watch, answer).await }).await?;
    answer.map_err(|_| Error::internal("a thread that visits a container died"))?
}
