//! The container's view of its cgroups: a mount of type `cgroup` becomes what the host's arrangement needs.
//!
//! On v2 that is one mount. On v1 and hybrid hosts it is a tmpfs with one mount per controller tree, each showing the
//! container's own cgroup as its root: through the cgroup namespace where the container has one, else by a bind mount.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dhow_cgroups::Cgroup;
use dhow_errdefs::{Result, ResultExt};
use dhow_oci::runtime::{self as oci, Spec};
use dhow_sys::mount::{self, Change};
use rustix::fs::{CWD, Mode, OFlags, openat};

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
pub(crate) fn plan(mount: &oci::Mount, options: &Options, spec: &Spec, cgroup: Option<&Cgroup>) -> Result<Vec<Mount>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context(|| "read /proc/self/mountinfo")?;
    let own = fs::read_to_string("/proc/self/cgroup").context(|| "read /proc/self/cgroup")?;
    let planner = Planner {
        target: mount.destination.to_str().unwrap_or_default().trim_end_matches('/'),
        attributes: options.change.set | mount::NOSUID | mount::NODEV | mount::NOEXEC,
        namespace: has_namespace(spec),
        own: &own,
        cgroup: cgroup.map(Cgroup::path),
    };
    let trees = trees(&table);
    match trees.iter().find(|tree| tree.v2 && tree.mount_point == Path::new(HOST)) {
        Some(unified) => Ok(vec![planner.unified(unified)?]),
        None => planner.v1(&trees),
    }
}

fn has_namespace(spec: &Spec) -> bool {
    spec.linux.iter().flat_map(|linux| &linux.namespaces).any(|namespace| namespace.kind == "cgroup")
}

struct Planner<'a> {
    target: &'a str,
    attributes: u64,
    namespace: bool,
    /// Contents of `/proc/self/cgroup`.
    own: &'a str,
    cgroup: Option<&'a str>,
}

impl Planner<'_> {
    fn mount(&self, target: &str, kind: Kind) -> Result<Mount> {
        let propagation = if matches!(kind, Kind::Bind { .. }) { mount::PRIVATE } else { 0 };
        Ok(Mount {
            target: cstring(target)?,
            kind,
            change: Change { set: self.attributes, ..Change::default() },
            recursive: Change { propagation, ..Change::default() },
            plain_target: false,
            may_be_on_proc: false,
        })
    }

    fn unified(&self, tree: &Tree) -> Result<Mount> {
        let kind = if self.namespace {
            let mut fs = FileSystem::new("cgroup2", Some("cgroup2"), &[], false)?;
            fs.fallback = Some(cstring(self.directory(tree).as_os_str())?);
            Kind::New(fs)
        } else {
            bind(&self.directory(tree))?
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
        for tree in trees.iter().filter(|tree| !tree.v2 && tree.mount_point.starts_with(HOST)) {
            let name = tree.mount_point.file_name().unwrap_or_default().to_string_lossy();
            mounts.push(self.mount(&format!("{}/{name}", self.target), self.tree(tree)?)?);
        }
        for (name, link) in links() {
            mounts.push(self.mount(&format!("{}/{name}", self.target), Kind::Link(link))?);
        }
        if self.attributes & mount::RDONLY != 0 {
            mounts.push(self.mount(self.target, Kind::Change)?);
        }
        Ok(mounts)
    }

    fn tree(&self, tree: &Tree) -> Result<Kind> {
        if !self.namespace {
            return bind(&self.directory(tree));
        }
        let mut fs = FileSystem::new("cgroup", Some("cgroup"), &tree.selectors, false)?;
        fs.fallback = Some(cstring(self.directory(tree).as_os_str())?);
        Ok(Kind::New(fs))
    }

    /// The directory of the container's cgroup in a tree, or of this process' where the container has none there.
    fn directory(&self, tree: &Tree) -> PathBuf {
        let below = |path: &str| tree.mount_point.join(path.trim_start_matches('/'));
        let joined = self.cgroup.map(below).filter(|directory| directory.is_dir());
        joined.unwrap_or_else(|| below(own_path(self.own, tree)))
    }
}

/// A bind mount of a directory of the host.
fn bind(directory: &Path) -> Result<Kind> {
    let path = cstring(directory.as_os_str())?;
    let file = openat(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(std::io::Error::from)
        .context(|| format!("open cgroup {}", directory.display()))?;
    let source = match mount::clone_tree(&file, false) {
        Ok(tree) => Source::Tree(tree),
        // An unprivileged parent; the child has the right in its own namespace.
        Err(_) => Source::Path { path, recursive: false },
    };
    Ok(Kind::Bind { source, directory: true })
}

/// The links in the host's cgroup directory (`cpu` to `cpu,cpuacct`).
fn links() -> Vec<(String, CString)> {
    let entries = fs::read_dir(HOST).into_iter().flatten().flatten();
    entries
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

/// The cgroup trees in a mountinfo table (proc_pid_mountinfo(5)).
fn trees(table: &str) -> Vec<Tree> {
    table.lines().filter_map(tree).collect()
}

fn tree(line: &str) -> Option<Tree> {
    const NOT_SELECTORS: [&str; 7] =
        ["rw", "ro", "xattr", "clone_children", "cpuset_v2_mode", "noprefix", "favordynmods"];
    let (mount, fs) = line.split_once(" - ")?;
    let mut fs = fs.split(' ');
    let v2 = match fs.next()? {
        "cgroup" => false,
        "cgroup2" => true,
        _ => return None,
    };
    let words = fs.nth(1)?.split(',');
    let selectors = words.filter(|word| !NOT_SELECTORS.contains(word) && !word.starts_with("release_agent="));
    Some(Tree {
        mount_point: PathBuf::from(mount.split(' ').nth(4)?),
        v2,
        selectors: selectors.map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
31 30 0:27 / /sys/fs/cgroup rw,relatime shared:9 - tmpfs tmpfs rw,mode=755
32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:10 - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,release_agent=/x,name=systemd
34 31 0:30 / /sys/fs/cgroup/unified rw shared:12 - cgroup2 cgroup2 rw
";

    #[test]
    fn trees_are_found_with_their_selectors() {
        let trees = trees(HYBRID);
        assert_eq!(trees.len(), 3);
        assert_eq!(trees[0].selectors, ["cpu", "cpuacct"]);
        assert_eq!(trees[1].selectors, ["name=systemd"]);
        assert!(trees[2].v2);
    }

    #[test]
    fn the_own_path_is_found_by_any_controller_of_the_tree() {
        let trees = trees(HYBRID);
        let own = "5:cpuacct,cpu:/a\n3:name=systemd:/b:c\n0::/d\n";
        assert_eq!(own_path(own, &trees[0]), "/a");
        assert_eq!(own_path(own, &trees[1]), "/b:c");
        assert_eq!(own_path(own, &trees[2]), "/d");
        assert_eq!(own_path("", &trees[2]), "/");
    }
}
