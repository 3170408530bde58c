//! Where a container's files are found.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_store::Overlay;
use dhow_sys::{mount, namespace};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType, move_into_link_name_space};
use tokio::sync::{OwnedMutexGuard, oneshot};

use super::path;
use super::stat::resolve;
use crate::container::{Container, Process, View, shareable};
use crate::core::Core;
use crate::create::{Source, random_id};
use crate::launch::{EtcFiles, IdMap};
use crate::rootfs::Root;
use crate::spec::ContainerSpec;
use crate::start::{mount_image_at, prepare_images, unmount_images};
use crate::volumes::Passage;
use crate::watch::{Lent, Watch, watched};

/// How often a container may start and end while somebody looks for its files.
const PATIENCE: usize = 10;

/// What is going to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A container's files at one moment.
#[derive(Debug)]
pub(super) enum Ground {
    /// It runs: the root of its first process. Should it end, it must not be started again while something is written into
    /// its old root, nor may two write.
    Running(Root, (Quiet, Passage)),
    Stopped(Box<Parts>),
}

/// What the root file system of a container that does not run is put together of.
#[derive(Debug)]
pub(super) struct Parts {
    overlay: Overlay,
    spec: Arc<ContainerSpec>,
    /// The container's own folder, over which the root is mounted for the moment.
    place: PathBuf,
    etc: Vec<Volume>,
    volumes: Vec<Volume>,
    borrowed: Borrowed,
    /// It must not start while something is written, nor may two write.
    quiet: Quiet,
}

type Quiet = OwnedMutexGuard<()>;

/// Something of the host's that the container has in its tree.
#[derive(Debug)]
struct Volume {
    source: PathBuf,
    /// Which part of the source; nothing for all of it.
    subpath: String,
    target: String,
    recursive: bool,
    read_only: bool,
    id_map: bool,
}

impl Volume {
    /// Opens the source. Containers write to a volume, and could have put a link to the host in the way of a part of it.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let source = openat(CWD, &self.source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        if self.subpath.is_empty() { Ok(source) } else { dhow_sys::beneath::find(source, self.subpath.as_str()) }
    }

    /// What is to be mounted, attached nowhere yet.
    fn tree(&self) -> io::Result<OwnedFd> {
        let tree = mount::clone_tree(self.open()?, self.recursive)?;
        if self.read_only {
            read_only(&tree)?;
        }
        Ok(tree)
    }
}

/// The container's volumes, mounted for the moment where they have to be, and places for its images. They are given back by a
/// task when this is dropped, because who drops it may be in another mount namespace.
#[derive(Debug)]
struct Borrowed {
    /// While somebody works here nobody copies the volumes, or puts something else into them.
    _passage: Passage,
    places: BTreeMap<String, PathBuf>,
    /// By their places in the container.
    images: BTreeMap<String, (PathBuf, Overlay)>,
    _until_dropped: oneshot::Sender<()>,
}

impl Borrowed {
    async fn of(core: &Arc<Core>, container: &Container, view: &View) -> Result<Self> {
        let passage = core.volumes.doors.pass(crate::volumes::names(&view.body.mounts)).await;
        let (until_dropped, dropped) = oneshot::channel();
        let known = |name: &&str| core.volumes.get(name).is_some();
        let names: Vec<String> = crate::volumes::names(&view.body.mounts).filter(known).map(str::to_owned).collect();
        let user = format!("files-{}", random_id());
        let (attaching, attached) = (Arc::clone(core), (names.clone(), user.clone()));
        let giving_back = Arc::clone(core);
        tokio::spawn(async move {
            let _ = dropped.await;
            let detach = move || {
                names.iter().for_each(|name| giving_back.volumes.detach(name, &user));
                unmount_images(&giving_back, &user);
            };
            let _ = tokio::task::spawn_blocking(detach).await;
        });
        let (container, view) = (Arc::clone(&container.id), Arc::clone(&view.body));
        let borrowed = watched(core.volumes.patience(), move |watch| {
            let (names, user) = attached;
            let volumes = &attaching.volumes;
            let attach = |name: &String| volumes.attach(name, &user, watch).map(|place| (name.clone(), place));
            let borrow = || {
                let places = names.iter().map(attach).collect::<Result<_>>()?;
                let images = prepare_images(&attaching, (&container, &user), &view.mounts)?;
                watch.take_effect()?;
                Ok((places, images))
            };
            borrow().inspect_err(|_| {
                // Else it is given back with the rest.
                if watch.go_on().is_err() {
                    names.iter().for_each(|name| volumes.detach(name, &user));
                    unmount_images(&attaching, &user);
                }
            })
        });
        let (places, images) = borrowed.await?;
        Ok(Self { _passage: passage, places, images, _until_dropped: until_dropped })
    }
}

impl Ground {
    /// Finds out where the files are. Waits while the container is being started and while others write to it.
    pub(super) async fn find(core: &Arc<Core>, container: &Container) -> Result<Self> {
        for _ in 0..PATIENCE {
            let quiet = Arc::clone(&container.files).lock_owned().await;
            let view = container.view();
            if !shareable(&view) {
                let borrowed = Borrowed::of(core, container, &view).await?;
                return Parts::of(core, container, &view, (borrowed, quiet)).map(Box::new).map(Self::Stopped);
            }
            let root = Process::of(&view).and_then(|process| process.look(Root::of_process));
            // Otherwise it has ended meanwhile, and perhaps been started again.
            if root.is_ok() || container.view().pid == view.pid {
                let passage = core.volumes.doors.pass(crate::volumes::names(&view.body.mounts)).await;
                return root.map(|root| Self::Running(root, (quiet, passage)));
            }
        }
        Err(Error::unavailable(format!("container {} does not stay in one state", container.id)))
    }

    /// Does something with the root. For a container that does not run this changes the mount namespace of the calling
    /// thread: it must be one that ends afterwards. One that is given up because a file server does not answer keeps nobody
    /// from starting the container.
    pub(super) fn enter<T>(self, access: Access, watch: &Watch, work: impl FnOnce(&Root) -> Result<T>) -> Result<T> {
        match self {
            Self::Running(root, quiet) => {
                // Whoever reads, perhaps slowly, keeps nobody from starting it.
                let quiet = (access == Access::Write).then(|| Lent::to(watch, quiet, drop));
                let done = work(&root);
                drop(quiet.and_then(|quiet| quiet.take()));
                done
            }
            Self::Stopped(parts) => parts.enter(access, watch, work),
        }
    }
}

/// The container's own files below /etc, where they are and where it has them: in place of the image's, when it has been
/// started before.
fn of_the_network(core: &Core, container: &Container, view: &View) -> Vec<Volume> {
    let EtcFiles { hostname, hosts, resolv_conf } = crate::start::etc_files(core, &container.id, &view.body.spec);
    let own = [(hostname, "/etc/hostname"), (hosts, "/etc/hosts"), (resolv_conf, "/etc/resolv.conf")];
    let spec = &view.body.spec;
    let taken = |target: &str| {
        view.body.mounts.iter().any(|mount| mount.destination == target) || spec.host.tmpfs.contains_key(target)
    };
    let there = own.into_iter().filter(|(source, target)| source.exists() && !taken(target));
    let volume = |(source, target): (PathBuf, &str)| Volume {
        source,
        subpath: String::new(),
        target: target.to_owned(),
        recursive: false,
        read_only: spec.host.readonly_rootfs,
        id_map: false,
    };
    there.map(volume).collect()
}

/// Those files, to be mounted; they lie where the container's file system is seen later. Whichever is gone is seen as the
/// image has it: for files that hardly anybody asks for no copy fails.
fn trees(etc: &[Volume]) -> Vec<(OwnedFd, &str)> {
    etc.iter().filter_map(|file| Some((file.tree().ok()?, file.target.as_str()))).collect()
}

/// Mounts them, after the volumes as when the container runs, where there is a place for them.
fn attach_files(root: &Root, trees: Vec<(OwnedFd, &str)>) {
    for (tree, target) in trees {
        if let Err(error) = put(root, tree, target) {
            tracing::debug!(%error, target, "a copy sees the image's file");
        }
    }
}

/// Mounts a tree at its place below the root.
fn put(root: &Root, tree: OwnedFd, target: &str) -> io::Result<()> {
    mount::attach(tree, resolve(root, target, OFlags::empty())?)
}

impl Parts {
    fn of(core: &Core, container: &Container, view: &View, (borrowed, quiet): (Borrowed, Quiet)) -> Result<Self> {
        let volumes = view.body.mounts.iter().filter_map(|mount| {
            let (source, subpath, recursive) = match &mount.source {
                Source::Bind { path, recursive, .. } => (PathBuf::from(path), "", *recursive),
                Source::Volume { name, subpath, .. } => (borrowed.places.get(name)?.clone(), subpath.as_str(), true),
                Source::Image { subpath, .. } => {
                    (borrowed.images.get(&mount.destination)?.0.clone(), subpath.as_str(), false)
                }
                // It has files only while the container runs.
                Source::Tmpfs { .. } => return None,
            };
            let (subpath, target) = (subpath.to_owned(), mount.destination.clone());
            let id_map = matches!(mount.source, Source::Bind { id_map: true, .. });
            Some(Volume { source, subpath, target, recursive, read_only: mount.read_only, id_map })
        });
        Ok(Self {
            overlay: core.store.snapshots().overlay(&container.id, container.layer.as_ref())?,
            spec: Arc::clone(&view.body.spec),
            place: core.store.snapshots().dir(&container.id),
            etc: of_the_network(core, container, view),
            volumes: volumes.collect(),
            borrowed,
            quiet,
        })
    }

    fn enter<T>(self, access: Access, watch: &Watch, work: impl FnOnce(&Root) -> Result<T>) -> Result<T> {
        let Self { overlay, spec, place, etc, volumes, borrowed, quiet } = self;
        let quiet = Lent::to(watch, quiet, drop);
        let step = || "look into the container's file system";
        namespace::unshare(ThreadNameSpaceType::MOUNT).context(step)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
            .map_err(io::Error::from)
            .context(step)?;
        for (place, layers) in borrowed.images.values() {
            mount_image_at(layers, place)?;
        }
        let etc = trees(&etc);
        if access == Access::Read {
            let root = Root::of_overlay(&overlay)?;
            // A volume whose place is not in the image is seen only when the place has been made.
            if volumes.iter().all(|volume| resolve(&root, &volume.target, OFlags::empty()).is_ok()) {
                mounted(&root, &place)?;
                attach(&root, &spec, &volumes, watch)?;
                attach_files(&root, etc);
                // Whoever reads slowly keeps nobody from starting it, nor a volume from being unmounted.
                drop((quiet.take(), borrowed));
                return work(&root);
            }
        }
        let root = Root::of_overlay_to_write(&overlay)?;
        mounted(&root, &place)?;
        for volume in &volumes {
            watch.go_on()?;
            match make_place(&root, volume) {
                // Its source is gone, or its place lies behind a link: it is seen when the container runs. A source that leads
                // out of its volume is never seen.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => {}
                made => made.map_err(io::Error::from).context(|| format!("make {}", volume.target))?,
            }
        }
        attach(&root, &spec, &volumes, watch)?;
        attach_files(&root, etc);
        let done = work(&root);
        drop(quiet.take());
        done
    }
}

/// Gives the root a place in this thread's namespace, so that others can be mounted into it.
fn mounted(root: &Root, place: &Path) -> Result<()> {
    let step = || "look into the container's file system";
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let place = openat(CWD, place, flags, Mode::empty()).map_err(io::Error::from).context(step)?;
    mount::attach(root, place).context(step)
}

/// Mounts volumes into the root, in their order, as the runtime does.
fn attach(root: &Root, spec: &ContainerSpec, volumes: &[Volume], watch: &Watch) -> Result<()> {
    for volume in volumes {
        watch.go_on()?;
        let shown = || format!("mount {}", volume.target);
        let tree = match volume.tree() {
            Err(error) if out_of_sight(&error) => continue,
            tree => tree.context(shown)?,
        };
        if volume.id_map
            && let Err(error) = map_ids(root, spec, volume, &tree)
        {
            // The container cannot be started then, and perhaps somebody is here to mend it. Nothing is written as somebody else.
            tracing::warn!(%error, target = volume.target, "a mount is read-only, because its ids cannot be mapped");
            read_only(&tree).context(shown)?;
        }
        match put(root, tree, &volume.target) {
            Err(error) if out_of_sight(&error) => {}
            attached => attached.context(shown)?,
        }
    }
    watch.go_on()
}

fn read_only(tree: &OwnedFd) -> io::Result<()> {
    mount::set_attributes(tree, mount::Change { set: mount::RDONLY, ..mount::Change::default() }, true)
}

/// Shows the files of a mount under the ids under which the container sees them when it runs.
fn map_ids(root: &Root, spec: &ContainerSpec, volume: &Volume, tree: &OwnedFd) -> Result<()> {
    let shown = volume.source.display().to_string();
    let owner = fstat(tree).map_err(io::Error::from).context(|| format!("stat {shown}"))?;
    let user = root.accounts()?.resolve(&spec.user, spec.host.group_add.as_deref().unwrap_or_default())?;
    let IdMap { user, group } = IdMap::new((owner.st_uid, owner.st_gid), &user);
    dhow_runtime::map_ids(tree, vec![user], vec![group], &shown)
}

/// The source of a volume has been removed, or leads out of its volume: then nothing of it is seen.
fn out_of_sight(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || Errno::from_io_error(error) == Some(Errno::XDEV)
}

/// Makes the place of a volume, a file for a file and a folder for everything else.
fn make_place(root: &Root, volume: &Volume) -> Result<(), Errno> {
    match resolve(root, &volume.target, OFlags::empty()) {
        Err(Errno::NOENT) => {}
        result => return result.map(drop),
    }
    let mut folder = resolve(root, "/", OFlags::DIRECTORY)?;
    let (parents, last) = path::split(&volume.target);
    for component in parents.split('/').filter(|component| !component.is_empty()) {
        folder = inside(folder, component)?;
    }
    if FileType::from_raw_mode(fstat(volume.open()?)?.st_mode) == FileType::Directory {
        return inside(folder, last).map(drop);
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&folder, last, flags, Mode::from_raw_mode(0o755)).map(drop)
}

/// A folder in a folder, made if it is missing; links are not followed.
fn inside(folder: OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    match mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    openat(&folder, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// The root file system of a running container without what is mounted into it.
///
/// It is fetched by a thread that enters the container's mount namespace and brings nothing back but a descriptor.
pub(super) fn bare(pid: i32) -> Result<Root> {
    let died = |_| Err(Error::internal("a thread that visits a container died"));
    thread::scope(|scope| scope.spawn(|| visit(pid)).join().unwrap_or_else(died))
        .context(|| "look into the container's file system")
}

fn visit(pid: i32) -> Result<Root> {
    let path = format!("/proc/{pid}/ns/mnt");
    let file = openat(CWD, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let file = file.map_err(io::Error::from).context(|| format!("open {path}"))?;
    namespace::unshare_directories().context(|| "leave the engine's directories")?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Mount))
        .map_err(io::Error::from)
        .context(|| "enter the mount namespace")?;
    let root = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let root = root.map_err(io::Error::from).context(|| "open /")?;
    mount::clone_tree(root, false).map(Root::of_folder).context(|| "clone the root")
}
