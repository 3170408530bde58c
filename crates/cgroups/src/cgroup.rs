//! One container's cgroup: the same path in every tree that it needs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dhow_errdefs::{Error, Result, ResultExt};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::file::{Directory, failure, write_all};
use crate::hierarchy::{Hierarchy, Tree, Version};
use crate::{Controller, Controllers, cpuset, path, pids, removal, subtree};

/// A cgroup path in every tree where it is needed, with the descriptors kept open.
///
/// A bare container is in few trees: the v2 tree, where the host has one, and the v1 trees for memory (its OOM kills
/// must be seen) and devices; where there is no v2 tree also those for freezing, CPU accounting and pids. A limit that
/// needs another v1 tree makes the cgroup join it, with the processes it has by then.
///
/// Dropping the value removes nothing; see [`Cgroup::delete`].
#[derive(Debug)]
pub struct Cgroup {
    hierarchy: Hierarchy,
    path: String,
    /// By the tree's number in the hierarchy; empty where the cgroup has not joined.
    members: Vec<OnceLock<Member>>,
}

/// One tree, as a container may be shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// Where the host has the tree mounted, as in `/sys/fs/cgroup/cpu,cpuacct`.
    pub mount_point: &'a Path,
    /// The cgroup's directory in it.
    pub directory: PathBuf,
    /// The tree's controllers: on v1 what mount(2) selects it by.
    pub controllers: Controllers,
    /// Whether it is of version 2.
    pub v2: bool,
}

/// The cgroup in one tree.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) directory: Directory,
    pub(crate) version: Version,
    /// What works in it: on v2 only what was delegated down to it.
    pub(crate) controllers: Controllers,
    procs: OwnedFd,
    /// v1: the file that takes single threads.
    tasks: Option<OwnedFd>,
}

impl Cgroup {
    /// Makes the cgroup, and its parents where they are missing. What an earlier owner of the path left there is
    /// removed first if no process is in it.
    ///
    /// # Errors
    /// `AlreadyExists` when processes are in it, `InvalidArgument` for a path that is the root or leaves it,
    /// `PermissionDenied` where this process may not make cgroups.
    pub fn create(hierarchy: &Hierarchy, path: &str) -> Result<Self> {
        let cgroup = Self::unjoined(hierarchy, path)?;
        for tree in base_trees(hierarchy) {
            if let Err(error) = cgroup.enter_fresh(tree) {
                // Undo, and tell the first error, not what undoing met.
                let _ = cgroup.delete();
                return Err(error);
            }
        }
        Ok(cgroup)
    }

    /// Opens a cgroup that is there, in every tree that has it.
    ///
    /// # Errors
    /// `NotFound` when no tree has it.
    pub fn open(hierarchy: &Hierarchy, path: &str) -> Result<Self> {
        let cgroup = Self::unjoined(hierarchy, path)?;
        for (index, tree) in hierarchy.inner.trees.iter().enumerate() {
            match tree.root.child(cgroup.relative()) {
                Ok(directory) => {
                    let controllers = tree.working_in(&directory)?;
                    cgroup.enter(index, directory, controllers)?;
                }
                Err(error) if error.class() == dhow_errdefs::Class::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if cgroup.members().next().is_none() {
            return Err(Error::not_found(format!("cgroup {} does not exist", cgroup.path)));
        }
        Ok(cgroup)
    }

    pub(crate) fn unjoined(hierarchy: &Hierarchy, path: &str) -> Result<Self> {
        let members = hierarchy.inner.trees.iter().map(|_| OnceLock::new()).collect();
        Ok(Self { hierarchy: hierarchy.clone(), path: path::normalise(path)?, members })
    }

    /// The path, as in `/dhow/4f5e`, the same in every tree.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The trees this cgroup lives in.
    #[must_use]
    pub fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// The path relative to a tree's root.
    pub(crate) fn relative(&self) -> &str {
        &self.path[1..]
    }

    /// The v1 controllers joined so far and, on v2, those that are on in the cgroup.
    #[must_use]
    pub fn joined(&self) -> Controllers {
        self.members().flat_map(|member| member.controllers.iter()).collect()
    }

    /// What a container may be shown of its cgroups, in the order of the host's directory: the trees it has joined. In
    /// another tree its cgroup is whatever its creator is in, so that its mount would show the host's.
    #[must_use]
    pub fn views(&self) -> Vec<View<'_>> {
        let trees = self.hierarchy.inner.trees.iter().zip(&self.members);
        let joined = trees.filter(|(_, member)| member.get().is_some());
        joined.map(|(tree, _)| self.view(tree)).collect()
    }

    fn view<'a>(&self, tree: &'a Tree) -> View<'a> {
        View {
            mount_point: &tree.path,
            directory: tree.path.join(self.relative()),
            controllers: tree.controllers,
            v2: tree.version == Version::V2,
        }
    }

    /// Joins the trees of every controller the host has, as a container needs it that makes cgroups of its own.
    ///
    /// # Errors
    /// Those of [`Cgroup::create`].
    pub fn join_all(&self) -> Result<()> {
        (0..self.members.len()).try_for_each(|tree| self.join_tree(tree).map(drop))
    }

    /// The cgroup in the tree of a controller, if it is there and the controller works in it.
    pub(crate) fn member(&self, controller: Controller) -> Option<&Member> {
        self.members[self.hierarchy.tree_of(controller)?].get().filter(|member| member.controllers.contains(controller))
    }

    /// The same, and joins the tree if need be. `None` when the host, or on v2 the cgroup, has no such controller.
    pub(crate) fn join(&self, controller: Controller) -> Result<Option<&Member>> {
        if let Some(tree) = self.hierarchy.tree_of(controller) {
            self.join_tree(tree)?;
        }
        Ok(self.member(controller))
    }

    /// Every tree the cgroup is in.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter_map(OnceLock::get)
    }

    pub(crate) fn v2(&self) -> Option<&Member> {
        self.members().find(|member| member.version == Version::V2)
    }

    /// The tree that tells best which processes there are: v2 where it is, for its events and `cgroup.kill`.
    pub(crate) fn main(&self) -> Option<&Member> {
        self.v2().or_else(|| self.members().next())
    }

    fn join_tree(&self, index: usize) -> Result<&Member> {
        if let Some(member) = self.members[index].get() {
            return Ok(member);
        }
        let earlier = self.pids()?;
        let member = self.enter_fresh(index)?;
        if !earlier.is_empty() {
            self.bring_along(member)?;
        }
        Ok(member)
    }

    /// Makes the directory in one tree, fresh, and enters it. Whoever finds a parent empty may take it away at any moment
    /// ([`Cgroup::delete_empty`]): then it is made once more.
    fn enter_fresh(&self, index: usize) -> Result<&Member> {
        let mut tries = 0..TRIES;
        loop {
            match self.try_to_enter_fresh(index) {
                Err(error) if tries.next().is_some() && is_taken_away(&error) => {}
                entered => return entered,
            }
        }
    }

    fn try_to_enter_fresh(&self, index: usize) -> Result<&Member> {
        let tree = self.hierarchy.tree(index);
        let (parent, name) = subtree::open_parent(tree, self.relative())?;
        if !parent.make(name)? {
            let left = parent.child(name)?;
            if !pids::recursive(&left)?.is_empty() {
                return Err(Error::already_exists(format!("cgroup {} exists and has processes", left.name())));
            }
            if !left.is_plain() {
                removal::remove_tree(&parent, name)
                    .map_err(|errno| failure(errno, format!("remove the old cgroup {}", left.name())))?;
                parent.make(name)?;
            }
        }
        let directory = parent.child(name)?;
        if tree.controllers.contains(Controller::CpuSet) && tree.version == Version::V1 {
            cpuset::inherit(&parent, &directory)?;
        }
        let mut controllers = tree.working_in(&directory)?;
        if !tree.controllers.difference(controllers).is_empty() {
            subtree::enable(tree, self.relative())?;
            controllers = tree.working_in(&directory)?;
        }
        self.enter(index, directory, controllers)
    }

    fn enter(&self, index: usize, directory: Directory, controllers: Controllers) -> Result<&Member> {
        let procs = directory.open("cgroup.procs", OFlags::WRONLY)?;
        let procs =
            procs.ok_or_else(|| Error::not_found(format!("cgroup {} has no cgroup.procs", directory.name())))?;
        let version = self.hierarchy.tree(index).version;
        let tasks = if version == Version::V1 { directory.open("tasks", OFlags::WRONLY)? } else { None };
        let member = Member { directory, version, controllers, procs, tasks };
        // A second thread may have been faster; both opened the same directory.
        Ok(self.members[index].get_or_init(|| member))
    }

    /// Moves the processes the cgroup has in its main tree into a tree it joined late. A process that forks meanwhile
    /// leaves its child behind, so it is repeated until nobody new is found.
    fn bring_along(&self, late: &Member) -> Result<()> {
        let Some(main) = self.main() else { return Ok(()) };
        let mut moved = std::collections::HashSet::new();
        loop {
            let mut found = pids::recursive(&main.directory)?;
            found.retain(|pid| moved.insert(*pid));
            if found.is_empty() {
                return Ok(());
            }
            found.into_iter().try_for_each(|pid| late.add(pid))?;
        }
    }

    /// Moves a process, with all its threads, into the cgroup.
    ///
    /// # Errors
    /// `NotFound` when there is no such process, `PermissionDenied` when this process may not move it.
    pub fn add(&self, pid: i32) -> Result<()> {
        for member in self.members() {
            member.write_pid(pid).map_err(|errno| {
                let error = failure(errno, format!("move process {pid} into cgroup {}", member.directory.name()));
                if errno == Errno::SRCH { error.with_class(dhow_errdefs::Class::NotFound) } else { error }
            })?;
        }
        Ok(())
    }

    /// The directory in the v2 tree, for `clone3(2)` with `CLONE_INTO_CGROUP`: the child is born in it.
    #[must_use]
    pub fn v2_fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2().filter(|member| !member.directory.is_plain()).map(|member| member.directory.as_fd())
    }

    /// The open `tasks` files of the v1 trees: a child with one thread writes `0` into each to move itself in. No path is
    /// walked and nothing is allocated, so that a child may do it between clone and exec.
    ///
    /// `tasks` and not `cgroup.procs`: moving a whole process shuts out every fork of the host first, for which the
    /// kernel may wait for a grace period of its RCU (measured: 6 to 13 ms). A thread that moves itself needs no such
    /// lock (Linux 5.5, `cgroup_procs_write_start`).
    #[must_use]
    pub fn tasks_fds(&self) -> Vec<BorrowedFd<'_>> {
        let v1 = self.members().filter(|member| member.version == Version::V1);
        v1.map(|member| member.tasks.as_ref().unwrap_or(&member.procs).as_fd()).collect()
    }

    /// The open `cgroup.procs` of the v2 tree, for kernels without `CLONE_INTO_CGROUP` (before 5.7).
    #[must_use]
    pub fn v2_procs_fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2().map(|member| member.procs.as_fd())
    }

    /// The processes in the cgroup and in the cgroups below it, in no order.
    ///
    /// # Errors
    /// What reading `cgroup.procs` gives; a cgroup that has gone has no processes.
    pub fn pids(&self) -> Result<Vec<i32>> {
        self.main().map_or(Ok(Vec::new()), |member| pids::recursive(&member.directory))
    }

    /// Whether no process is in it or below it. A zombie does not count.
    ///
    /// # Errors
    /// Those of [`Cgroup::pids`].
    pub fn is_empty(&self) -> Result<bool> {
        if let Some(member) = self.v2() {
            let events = member.directory.read_keyed("cgroup.events", "populated");
            if let Some(populated) = events.or_else(gone_is_none).context(|| "look for processes")? {
                return Ok(populated == 0);
            }
        }
        Ok(self.pids()?.is_empty())
    }
}

/// How often a cgroup is made again whose parent was taken away meanwhile. An engine does that once, at its end; many that
/// come and go at once must not be enough to lose a start either. A try takes microseconds.
const TRIES: usize = 1_000;

/// What is in a directory that was removed is not there; what is written to its files goes to no device.
fn is_taken_away(error: &Error) -> bool {
    let numbers = [Errno::NOENT, Errno::NODEV].map(|errno| Some(errno.raw_os_error()));
    error.class() == dhow_errdefs::Class::NotFound || numbers.contains(&error.os_error())
}

/// A cgroup that was removed meanwhile answers nothing, and that is no failure.
pub(crate) fn gone_is_none<T>(error: Error) -> Result<Option<T>> {
    if error.class() == dhow_errdefs::Class::NotFound { Ok(None) } else { Err(error) }
}

impl Member {
    /// Moves a process in; one that has ended meanwhile is no failure.
    fn add(&self, pid: i32) -> Result<()> {
        match self.write_pid(pid) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(failure(errno, format!("move process {pid} into cgroup {}", self.directory.name()))),
        }
    }

    fn write_pid(&self, pid: i32) -> Result<(), Errno> {
        write_all(self.procs.as_fd(), &pid.to_string())
    }
}

/// The trees every container is in; see [`Cgroup`].
fn base_trees(hierarchy: &Hierarchy) -> Vec<usize> {
    let v2 = hierarchy.v2_tree();
    let mut wanted = vec![Controller::Memory, Controller::Devices];
    if v2.is_none() {
        wanted.extend([Controller::Freezer, Controller::CpuAcct, Controller::Pids]);
    }
    let mut trees: Vec<usize> = wanted.into_iter().filter_map(|controller| hierarchy.tree_of(controller)).collect();
    trees.extend(v2);
    trees.sort_unstable();
    trees.dedup();
    trees
}
