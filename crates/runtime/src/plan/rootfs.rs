//! The root file system: a directory's mount or an overlay, made ready without being attached anywhere.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::Spec;
use dhow_sys::mount;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};

use super::mounts::{Source, default_propagation};
use super::options::propagation;
use super::{cstring, overlay_helper};
use crate::create::Rootfs;
use crate::seccomp::KernelVersion;

/// The root as the child finds it.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) source: Source,
    /// Propagation while the container is set up.
    pub(crate) during: u64,
    /// Propagation afterwards, and whether it holds for all below.
    pub(crate) after: Option<(u64, bool)>,
    pub(crate) readonly: bool,
    /// For error texts.
    pub(crate) shown: String,
}

impl Root {
    /// Opens or mounts the root, detached.
    pub(crate) fn plan(rootfs: Rootfs<'_>, spec: &Spec) -> Result<Self> {
        let word = spec.linux.as_ref().and_then(|linux| linux.rootfs_propagation.as_deref()).unwrap_or_default();
        let after = propagation(word);
        if after.is_none() && !word.is_empty() {
            return Err(Error::invalid(format!("unknown rootfsPropagation {word:?}")));
        }
        let (source, shown) = match rootfs {
            Rootfs::Path(path) => (directory(path)?, path.display().to_string()),
            Rootfs::Overlay { lower, upper, work, options } => {
                (Source::Tree(detached_overlay(lower, upper, work, options)?), upper.display().to_string())
            }
        };
        let readonly = spec.root.as_ref().is_some_and(|root| root.readonly);
        Ok(Self { source, during: default_propagation(spec), after, readonly, shown })
    }
}

fn directory(path: &Path) -> Result<Source> {
    let shown = || format!("root file system {}", path.display());
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from).context(shown)?;
    match mount::clone_tree(&file, true) {
        Ok(tree) => Ok(Source::Tree(tree)),
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
            Ok(Source::Path { path: cstring(path.as_os_str())?, recursive: true })
        }
        Err(error) => Err(error).context(shown),
    }
}

/// An overlay that is attached nowhere, for a caller who wants to show it to another runtime.
///
/// # Errors
/// What the kernel says about the layers.
pub fn detached_overlay(lower: &[PathBuf], upper: &Path, work: &Path, options: &[String]) -> Result<OwnedFd> {
    Overlay { lower, writable: Some((upper, work)), options }.mount()
}

/// The same of layers that are only looked at, the topmost first: an overlay into which nothing can be written.
///
/// # Errors
/// What the kernel says about the layers; it wants two at least.
pub fn detached_layers(layers: &[PathBuf], options: &[String]) -> Result<OwnedFd> {
    Overlay { lower: layers, writable: None, options }.mount()
}

pub(super) struct Overlay<'a> {
    pub(super) lower: &'a [PathBuf],
    /// The folder that takes what is written, and the one in which the kernel prepares it.
    pub(super) writable: Option<(&'a Path, &'a Path)>,
    pub(super) options: &'a [String],
}

/// fsconfig(2) takes no longer value.
const LONGEST_VALUE: usize = 255;

impl Overlay<'_> {
    /// A detached overlay: it is in no mount namespace, so nothing of it is seen on this host or left behind.
    fn mount(&self) -> Result<OwnedFd> {
        // Before Linux 6.8 there is no `lowerdir+`, and each attempt is a line in the kernel's log.
        let mounted = match KernelVersion::running() >= (KernelVersion { major: 6, minor: 8 }) {
            true => self.layer_by_layer(),
            false => self.in_one_string(),
        };
        mounted.map_err(io::Error::from).context(|| format!("mount the overlay of {}", self.place().display()))
    }

    /// The folder it is known by.
    pub(super) fn place(&self) -> &Path {
        match (self.writable, self.lower) {
            (Some((upper, _)), _) => upper,
            (None, [topmost, ..]) => topmost,
            (None, []) => Path::new("/"),
        }
    }

    fn layer_by_layer(&self) -> Result<OwnedFd, Errno> {
        let fs = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let mut held = Vec::new();
        for layer in self.lower {
            set_path(&fs, "lowerdir+", layer, &mut held)?;
        }
        self.finish(fs, held)
    }

    /// The older form, with the layers behind short names to stay within the longest value.
    fn in_one_string(&self) -> Result<OwnedFd, Errno> {
        let fs = fsopen(c"overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let mut held = Vec::new();
        let names = self.lower.iter().map(|layer| hold(layer, &mut held)).collect::<Result<Vec<_>, _>>()?;
        let joined = names.join(":");
        if joined.len() > LONGEST_VALUE {
            return overlay_helper::mount(self);
        }
        fsconfig_set_string(&fs, c"lowerdir", joined)?;
        self.finish(fs, held)
    }

    /// The writable layer and the rest; `held` keeps the layers' descriptors alive until the mount is made.
    fn finish(&self, fs: OwnedFd, mut held: Vec<OwnedFd>) -> Result<OwnedFd, Errno> {
        if let Some((upper, work)) = self.writable {
            set_path(&fs, "upperdir", upper, &mut held)?;
            set_path(&fs, "workdir", work, &mut held)?;
        }
        for option in self.options {
            match option.split_once('=') {
                Some((key, value)) => fsconfig_set_string(&fs, key, value)?,
                None => fsconfig_set_flag(&fs, option.as_str())?,
            }
        }
        fsconfig_set_string(&fs, c"source", c"overlay")?;
        fsconfig_create(&fs)?;
        let attributes = match self.writable {
            Some(_) => MountAttrFlags::empty(),
            None => {
                MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV
            }
        };
        fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    }
}

/// Sets a path, by a short name for its descriptor where it is too long as it is.
fn set_path(fs: &OwnedFd, key: &str, path: &Path, held: &mut Vec<OwnedFd>) -> Result<(), Errno> {
    if path.as_os_str().as_bytes().len() <= LONGEST_VALUE {
        return fsconfig_set_string(fs, key, path);
    }
    let name = hold(path, held)?;
    fsconfig_set_string(fs, key, name)
}

/// Opens a directory and names it by its descriptor.
fn hold(path: &Path, held: &mut Vec<OwnedFd>) -> Result<String, Errno> {
    let file = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    held.push(file);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::fstatfs;
    use std::fs;

    /// Every way to mount gives the same tree; kernels take only some of them.
    #[test]
    fn all_ways_to_an_overlay_lead_there() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: overlays need root");
            return;
        }
        type Way = fn(&Overlay<'_>) -> Result<OwnedFd, Errno>;
        let ways: [Way; 3] = [
            |overlay| overlay.layer_by_layer(),
            |overlay| overlay.in_one_string(),
            |overlay| overlay_helper::mount(overlay),
        ];
        // With a folder to write to and without; two layers, and more than a kernel before 6.8 takes in one value.
        for (way, writable, layers) in
            ways.into_iter().flat_map(|way| [(way, true, 2), (way, false, 2), (way, true, 20), (way, false, 20)])
        {
            let directory = tempfile::tempdir().unwrap();
            let paths: Vec<PathBuf> =
                (0..layers).map(|layer| directory.path().join(format!("layer-{layer}"))).collect();
            let (upper, work) = (directory.path().join("upper"), directory.path().join("work"));
            paths.iter().chain([&upper, &work]).for_each(|path| fs::create_dir(path).unwrap());
            fs::write(paths[0].join("a"), "top").unwrap();
            fs::write(paths[layers - 1].join("a"), "bottom").unwrap();
            fs::write(paths[layers - 1].join("b"), "bottom").unwrap();
            let writable = writable.then_some((&*upper, &*work));
            let overlay = Overlay { lower: &paths, writable, options: &[] };
            let tree = match way(&overlay) {
                Err(Errno::INVAL) if std::ptr::fn_addr_eq(way, ways[0]) => {
                    eprintln!("SKIPPED: this kernel has no lowerdir+");
                    continue;
                }
                tree => tree.unwrap(),
            };
            const OVERLAYFS: u64 = 0x794c_7630;
            assert_eq!(fstatfs(&tree).unwrap().f_type as u64, OVERLAYFS);
            let file = openat(&tree, c"a", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
            assert_eq!(io::read_to_string(fs::File::from(file)).unwrap(), "top");
            assert!(openat(&tree, c"b", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).is_ok());
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
            let made = openat(&tree, c"new", flags, Mode::RWXU).map(drop);
            assert_eq!(made, writable.map(drop).ok_or(Errno::ROFS));
        }
    }
}
