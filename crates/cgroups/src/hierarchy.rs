//! Where the host keeps its cgroup trees and which controllers are in which.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::{FsWord, statfs};

use crate::file::{Directory, open_directory};
use crate::{Controller, Controllers, subtree};

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP1_MAGIC: FsWord = 0x0027_e0eb;
const CGROUP2_MAGIC: FsWord = 0x6367_7270;
const CONVENTION: &str = "/sys/fs/cgroup";

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
        let convention = Path::new(CONVENTION);
        let found = match magic(convention) {
            Some(CGROUP2_MAGIC) => vec![Tree::unified(convention)?],
            _ => trees_below(convention, |path| matches!(magic(path), Some(CGROUP1_MAGIC | CGROUP2_MAGIC)))?,
        };
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
        let trees = if root.join("cgroup.controllers").exists() {
            vec![Tree::unified(root)?]
        } else {
            trees_below(root, |_| true)?
        };
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
        let mut controllers = subtree::listed(cgroup, "cgroup.controllers")?.intersection(self.controllers);
        // Not controllers there but in the core: eBPF programs and cgroup.freeze.
        controllers.insert(Controller::Devices);
        controllers.insert(Controller::Freezer);
        Ok(controllers)
    }

    fn unified(path: &Path) -> Result<Self> {
        let mut tree = Self::open(Version::V2, Controllers::NONE, "unified", path)?;
        let line = tree.root.read_if_there("cgroup.controllers")?.unwrap_or_default();
        tree.controllers = Controllers::from_v2_line(&line);
        Ok(tree)
    }

    fn open(version: Version, controllers: Controllers, label: &str, path: &Path) -> Result<Self> {
        let open = || -> io::Result<_> {
            let text = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
            let fd = open_directory(rustix::fs::CWD.as_fd(), text)?;
            Ok((fd, matches!(magic(path), Some(CGROUP1_MAGIC | CGROUP2_MAGIC))))
        };
        let (fd, real) = open().context(|| format!("open cgroup tree {}", path.display()))?;
        let root = Directory::new(fd, format!("{label}:/"), !real);
        Ok(Self { version, controllers, path: path.to_path_buf(), label: label.to_owned(), root })
    }
}

fn magic(path: &Path) -> Option<FsWord> {
    statfs(path).ok().map(|found| found.f_type)
}

/// The trees in the directories below `root`. The name of a v1 directory lists its controllers (`cpu,cpuacct`); the
/// links that distributions put beside it (`cpu`) are passed over.
fn trees_below(root: &Path, is_tree: impl Fn(&Path) -> bool) -> Result<Vec<Tree>> {
    let mut trees = Vec::new();
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(trees),
        other => other.context(|| format!("list {}", root.display()))?,
    };
    for entry in entries {
        let entry = entry.context(|| format!("list {}", root.display()))?;
        let directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        if !directory || !is_tree(&path) {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let controllers: Controllers = name.split(',').filter_map(Controller::from_v1).collect();
        if path.join("cgroup.controllers").exists() {
            trees.push(Tree::unified(&path)?);
        } else if !controllers.is_empty() {
            trees.push(Tree::open(Version::V1, controllers, &name, &path)?);
        }
    }
    trees.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(trees)
}

/// The trees in a mount table in the format of proc(5) `/proc/pid/mountinfo`. Of several mounts of one tree the first
/// counts.
fn trees_mounted(table: &str) -> Result<Vec<Tree>> {
    let mut trees: Vec<Tree> = Vec::new();
    for (kind, path, options) in table.lines().filter_map(cgroup_mount) {
        let tree = if kind == Version::V2 {
            Tree::unified(&path)?
        } else {
            let names: Vec<&str> = options.split(',').filter(|name| Controller::from_v1(name).is_some()).collect();
            let controllers = names.iter().filter_map(|name| Controller::from_v1(name)).collect();
            Tree::open(Version::V1, controllers, &names.join(","), &path)?
        };
        let known = trees.iter().any(|other| other.version == tree.version && other.controllers == tree.controllers);
        if !known && (kind == Version::V2 || !tree.controllers.is_empty()) {
            trees.push(tree);
        }
    }
    Ok(trees)
}

/// Version, mount point and super block options of a mountinfo line that mounts a cgroup tree.
fn cgroup_mount(line: &str) -> Option<(Version, PathBuf, &str)> {
    let (mount, source) = line.split_once(" - ")?;
    let mut source = source.split(' ');
    let version = match source.next()? {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let options = source.nth(1)?;
    let path = mount.split(' ').nth(4)?.replace("\\040", " ").replace("\\134", "\\");
    Some((version, PathBuf::from(path), options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mount_table_tells_version_place_and_controllers() {
        let line = "34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let (version, path, options) = cgroup_mount(line).unwrap();
        assert_eq!(
            (version, path.to_str(), options),
            (Version::V1, Some("/sys/fs/cgroup/cpu,cpuacct"), "rw,cpu,cpuacct")
        );
        let line = "41 31 0:38 / /mnt/a\\040b rw - cgroup2 none rw";
        let (version, path, _) = cgroup_mount(line).unwrap();
        assert_eq!((version, path.to_str()), (Version::V2, Some("/mnt/a b")));
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
