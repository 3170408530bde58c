//! The mounts of a container as a list the child can work off without a decision of its own.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::runtime::{self as oci, Spec};
use dhow_sys::mount::{self, Change};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags, openat, statx};
use rustix::io::Errno;

use super::id_map::IdMaps;
use super::options::Options;
use super::{cgroup_mount, cstring};
use crate::create::Create;
use crate::procfs::is_procfs;

/// One mount.
#[derive(Debug)]
pub(crate) struct Mount {
    /// Where, inside the root; may be written with or without a leading slash.
    pub(crate) target: CString,
    pub(crate) kind: Kind,
    /// Attributes of the mount alone.
    pub(crate) change: Change,
    /// Attributes and propagation of the mount and all below.
    pub(crate) recursive: Change,
    /// The target must be a directory reached without any link: what the rest of the set-up relies on.
    pub(crate) plain_target: bool,
    /// The target may be inside the container's /proc.
    pub(crate) may_be_on_proc: bool,
}

/// What is mounted.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Files of the host.
    Bind {
        source: Source,
        directory: bool,
        /// The source as errors show it.
        shown: String,
    },
    /// A new file system.
    New(FileSystem),
    /// New attributes for what is mounted there.
    Change,
    /// Not a mount but a link that belongs to one (v1 controllers that share a hierarchy).
    Link(CString),
}

/// Where a bind mount's files come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A detached copy of the mount, made by the parent, who may see more than the child.
    Tree(OwnedFd),
    /// A path that the child opens, where the parent may not clone mounts.
    Path { path: CString, recursive: bool },
}

/// A file system to be mounted.
#[derive(Debug)]
pub(crate) struct FileSystem {
    pub(crate) name: CString,
    pub(crate) parameters: Vec<Parameter>,
    /// All parameters in one string, for mount(2), where one is too long for fsconfig(2).
    pub(crate) classic: Option<CString>,
    pub(crate) source: CString,
    /// Copy what the image has at the target.
    pub(crate) copy_up: bool,
    /// Directories made in it before it is to be seen: for what is mounted there next.
    pub(crate) places: Vec<CString>,
    /// The host's directory to bind where the kernel refuses a new one (in a user namespace that does not own the
    /// network, process or cgroup namespace).
    pub(crate) fallback: Option<CString>,
}

/// One parameter of a file system.
#[derive(Debug)]
pub(crate) enum Parameter {
    Flag(CString),
    Value(CString, CString),
}

/// fsconfig(2) takes no longer value.
const LONGEST_VALUE: usize = 255;

/// What may be mounted inside /proc: files that tools for resource views (lxcfs) replace, none that the set-up writes.
const MOUNTABLE_IN_PROC: [&str; 12] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
    "/proc/net/dev",
    "/proc/version",
];

/// The list for a whole spec.
pub(crate) fn plan(request: &Create<'_>, has_user_namespace: bool) -> Result<Vec<Mount>> {
    let Create { spec, bundle, cgroup, bare_cgroup, .. } = *request;
    let default = default_propagation(spec);
    let container_maps = if has_user_namespace { IdMaps::of(spec).ok() } else { None };
    let label = spec.linux.as_ref().and_then(|linux| linux.mount_label.as_deref()).filter(|label| !label.is_empty());
    let mut mounts = Vec::with_capacity(spec.mounts.len());
    for mount in &spec.mounts {
        let options = Options::parse(&mount.options);
        let container_maps = container_maps.as_ref();
        let planner = Planner { mount, options, bundle, default, container_maps, label };
        if planner.is_cgroup() {
            mounts.extend(cgroup_mount::plan(mount, &planner.options, spec, (cgroup, bare_cgroup))?);
        } else {
            mounts.push(planner.plan()?);
        }
    }
    make_places(&mut mounts);
    Ok(mounts)
}

/// Has the places of mounts in a fresh tmpfs made with it: nothing is looked for there.
fn make_places(mounts: &mut [Mount]) {
    let targets: Vec<String> = mounts.iter().map(|mount| lexically_clean(&mount.target.to_string_lossy())).collect();
    for (index, target) in targets.iter().enumerate() {
        let is_directory = matches!(mounts[index].kind, Kind::New(_) | Kind::Bind { directory: true, .. });
        let Some((parent, name)) = target.rsplit_once('/').filter(|_| is_directory) else { continue };
        let Some(below) = targets[..index].iter().rposition(|earlier| earlier == parent) else { continue };
        let read_only = mounts[below].change.set & mount::RDONLY != 0;
        if let Kind::New(fs) = &mut mounts[below].kind
            && fs.name.as_c_str() == c"tmpfs"
            && !(read_only || fs.copy_up || fs.classic.is_some())
            && let Ok(place) = CString::new(name)
            && !fs.places.contains(&place)
        {
            fs.places.push(place);
        }
    }
}

/// What bind mounts get when their options say nothing: nothing travels, unless the root as a whole lets it in.
pub(crate) fn default_propagation(spec: &Spec) -> u64 {
    let word = spec.linux.as_ref().and_then(|linux| linux.rootfs_propagation.as_deref()).unwrap_or_default();
    match super::options::propagation(word) {
        Some((mount::SHARED | mount::SLAVE, _)) => mount::SLAVE,
        _ => mount::PRIVATE,
    }
}

struct Planner<'a> {
    mount: &'a oci::Mount,
    options: Options,
    bundle: &'a Path,
    default: u64,
    container_maps: Option<&'a IdMaps>,
    /// SELinux label of what is mounted.
    label: Option<&'a str>,
}

impl Planner<'_> {
    fn fs_type(&self) -> &str {
        self.mount.kind.as_deref().unwrap_or_default()
    }

    fn is_bind(&self) -> bool {
        self.options.bind || self.fs_type() == "bind"
    }

    fn is_cgroup(&self) -> bool {
        !self.is_bind() && matches!(self.fs_type(), "cgroup" | "cgroup2")
    }

    fn plan(&self) -> Result<Mount> {
        if lexically_clean(&self.mount.destination.to_string_lossy()) == "/" && !self.options.remount {
            return Err(Error::invalid("mount /: the root file system cannot be covered"));
        }
        let may_be_on_proc = self.check_proc()?;
        let kind = if self.options.remount {
            Kind::Change
        } else if self.is_bind() {
            self.bind()?
        } else {
            Kind::New(self.file_system()?)
        };
        let mut recursive = self.options.recursive;
        let mut change = self.options.change;
        match self.options.propagation {
            Some((propagation, true)) => recursive.propagation = propagation,
            Some((propagation, false)) => {
                change.propagation = propagation;
                if matches!(kind, Kind::Bind { .. }) && propagation != mount::SHARED {
                    // What is mounted below is not meant, but must not go on sharing with the host either.
                    recursive.propagation = mount::SLAVE;
                }
            }
            // A detached copy of a shared mount would go on sharing with the host.
            None if matches!(kind, Kind::Bind { .. }) => recursive.propagation = self.default,
            None => {}
        }
        let plain_target = matches!(self.fs_type(), "proc" | "sysfs") && matches!(kind, Kind::New(_));
        Ok(Mount {
            target: cstring(self.mount.destination.as_os_str())?,
            kind,
            change,
            recursive,
            plain_target,
            may_be_on_proc,
        })
    }

    /// Refuses what would put something in front of the files in /proc that the set-up or the container relies on
    /// (CVE-2019-16884, CVE-2019-19921); whether the target is allowed to be on procfs.
    fn check_proc(&self) -> Result<bool> {
        let target = lexically_clean(&self.mount.destination.to_string_lossy());
        if target == "/proc" {
            let real = self.fs_type() == "proc" || (self.is_bind() && self.source_is_procfs());
            return if real {
                Ok(true)
            } else {
                Err(Error::invalid(format!("mount {target}: only a proc file system may be mounted there")))
            };
        }
        if !target.starts_with("/proc/") {
            return Ok(false);
        }
        if MOUNTABLE_IN_PROC.contains(&target.as_str()) {
            return Ok(true);
        }
        Err(Error::invalid(format!("mount {target}: it is inside /proc")))
    }

    fn source_is_procfs(&self) -> bool {
        self.open_source().is_ok_and(is_procfs)
    }

    /// The source's path; relative ones start in the bundle.
    fn source(&self) -> PathBuf {
        self.bundle.join(self.mount.source.as_deref().unwrap_or(Path::new("")))
    }

    fn bind(&self) -> Result<Kind> {
        let path = self.source();
        let shown = path.display().to_string();
        // Opened once: what was checked is what is mounted.
        let file = self.open_source().map_err(|error| self.not_opened(&shown, error))?;
        // What kind of file it is does not change: its file server is not asked, as a dead one would not answer.
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let stat = statx(&file, "", flags, StatxFlags::TYPE);
        let stat = stat.map_err(std::io::Error::from).context(|| format!("stat {shown}"))?;
        let directory = FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory;
        let recursive = self.options.recursive_bind;
        let tree = match mount::clone_tree(&file, recursive) {
            Ok(tree) => tree,
            Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) && self.may_be_opened_later() => {
                let source = Source::Path { path: cstring(path.as_os_str())?, recursive };
                return Ok(Kind::Bind { source, directory, shown });
            }
            Err(error) => return Err(error).context(|| format!("clone the mount at {shown}")),
        };
        if let Some((maps, recursive)) = self.id_map() {
            maps?.apply(&tree, recursive, &shown)?;
        }
        Ok(Kind::Bind { source: Source::Tree(tree), directory, shown })
    }

    /// Names what is missing: the source, or the part of it that was asked for.
    fn not_opened(&self, shown: &str, error: Errno) -> Error {
        let target = self.mount.destination.display();
        let cause = std::io::Error::from(error);
        let class = Class::from(cause.kind());
        match &self.options.subpath {
            // Where an image or a volume is kept is nobody's business who asks for a part of it.
            Some(subpath) if error == Errno::XDEV => {
                let text = "path concatenation escapes the base directory";
                Error::invalid(format!("mount {target}: subpath {subpath:?}: {text}"))
            }
            Some(subpath) if Path::new(shown).exists() => {
                Error::new(class, format!("mount {target}: cannot access path {subpath:?}")).with_cause(cause)
            }
            _ => Error::new(class, format!("bind source {shown}")).with_cause(cause),
        }
    }

    /// The child may open the path itself: nothing is lost when it is looked up once more.
    fn may_be_opened_later(&self) -> bool {
        self.id_map().is_none() && self.options.subpath.is_none()
    }

    fn open_source(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let source = openat(CWD, self.source(), flags, Mode::empty())?;
        match &self.options.subpath {
            None => Ok(source),
            // Containers write there, and could have put a link to the host's root in the way.
            Some(subpath) => dhow_sys::beneath::find(source, subpath),
        }
    }

    /// The maps of an id-mapped mount (its own, else the container's), and whether they hold for all below.
    fn id_map(&self) -> Option<(Result<IdMaps>, bool)> {
        let own = !self.mount.uid_mappings.is_empty() || !self.mount.gid_mappings.is_empty();
        if !own && self.options.id_map.is_none() {
            return None;
        }
        let maps = match (own, self.container_maps) {
            (true, _) => IdMaps::new(self.mount.uid_mappings.clone(), self.mount.gid_mappings.clone()),
            (false, Some(maps)) => Ok(maps.clone()),
            (false, None) => Err(Error::invalid(format!(
                "mount {}: idmap without uidMappings needs a user namespace",
                self.mount.destination.display()
            ))),
        };
        Some((maps, self.options.id_map == Some(true)))
    }

    fn file_system(&self) -> Result<FileSystem> {
        if self.fs_type().is_empty() {
            return Err(Error::invalid(format!("mount {} has no type", self.mount.destination.display())));
        }
        let mut data = self.options.data.clone();
        // The only file systems that carry labels and are made for the container alone.
        if let Some(label) = self.label.filter(|_| matches!(self.fs_type(), "tmpfs" | "devpts" | "mqueue")) {
            data.push(format!("context={label}"));
        }
        FileSystem::new(
            self.fs_type(),
            self.mount.source.as_deref().and_then(Path::to_str),
            &data,
            self.options.copy_up,
        )
    }
}

impl FileSystem {
    /// A file system with parameters written as `key=value` or `flag`.
    pub(crate) fn new(name: &str, source: Option<&str>, data: &[String], copy_up: bool) -> Result<Self> {
        let fallback = match name {
            "sysfs" => Some(c"/sys"),
            "proc" => Some(c"/proc"),
            "mqueue" => Some(c"/dev/mqueue"),
            _ => None,
        };
        let parameters = data.iter().map(|word| Parameter::parse(word)).collect::<Result<_>>()?;
        let too_long = data.iter().any(|word| word.len() > LONGEST_VALUE);
        Ok(Self {
            name: cstring(name)?,
            parameters,
            classic: if too_long { Some(cstring(data.join(","))?) } else { None },
            source: cstring(source.filter(|source| !source.is_empty()).unwrap_or(name))?,
            copy_up: copy_up && name == "tmpfs",
            places: Vec::new(),
            fallback: fallback.map(ToOwned::to_owned),
        })
    }
}

impl Parameter {
    fn parse(word: &str) -> Result<Self> {
        Ok(match word.split_once('=') {
            Some((key, value)) => Self::Value(cstring(key)?, cstring(value)?),
            None => Self::Flag(cstring(word)?),
        })
    }
}

/// The path without `.`, `..` and doubled slashes, as if it had no links: for comparing with known names only.
pub(crate) fn lexically_clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned_spec(spec: &Spec) -> Result<Vec<Mount>> {
        let root = Path::new("/");
        plan(&Create::new("x", spec, root, crate::Rootfs::Path(root)), false)
    }

    fn spec(destination: &str, kind: &str, source: &str, options: &[&str]) -> Spec {
        let mount = oci::Mount {
            destination: destination.into(),
            kind: Some(kind.into()),
            source: Some(source.into()),
            options: options.iter().map(|word| (*word).to_owned()).collect(),
            ..Default::default()
        };
        Spec { mounts: vec![mount], ..Default::default() }
    }

    fn planned(destination: &str, kind: &str, source: &str, options: &[&str]) -> Result<Vec<Mount>> {
        planned_spec(&spec(destination, kind, source, options))
    }

    #[test]
    fn nothing_but_proc_is_mounted_on_proc() {
        for target in ["/proc", "/proc/", "//x/../proc", "proc", "/proc/self/attr", "/proc/sys/kernel"] {
            let error = planned(target, "tmpfs", "tmpfs", &[]).unwrap_err();
            assert_eq!(error.class(), Class::InvalidArgument, "{target}");
        }
        assert!(planned("/proc", "bind", "/etc", &["bind"]).is_err());
        assert!(planned("/proc", "proc", "proc", &[]).is_ok());
        assert!(planned("/process", "tmpfs", "tmpfs", &[]).is_ok());
    }

    #[test]
    fn nothing_is_mounted_over_the_root() {
        for target in ["/", "", "//", "/x/.."] {
            assert!(planned(target, "tmpfs", "tmpfs", &[]).is_err(), "{target}");
        }
    }

    #[test]
    fn a_long_parameter_goes_the_classic_way() {
        let long = format!("lowerdir={}", "x".repeat(300));
        let mounts = planned("/m", "overlay", "overlay", &["ro", &long]).unwrap();
        let Kind::New(fs) = &mounts[0].kind else { panic!() };
        assert_eq!(fs.classic.as_ref().unwrap().to_str().unwrap(), long);
        assert_eq!(mounts[0].change.set, mount::RDONLY);
    }

    #[test]
    fn places_are_made_in_a_fresh_tmpfs_and_nowhere_else() {
        let mount = |target: &str, kind: &str, options: &[&str]| spec(target, kind, kind, options).mounts.remove(0);
        let mounts = vec![
            mount("/dev", "tmpfs", &["nosuid"]),
            mount("/dev/pts", "devpts", &[]),
            mount("//dev/./shm/", "tmpfs", &["tmpcopyup"]),
            mount("/dev/shm/deep", "tmpfs", &["ro"]),
            mount("/dev/shm/deep/er", "tmpfs", &[]),
            mount("/dev/pts/", "tmpfs", &[]),
            mount("/sys", "sysfs", &[]),
            mount("/sys/x", "tmpfs", &[]),
        ];
        let planned = planned_spec(&Spec { mounts, ..Spec::default() }).unwrap();
        let places = |mount: &Mount| match &mount.kind {
            Kind::New(fs) => fs.places.iter().map(|place| place.to_string_lossy().into_owned()).collect(),
            _ => Vec::new(),
        };
        assert_eq!(places(&planned[0]), ["pts", "shm"]);
        assert!(planned[1..].iter().all(|mount| places(mount).is_empty()), "{planned:?}");
    }

    #[test]
    fn a_missing_source_is_not_found() {
        let error = planned("/m", "bind", "/no/such/file", &["bind"]).unwrap_err();
        assert_eq!(error.class(), Class::NotFound);
        assert!(error.to_string().starts_with("bind source /no/such/file"), "{error}");
    }

    #[test]
    fn what_lies_below_a_bind_of_its_own_propagation_does_not_reach_the_host() {
        for (word, own, below) in [
            ("private", mount::PRIVATE, mount::SLAVE),
            ("slave", mount::SLAVE, mount::SLAVE),
            ("shared", mount::SHARED, 0),
        ] {
            let mounts = planned("/m", "bind", "/etc", &["rbind", word]).unwrap();
            assert_eq!((mounts[0].change.propagation, mounts[0].recursive.propagation), (own, below), "{word}");
        }
    }

    #[test]
    fn binds_are_private_unless_the_root_lets_mounts_in() {
        assert_eq!(planned("/m", "bind", "/etc", &["bind"]).unwrap()[0].recursive.propagation, mount::PRIVATE);
        let mut spec = spec("/m", "bind", "/etc", &["rbind"]);
        spec.linux = Some(oci::Linux { rootfs_propagation: Some("rshared".into()), ..Default::default() });
        let mounts = planned_spec(&spec).unwrap();
        assert_eq!(mounts[0].recursive.propagation, mount::SLAVE);
    }
}
