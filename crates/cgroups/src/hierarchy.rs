//! Where the host keeps its cgroup trees and which controllers are in which.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{CWD, FsWord, fstatfs};
use rustix::io::Errno;

use crate::file::{Directory, failure, open_directory};
use crate::{Controller, Controllers, subtree};

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP1_MAGIC: FsWord = 0x0027_e0eb;
const CGROUP2_MAGIC: FsWord = 0x6367_7270;
const CONVENTION: &str = "/sys/fs/cgroup";
/// The file that lists a v2 cgroup's controllers.
const CONTROLLERS: &str = "cgroup.controllers";

/// How the host arranges its controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One tree per controller or group of controllers.
    V1,
    /// One tree for everything.
    V2,
    /// v1 trees and, beside them, a v2 tree that has the controllers which v1 does not (often none).
    Hybrid,
}

/// The version of one tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
}

/// One mounted tree.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) version: Version,
    pub(crate) controllers: Controllers,
    pub(crate) path: PathBuf,
    /// The name in error texts: `memory`, `cpu,cpuacct`, `unified`.
    pub(crate) label: String,
    pub(crate) root: Directory,
}

/// The cgroup trees of this host, as this process sees them. Cheap to clone; found once, used for every container.
#[derive(Debug, Clone)]
pub struct Hierarchy {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) mode: Mode,
    pub(crate) trees: Vec<Tree>,
}

impl Hierarchy {
    /// Finds the trees: at `/sys/fs/cgroup` where every distribution mounts them, else through
    /// `/proc/self/mountinfo`. The first way takes some 50 µs, so that a process per container can afford it.
    ///
    /// # Errors
    /// `NotFound` when no cgroup file system is mounted, and what reading the mount table gives.
    pub fn detect() -> Result<Self> {
        let found = trees_at(Path::new(CONVENTION), false)?;
        if !found.is_empty() {
            return Ok(Self::new(found));
        }
        let table = fs::read_to_string("/proc/self/mountinfo").context(|| "read /proc/self/mountinfo")?;
        let found = trees_mounted(&table)?;
        if found.is_empty() {
            return Err(Error::not_found("no cgroup file system is mounted")
                .with_hint("mount cgroup2 at /sys/fs/cgroup, or run without limits"));
        }
        Ok(Self::new(found))
    }

    /// The trees below a directory that is laid out like `/sys/fs/cgroup`: a v2 tree itself (it has
    /// `cgroup.controllers`), or one directory per v1 tree and perhaps `unified`. It may be a directory of ordinary
    /// files, as tests make them: control files are then created as they are written.
    ///
    /// # Errors
    /// `NotFound` when there is no tree, and what listing the directory gives.
    pub fn at(root: &Path) -> Result<Self> {
        let trees = trees_at(root, true)?;
        if trees.is_empty() {
            return Err(Error::not_found(format!("no cgroup tree at {}", root.display())));
        }
        Ok(Self::new(trees))
    }

    fn new(trees: Vec<Tree>) -> Self {
        let v1 = trees.iter().any(|tree| tree.version == Version::V1);
        let v2 = trees.iter().any(|tree| tree.version == Version::V2);
        let mode = match (v1, v2) {
            (true, true) => Mode::Hybrid,
            (false, true) => Mode::V2,
            _ => Mode::V1,
        };
        Self { inner: Arc::new(Inner { mode, trees }) }
    }

    /// How the host arranges its controllers.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.inner.mode
    }

    /// Every controller that some tree has. On v2 `devices` and `freezer` count as there: the kernel has them as eBPF
    /// programs and as a core file.
    #[must_use]
    pub fn controllers(&self) -> Controllers {
        Controller::ALL.into_iter().filter(|controller| self.tree_of(*controller).is_some()).collect()
    }

    /// The directory in which the tree with that controller is mounted, for the mounts of a container.
    #[must_use]
    pub fn mount_point(&self, controller: Controller) -> Option<&Path> {
        self.tree_of(controller).map(|index| self.inner.trees[index].path.as_path())
    }

    /// The directory in which the v2 tree is mounted.
    #[must_use]
    pub fn unified_mount_point(&self) -> Option<&Path> {
        self.v2_tree().map(|index| self.inner.trees[index].path.as_path())
    }

    /// The directories in which v1 trees are mounted, in no order.
    pub fn v1_mount_points(&self) -> impl Iterator<Item = &Path> {
        let trees = self.inner.trees.iter().filter(|tree| tree.version == Version::V1);
        trees.map(|tree| tree.path.as_path())
    }

    /// Which tree serves a controller; v1 wins, because a controller is never active in both.
    pub(crate) fn tree_of(&self, controller: Controller) -> Option<usize> {
        let trees = &self.inner.trees;
        trees.iter().position(|tree| tree.controllers.contains(controller)).or_else(|| {
            let on_core = matches!(controller, Controller::Devices | Controller::Freezer);
            if on_core { self.v2_tree() } else { None }
        })
    }

    pub(crate) fn v2_tree(&self) -> Option<usize> {
        self.inner.trees.iter().position(|tree| tree.version == Version::V2)
    }

    pub(crate) fn tree(&self, index: usize) -> &Tree {
        &self.inner.trees[index]
    }
}

impl Tree {
    /// The controllers that work in one of its cgroups: on v1 all, on v2 those that its parents hand down.
    pub(crate) fn working_in(&self, cgroup: &Directory) -> Result<Controllers> {
        if self.version == Version::V1 {
            return Ok(self.controllers);
        }
        let mut controllers = subtree::listed(cgroup, CONTROLLERS)?.intersection(self.controllers);
        // Not controllers there but in the core: eBPF programs and cgroup.freeze.
        controllers.insert(Controller::Devices);
        controllers.insert(Controller::Freezer);
        Ok(controllers)
    }

    /// The tree in a directory: by what the file system there says it is, and where `plain` directories are taken for
    /// trees too, by whether it has the file that lists a v2 tree's controllers. The name of a v1 tree's directory
    /// lists its controllers (`cpu,cpuacct`); one without any (`systemd`) limits nothing, but is a tree that can be looked into.
    fn open(path: &Path, name: &str, plain: bool) -> Result<Option<Self>> {
        let step = || format!("open cgroup tree {}", path.display());
        let text = path.to_str().ok_or_else(|| Error::invalid(step()))?;
        let fd = match open_directory(CWD.as_fd(), text) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(failure(errno, step())),
        };
        let kind = fstatfs(&fd).map_err(|errno| failure(errno, step()))?.f_type;
        let version = match kind {
            CGROUP1_MAGIC => Version::V1,
            CGROUP2_MAGIC => Version::V2,
            _ if !plain => return Ok(None),
            _ if path.join(CONTROLLERS).exists() => Version::V2,
            _ => Version::V1,
        };
        let label = if version == Version::V2 { "unified" } else { name };
        let root = Directory::new(fd, format!("{label}:/"), !matches!(kind, CGROUP1_MAGIC | CGROUP2_MAGIC));
        let controllers = match version {
            Version::V1 => name.split(',').filter_map(Controller::from_v1).collect(),
            Version::V2 => subtree::listed(&root, CONTROLLERS)?,
        };
        // Any directory may be beside plain ones.
        if kind != CGROUP1_MAGIC && version == Version::V1 && controllers.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { version, controllers, path: path.to_path_buf(), label: label.to_owned(), root }))
    }
}

/// The tree at a path, or those in the directories below it. The links that distributions put beside v1 trees (`cpu` to
/// `cpu,cpuacct`) are passed over.
fn trees_at(root: &Path, plain: bool) -> Result<Vec<Tree>> {
    if let Some(tree) = Tree::open(root, "", plain)? {
        return Ok(vec![tree]);
    }
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.context(|| format!("list {}", root.display()))?,
    };
    let mut trees = Vec::new();
    for entry in entries {
        let entry = entry.context(|| format!("list {}", root.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            trees.extend(Tree::open(&entry.path(), &entry.file_name().to_string_lossy(), plain)?);
        }
    }
    trees.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(trees)
}

/// The trees in a mount table in the format of proc(5) `/proc/pid/mountinfo`. Of several mounts of one tree the first
/// counts.
fn trees_mounted(table: &str) -> Result<Vec<Tree>> {
    let mut trees: Vec<Tree> = Vec::new();
    for (path, options) in table.lines().filter_map(cgroup_mount) {
        let names: Vec<&str> = options.split(',').filter(|name| Controller::from_v1(name).is_some()).collect();
        let Some(tree) = Tree::open(&path, &names.join(","), false)? else { continue };
        let same = |other: &Tree| other.version == tree.version && other.controllers == tree.controllers;
        if !trees.iter().any(same) {
            trees.push(tree);
        }
    }
    Ok(trees)
}

/// Mount point and super block options of a mountinfo line that mounts a cgroup tree.
fn cgroup_mount(line: &str) -> Option<(PathBuf, &str)> {
    let (mount, source) = line.split_once(" - ")?;
    let mut source = source.split(' ').filter(|word| !word.is_empty());
    if !matches!(source.next()?, "cgroup" | "cgroup2") {
        return None;
    }
    let options = source.nth(1)?;
    let path = mount.split(' ').nth(4)?.replace("\\040", " ").replace("\\134", "\\");
    Some((PathBuf::from(path), options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mount_table_tells_place_and_controllers() {
        let line = "34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let (path, options) = cgroup_mount(line).unwrap();
        assert_eq!((path.to_str(), options), (Some("/sys/fs/cgroup/cpu,cpuacct"), "rw,cpu,cpuacct"));
        let line = "41 31 0:38 / /mnt/a\\040b rw - cgroup2 none rw";
        assert_eq!(cgroup_mount(line).unwrap().0.to_str(), Some("/mnt/a b"));
        assert!(cgroup_mount("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw").is_none());
    }

    #[test]
    fn a_directory_with_a_list_of_controllers_is_a_v2_tree() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("cgroup.controllers"), "cpu io memory pids\n").unwrap();
        let hierarchy = Hierarchy::at(root.path()).unwrap();
        assert_eq!(hierarchy.mode(), Mode::V2);
        let there = hierarchy.controllers();
        assert!(there.contains(Controller::BlkIo) && there.contains(Controller::Devices));
        assert!(!there.contains(Controller::CpuSet));
    }

    #[test]
    fn directories_by_controller_are_v1_trees_and_unified_makes_it_hybrid() {
        let root = tempfile::tempdir().unwrap();
        for name in ["cpu,cpuacct", "memory", "systemd"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        std::os::unix::fs::symlink("cpu,cpuacct", root.path().join("cpu")).unwrap();
        let hierarchy = Hierarchy::at(root.path()).unwrap();
        assert_eq!(hierarchy.mode(), Mode::V1);
        assert_eq!(hierarchy.inner.trees.len(), 2);
        assert_eq!(hierarchy.mount_point(Controller::Cpu), Some(root.path().join("cpu,cpuacct").as_path()));
        fs::create_dir(root.path().join("unified")).unwrap();
        fs::write(root.path().join("unified/cgroup.controllers"), "\n").unwrap();
        assert_eq!(Hierarchy::at(root.path()).unwrap().mode(), Mode::Hybrid);
    }

    #[test]
    fn nothing_mounted_is_not_found() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Hierarchy::at(root.path()).unwrap_err().class(), dhow_errdefs::Class::NotFound);
    }
}
