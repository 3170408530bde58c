//! The container's view of its cgroups: a mount of type `cgroup` becomes what the host's arrangement needs.
//!
//! On v2 that is one mount. On v1 and hybrid hosts it is a tmpfs with one mount per controller tree, each showing the
//! container's own cgroup as its root: through the cgroup namespace where the container has one, else by a bind mount. In a
//! tree that the container has not joined it is shown a cgroup that nobody is in: the namespace would show what its creator
//! is in, which is the whole tree as a rule.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dhow_cgroups::{Cgroup, Hierarchy, View};
use dhow_errdefs::{Class, Result, ResultExt};
use dhow_oci::runtime::{self as oci, Spec};
use dhow_sys::mount::{self, Change};
use rustix::fs::{CWD, statfs};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::cstring;
use super::mounts::{FileSystem, Kind, Mount, Source};
use super::options::Options;

const HOST: &str = "/sys/fs/cgroup";

/// A mounted cgroup tree of the host.
#[derive(Debug, PartialEq, Eq)]
struct Tree {
    mount_point: PathBuf,
    v2: bool,
    /// What selects the tree in mount(2): controllers, or `name=systemd`.
    selectors: Vec<String>,
}

/// The mounts for one mount of type `cgroup` or `cgroup2`.
pub(crate) fn plan(
    mount: &oci::Mount,
    options: &Options,
    spec: &Spec,
    (cgroup, bare): (Option<&Cgroup>, Option<&str>),
) -> Result<Vec<Mount>> {
    let planner = Planner {
        target: mount.destination.to_str().unwrap_or_default().trim_end_matches('/'),
        attributes: options.change.set | mount::NOSUID | mount::NODEV | mount::NOEXEC,
        namespace: has_namespace(spec),
        cgroup,
        joined: cgroup.map(Cgroup::views).unwrap_or_default(),
        bare,
    };
    let found = cgroup.map_or_else(|| trees(Path::new(HOST)), |cgroup| known_trees(cgroup.hierarchy()));
    match found.as_slice() {
        [unified] if unified.v2 => Ok(vec![planner.unified(unified)?]),
        trees => planner.v1(trees),
    }
}

fn has_namespace(spec: &Spec) -> bool {
    spec.linux.iter().flat_map(|linux| &linux.namespaces).any(|namespace| namespace.kind == "cgroup")
}

struct Planner<'a> {
    target: &'a str,
    attributes: u64,
    namespace: bool,
    cgroup: Option<&'a Cgroup>,
    joined: Vec<View<'a>>,
    bare: Option<&'a str>,
}

impl Planner<'_> {
    fn mount(&self, target: &str, kind: Kind) -> Result<Mount> {
        let propagation = if matches!(kind, Kind::Bind { .. }) { mount::PRIVATE } else { 0 };
        Ok(Mount {
            target: cstring(target)?,
            kind,
            // There is nothing below.
            change: Change { set: self.attributes, propagation, ..Change::default() },
            recursive: Change::default(),
            plain_target: false,
            may_be_on_proc: false,
        })
    }

    fn unified(&self, tree: &Tree) -> Result<Mount> {
        let kind = if self.namespace {
            let mut fs = FileSystem::new("cgroup2", Some("cgroup2"), &[], false)?;
            fs.fallback = Some(cstring(self.directory(tree)?.as_os_str())?);
            Kind::New(fs)
        } else {
            bind(&self.directory(tree)?)?
        };
        self.mount(self.target, kind)
    }

    /// A tmpfs, the trees, the links between names of trees that are mounted together.
    fn v1(&self, trees: &[Tree]) -> Result<Vec<Mount>> {
        let mut base =
            self.mount(self.target, Kind::New(FileSystem::new("tmpfs", None, &["mode=755".into()], false)?))?;
        // The directories for the trees are still to be made in it.
        base.change.set &= !mount::RDONLY;
        let mut mounts = vec![base];
        for tree in trees {
            let name = tree.mount_point.file_name().unwrap_or_default().to_string_lossy();
            if let Some(kind) = self.tree(tree)? {
                mounts.push(self.mount(&format!("{}/{name}", self.target), kind)?);
            }
        }
        for (name, link) in links() {
            mounts.push(self.mount(&format!("{}/{name}", self.target), Kind::Link(link))?);
        }
        if self.attributes & mount::RDONLY != 0 {
            mounts.push(self.mount(self.target, Kind::Change)?);
        }
        Ok(mounts)
    }

    /// How the container sees a tree; not at all where it would see others in it.
    fn tree(&self, tree: &Tree) -> Result<Option<Kind>> {
        if let (Some(cgroup), Some(bare), None) = (self.cgroup, self.bare, self.view(tree)) {
            let directory = tree.mount_point.join(bare.trim_start_matches('/'));
            let found = bind(&directory).or_else(|error| match error.class() {
                Class::NotFound => Cgroup::make_bare(cgroup.hierarchy(), bare).and_then(|()| bind(&directory)),
                _ => Err(error),
            });
            return Ok(found.ok());
        }
        if !self.namespace {
            return bind(&self.directory(tree)?).map(Some);
        }
        let mut fs = FileSystem::new("cgroup", Some("cgroup"), &tree.selectors, false)?;
        fs.fallback = Some(cstring(self.directory(tree)?.as_os_str())?);
        Ok(Some(Kind::New(fs)))
    }

    /// The container's cgroup in a tree.
    fn view(&self, tree: &Tree) -> Option<&View<'_>> {
        self.joined.iter().find(|view| view.mount_point == tree.mount_point)
    }

    /// The directory of the container's cgroup in a tree, or of this process' where the container has none there.
    fn directory(&self, tree: &Tree) -> Result<PathBuf> {
        if let Some(view) = self.view(tree) {
            return Ok(view.directory.clone());
        }
        let own = fs::read_to_string("/proc/self/cgroup").context(|| "read /proc/self/cgroup")?;
        Ok(tree.mount_point.join(own_path(&own, tree).trim_start_matches('/')))
    }
}

/// A bind mount of a directory of the host.
fn bind(directory: &Path) -> Result<Kind> {
    let path = cstring(directory.as_os_str())?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let source = match open_tree(CWD, &path, flags) {
        Ok(tree) => Source::Tree(tree),
        // An unprivileged parent; the child has the right in its own namespace.
        Err(Errno::PERM) => Source::Path { path, recursive: false },
        Err(errno) => {
            let error = std::io::Error::from(errno);
            return Err(error).context(|| format!("open cgroup {}", directory.display()));
        }
    };
    Ok(Kind::Bind { source, directory: true, shown: directory.display().to_string() })
}

/// The links in the host's cgroup directory (`cpu` to `cpu,cpuacct`).
fn links() -> Vec<(String, CString)> {
    let entries = fs::read_dir(HOST).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_symlink()))
        .filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?;
            Some((entry.file_name().into_string().ok()?, CString::new(link.as_os_str().as_bytes()).ok()?))
        })
        .collect()
}

/// The line of `/proc/self/cgroup` for a tree: `4:memory:/path`.
fn own_path<'a>(own: &'a str, tree: &Tree) -> &'a str {
    let line = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let same = match tree.v2 {
            true => controllers.is_empty(),
            false => controllers.split(',').any(|name| tree.selectors.iter().any(|own| own == name)),
        };
        same.then_some(path)
    });
    line.unwrap_or("/")
}

/// The trees at the place where every distribution mounts them: one of v2, or one of v1 per directory. The mount table is
/// not asked: it is as long as the host has mounts, hundreds where it has containers.
fn trees(host: &Path) -> Vec<Tree> {
    if magic(host) == Some(CGROUP2) {
        return vec![Tree { mount_point: host.to_path_buf(), v2: true, selectors: Vec::new() }];
    }
    let entries = fs::read_dir(host).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut paths: Vec<PathBuf> = directories.map(|entry| entry.path()).collect();
    paths.sort_unstable();
    paths.retain(|path| magic(path) == Some(CGROUP1));
    paths.into_iter().map(|path| Tree { selectors: selectors(&path), mount_point: path, v2: false }).collect()
}

/// The same of a hierarchy, which has looked already.
fn known_trees(hierarchy: &Hierarchy) -> Vec<Tree> {
    let at = |path: &Path, v2| Tree { mount_point: path.to_path_buf(), v2, selectors: selectors(path) };
    match hierarchy.unified_mount_point() {
        Some(path) if path == Path::new(HOST) => vec![Tree { selectors: Vec::new(), ..at(path, true) }],
        _ => {
            let mut trees: Vec<Tree> = hierarchy.v1_mount_points().map(|path| at(path, false)).collect();
            trees.retain(|tree| tree.mount_point.parent() == Some(Path::new(HOST)));
            trees.sort_unstable_by(|one, other| one.mount_point.cmp(&other.mount_point));
            trees
        }
    }
}

/// `CGROUP_SUPER_MAGIC` and `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP1: u64 = 0x0027_e0eb;
const CGROUP2: u64 = 0x6367_7270;

fn magic(path: &Path) -> Option<u64> {
    statfs(path).ok().map(|fs| fs.f_type as u64)
}

/// What selects the tree of a directory, by the convention for its name: its controllers, or the name of a tree without.
fn selectors(directory: &Path) -> Vec<String> {
    const CONTROLLERS: [&str; 15] = [
        "blkio",
        "cpu",
        "cpuacct",
        "cpuset",
        "debug",
        "devices",
        "freezer",
        "hugetlb",
        "memory",
        "misc",
        "net_cls",
        "net_prio",
        "perf_event",
        "pids",
        "rdma",
    ];
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    if name.split(',').all(|name| CONTROLLERS.contains(&name)) {
        name.split(',').map(str::to_owned).collect()
    } else {
        vec![format!("name={name}")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str) -> Tree {
        let mount_point = Path::new(HOST).join(name);
        Tree { selectors: selectors(&mount_point), mount_point, v2: name == "unified" }
    }

    #[test]
    fn a_directorys_name_tells_its_selectors() {
        assert_eq!(tree("cpu,cpuacct").selectors, ["cpu", "cpuacct"]);
        assert_eq!(tree("rdma").selectors, ["rdma"]);
        assert_eq!(tree("systemd").selectors, ["name=systemd"]);
    }

    #[test]
    fn a_hierarchy_knows_the_trees_that_are_found() {
        let Ok(hierarchy) = Hierarchy::detect() else { return eprintln!("SKIPPED: no cgroups are mounted here") };
        assert_eq!(known_trees(&hierarchy), trees(Path::new(HOST)));
    }

    #[test]
    fn the_own_path_is_found_by_any_controller_of_the_tree() {
        let trees = [tree("cpu,cpuacct"), tree("systemd"), tree("unified")];
        let own = "5:cpuacct,cpu:/a\n3:name=systemd:/b:c\n0::/d\n";
        assert_eq!(own_path(own, &trees[0]), "/a");
        assert_eq!(own_path(own, &trees[1]), "/b:c");
        assert_eq!(own_path(own, &trees[2]), "/d");
        assert_eq!(own_path("", &trees[2]), "/");
    }
}
