//! Everything about a container that can be known before its process exists: strings, descriptors, lists.
//!
//! The parent makes the plan, where it may allocate and fail with a readable error. The child works it off; a failure
//! comes back as a [`Failure`](crate::report::Failure), which [`Plan::explain`] turns into words.

pub(crate) mod cgroup_mount;
pub(crate) mod devices;
pub(crate) mod explain;
pub(crate) mod hooks;
pub(crate) mod id_map;
pub(crate) mod label;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod options;
mod overlay_helper;
pub(crate) mod process;
pub(crate) mod rootfs;

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use dhow_cgroups::Cgroup;
use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{ConsoleSize, Linux, LinuxPersonality, Spec};

use crate::create::{Create, Stdio};
use crate::procfs::Proc;
use crate::seccomp;
use crate::target::Target;

/// The plan of a child: a container's first process, or one that enters a container.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) world: World<'a>,
    pub(crate) process: process::Process,
    pub(crate) streams: Streams,
    pub(crate) seccomp: Option<Filter<'a>>,
    pub(crate) proc: Proc,
    /// Opened `tasks` files, one per v1 tree, which the child writes itself into.
    pub(crate) cgroup: Vec<BorrowedFd<'a>>,
    /// An ordinary user's child enters the pid namespace of a container itself, after its user namespace.
    pub(crate) pid_by_child: bool,
    /// Descriptors from 3 up to this one are the program's.
    pub(crate) first_closed: u32,
    /// The parent has something to do before the child may begin: id maps, limits that only it may raise.
    pub(crate) parent_first: bool,
    /// The numbers of all descriptors that the child needs, sorted; it closes every other.
    pub(crate) kept: Vec<u32>,
    /// Those among them that are trees to be attached, sorted: nothing of the container may reach them afterwards.
    pub(crate) trees: Vec<u32>,
    /// For explaining what fails at the very end.
    pub(crate) words: explain::Words,
    pub(crate) warnings: Vec<String>,
}

/// Where the child lives.
#[derive(Debug)]
pub(crate) enum World<'a> {
    /// In namespaces of its own.
    New(Box<Container>),
    /// In those of a running container.
    Entered(&'a Target),
}

/// The world of a new container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) namespaces: namespaces::Namespaces,
    pub(crate) hostname: Option<Vec<u8>>,
    pub(crate) domainname: Option<Vec<u8>>,
    pub(crate) root: rootfs::Root,
    pub(crate) mounts: Vec<mounts::Mount>,
    /// `None`: /dev is the host's and stays as it is.
    pub(crate) devices: Option<Vec<devices::Device>>,
    pub(crate) sysctls: Vec<(CString, Vec<u8>)>,
    pub(crate) masked: Vec<CString>,
    pub(crate) readonly: Vec<CString>,
    pub(crate) hooks: hooks::Hooks,
    /// A listening socket for the word to start, instead of the parent's line.
    pub(crate) gate: Option<OwnedFd>,
}

/// Standard streams.
#[derive(Debug)]
pub(crate) enum Streams {
    Inherited,
    Given([OwnedFd; 3]),
    Terminal(Option<ConsoleSize>),
}

/// A seccomp filter.
#[derive(Debug)]
pub(crate) enum Filter<'a> {
    Borrowed(&'a seccomp::Program),
    Compiled(Box<seccomp::Program>),
}

impl Filter<'_> {
    pub(crate) fn program(&self) -> &seccomp::Program {
        match self {
            Self::Borrowed(program) => program,
            Self::Compiled(program) => program,
        }
    }
}

impl<'a> Plan<'a> {
    /// The plan of a container.
    pub(crate) fn container(request: &mut Create<'a>) -> Result<Self> {
        let spec = request.spec;
        let wanted = spec.process.as_ref().ok_or_else(|| Error::invalid("the spec has no process"))?;
        let mut warnings = Vec::new();
        let network = request.network.take();
        let container = Container::plan(request, network)?;
        let own_user = container.namespaces.has_user();
        let has_maps = container.namespaces.id_maps.is_some();
        let mut process = process::Process::plan(wanted, own_user, &mut warnings)?;
        process.personality = personality(spec)?;
        process.new_keyring = request.new_keyring;
        process.signals_blocked = request.signals_blocked;
        let plan = Self {
            words: explain::Words::of(wanted, spec.hooks.as_ref(), container.hooks.said.clone())?,
            parent_first: has_maps || !process.limits.raised.is_empty(),
            world: World::New(Box::new(container)),
            process,
            streams: Streams::plan(&mut request.stdio, wanted.console_size.clone())?,
            seccomp: filter(request.seccomp, spec)?,
            proc: Proc::open()?,
            cgroup: request.cgroup.map(Cgroup::tasks_fds).unwrap_or_default(),
            pid_by_child: false,
            first_closed: 3 + request.preserve_fds,
            kept: Vec::new(),
            trees: Vec::new(),
            warnings,
        };
        Ok(plan.with_kept())
    }

    /// The plan of a process in a running container.
    pub(crate) fn entering(request: &mut crate::exec::Exec<'a>) -> Result<Self> {
        let mut warnings = Vec::new();
        let own_user = request.target.namespaces().contains(rustix::thread::ThreadNameSpaceType::USER);
        let process = process::Process::plan(request.process, own_user, &mut warnings)?;
        let plan = Self {
            words: explain::Words::of(request.process, None, None)?,
            parent_first: !process.limits.raised.is_empty(),
            world: World::Entered(request.target),
            process,
            streams: Streams::plan(&mut request.stdio, request.process.console_size.clone())?,
            seccomp: request.seccomp.map(Filter::Borrowed),
            proc: Proc::open()?,
            cgroup: request.cgroup.map(Cgroup::tasks_fds).unwrap_or_default(),
            pid_by_child: false,
            first_closed: 3 + request.preserve_fds,
            kept: Vec::new(),
            trees: Vec::new(),
            warnings,
        };
        Ok(plan.with_kept())
    }

    /// One more descriptor that the child needs.
    pub(crate) fn keep(&mut self, fd: BorrowedFd<'_>) {
        self.kept.push(fd.as_raw_fd() as u32);
        self.kept.sort_unstable();
    }

    /// One more cgroup tree that the child has to join itself.
    pub(crate) fn join_cgroup(&mut self, procs: BorrowedFd<'a>) {
        self.keep(procs);
        self.cgroup.push(procs);
    }

    /// Collects the descriptors in the plan.
    fn with_kept(mut self) -> Self {
        let mut kept: Vec<BorrowedFd<'_>> = self.cgroup.clone();
        kept.push(self.proc.as_fd());
        if let Streams::Given(streams) = &self.streams {
            kept.extend(streams.iter().map(AsFd::as_fd));
        }
        let mut trees = Vec::new();
        match &self.world {
            World::New(container) => {
                kept.extend(container.descriptors());
                trees = sorted(container.trees());
            }
            World::Entered(target) => kept.push(target.as_fd()),
        }
        self.kept = sorted(kept.into_iter());
        self.kept.extend((3..self.first_closed).chain(trees.iter().copied()));
        self.kept.sort_unstable();
        self.trees = trees;
        self
    }

    /// The container to be made, if this is the plan of one.
    pub(crate) fn new_world(&self) -> Option<&Container> {
        match &self.world {
            World::New(container) => Some(container),
            World::Entered(_) => None,
        }
    }
}

impl Container {
    fn plan(request: &Create<'_>, network: Option<OwnedFd>) -> Result<Self> {
        let spec = request.spec;
        let linux = spec.linux.clone().unwrap_or_default();
        refuse_unsupported(&linux)?;
        let namespaces = namespaces::Namespaces::plan(spec, network)?;
        let has_user = namespaces.has_user();
        let paths = |list: &[String]| list.iter().map(cstring).collect::<Result<Vec<_>>>();
        Ok(Self {
            hostname: name(spec.hostname.as_deref(), &namespaces, "hostname")?,
            domainname: name(spec.domainname.as_deref(), &namespaces, "domainname")?,
            root: rootfs::Root::plan(request.rootfs, spec)?,
            mounts: mounts::plan(request, has_user)?,
            devices: devices::plan(spec)?,
            sysctls: sysctls(&linux, &namespaces)?,
            masked: paths(&linux.masked_paths)?,
            readonly: paths(&linux.readonly_paths)?,
            hooks: hooks::Hooks::plan(request)?,
            gate: match request.gate {
                crate::create::Gate::Private => None,
                crate::create::Gate::Socket(path) => Some(crate::gate::listen(path)?),
            },
            namespaces,
        })
    }
}

impl Container {
    /// The detached trees among what is to be mounted, the root's with them.
    fn trees(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let sources = self.mounts.iter().filter_map(|mount| match &mount.kind {
            mounts::Kind::Bind { source, .. } => Some(source),
            _ => None,
        });
        sources.chain([&self.root.source]).filter_map(|source| match source {
            mounts::Source::Tree(tree) => Some(tree.as_fd()),
            mounts::Source::Path { .. } => None,
        })
    }

    /// The other descriptors.
    fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        // Those that the parent enters, too: where it may not, the child does.
        let joined = self.namespaces.joined().map(|join| join.file.as_fd());
        joined.chain(self.gate.as_ref().map(AsFd::as_fd)).chain(self.hooks.said.as_ref().map(AsFd::as_fd))
    }
}

fn sorted<'a>(descriptors: impl Iterator<Item = BorrowedFd<'a>>) -> Vec<u32> {
    let mut numbers: Vec<u32> = descriptors.map(|fd| fd.as_raw_fd() as u32).collect();
    numbers.sort_unstable();
    numbers
}

impl Streams {
    fn plan(stdio: &mut Stdio, size: Option<ConsoleSize>) -> Result<Self> {
        Ok(match std::mem::replace(stdio, Stdio::Inherit) {
            Stdio::Inherit => Self::Inherited,
            Stdio::Fds { stdin, stdout, stderr } => {
                Self::Given([above_standard(stdin)?, above_standard(stdout)?, above_standard(stderr)?])
            }
            Stdio::Terminal => Self::Terminal(size),
        })
    }
}

/// Moves a descriptor out of the numbers that it may have to be copied to.
fn above_standard(fd: OwnedFd) -> Result<OwnedFd> {
    if fd.as_raw_fd() > 2 {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, 3)
        .map_err(|errno| Error::internal("duplicate a standard stream").with_cause(std::io::Error::from(errno)))
}

/// What is asked for and would not happen must not be passed over in silence.
fn refuse_unsupported(linux: &Linux) -> Result<()> {
    if linux.intel_rdt.is_some() {
        return Err(Error::not_implemented("intelRdt is not supported"));
    }
    if !linux.net_devices.is_empty() {
        return Err(Error::not_implemented("netDevices are not supported"));
    }
    if linux.mount_label.as_deref().is_some_and(|label| !label.is_empty()) && !label::has_selinux() {
        return Err(Error::invalid("mountLabel: SELinux is not enabled on this host"));
    }
    Ok(())
}

/// A name for the UTS namespace; it must be the container's own, or the host would be renamed.
fn name(name: Option<&str>, namespaces: &namespaces::Namespaces, what: &str) -> Result<Option<Vec<u8>>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    if !namespaces.own.contains(rustix::thread::ThreadNameSpaceType::HOST_NAME_AND_NIS_DOMAIN_NAME) {
        return Err(Error::invalid(format!("{what} {name:?} needs a uts namespace of its own")));
    }
    Ok(Some(name.as_bytes().to_vec()))
}

/// The files below /proc for sysctls; only those of a namespace that the container does not share with the host.
fn sysctls(linux: &Linux, namespaces: &namespaces::Namespaces) -> Result<Vec<(CString, Vec<u8>)>> {
    use rustix::thread::ThreadNameSpaceType as Flags;
    const IPC: [&str; 9] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "kernel.msg_next_id",
    ];
    let mut files = Vec::with_capacity(linux.sysctl.len());
    for (key, value) in &linux.sysctl {
        let dotted = key.replace('/', ".");
        let (kind, name) = match dotted.as_str() {
            "kernel.domainname" | "kernel.hostname" => (Flags::HOST_NAME_AND_NIS_DOMAIN_NAME, "uts"),
            key if IPC.contains(&key) || key.starts_with("fs.mqueue.") => (Flags::INTER_PROCESS_COMMUNICATION, "ipc"),
            key if key.starts_with("net.") => (Flags::NETWORK, "network"),
            _ => return Err(Error::invalid(format!("sysctl {key:?} is not in a separate kernel namespace"))),
        };
        if !namespaces.own.contains(kind) {
            return Err(Error::invalid(format!("sysctl {key:?} is not allowed in the host's {name} namespace")));
        }
        if dotted.contains("..") {
            return Err(Error::invalid(format!("sysctl {key:?} is not a name")));
        }
        // A name may be written with slashes where a part of it has dots (net/ipv4/conf/eth0.1/…).
        let path = if key.contains('/') { key.clone() } else { key.replace('.', "/") };
        files.push((cstring(format!("sys/{path}"))?, value.clone().into_bytes()));
    }
    Ok(files)
}

/// The execution domain of `linux.personality` (personality(2)).
fn personality(spec: &Spec) -> Result<Option<u32>> {
    let Some(LinuxPersonality { domain, flags }) = spec.linux.as_ref().and_then(|linux| linux.personality.as_ref())
    else {
        return Ok(None);
    };
    if !flags.is_empty() {
        return Err(Error::invalid("personality flags are not supported"));
    }
    match domain.as_str() {
        "LINUX" => Ok(Some(0x0000)),
        "LINUX32" => Ok(Some(0x0008)),
        other => Err(Error::invalid(format!("unknown personality {other:?}"))),
    }
}

fn filter<'a>(given: Option<&'a seccomp::Program>, spec: &Spec) -> Result<Option<Filter<'a>>> {
    match (given, spec.linux.as_ref().and_then(|linux| linux.seccomp.as_ref())) {
        (Some(program), _) => Ok(Some(Filter::Borrowed(program))),
        (None, Some(wanted)) => Ok(Some(Filter::Compiled(Box::new(seccomp::compile(wanted)?)))),
        (None, None) => Ok(None),
    }
}

/// A string for the kernel.
pub(crate) fn cstring(text: impl AsRef<OsStr>) -> Result<CString> {
    let text = text.as_ref();
    CString::new(text.as_bytes())
        .map_err(|_| Error::invalid(format!("{:?} has a zero byte", PathBuf::from(text).display().to_string())))
}
