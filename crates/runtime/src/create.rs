//! What a container is made of, and making it.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use dhow_cgroups::Cgroup;
use dhow_errdefs::Result;
use dhow_oci::runtime::{ContainerStatus, Spec};

use crate::birth::Child;
use crate::hooks;
use crate::init::{Afterwards, Init, Remains};
use crate::plan::Plan;
use crate::plan::hooks::state;
use crate::seccomp;

/// A container to be made.
#[derive(Debug)]
pub struct Create<'a> {
    /// Its id; in the state that hooks read, and in error texts.
    pub id: &'a str,
    /// Its configuration (runtime-spec 1.2).
    pub spec: &'a Spec,
    /// The bundle's directory; relative paths of the spec start here.
    pub bundle: &'a Path,
    /// Its root file system.
    pub rootfs: Rootfs<'a>,
    /// Standard streams of its first process.
    pub stdio: Stdio,
    /// The cgroup it is born in, with limits applied. `None`: it stays in the caller's.
    pub cgroup: Option<&'a Cgroup>,
    /// A cgroup that nobody is in, made when it is needed: what the container is shown of v1 trees that its own has not
    /// joined. `None`: it is shown its creator's there.
    pub bare_cgroup: Option<&'a str>,
    /// A compiled filter; wins over `spec.linux.seccomp`, which is compiled when this is `None`.
    pub seccomp: Option<&'a seccomp::Program>,
    /// How many of the caller's descriptors from 3 on the program gets (`--preserve-fds`).
    pub preserve_fds: u32,
    /// How the start is told to the first process.
    pub gate: Gate<'a>,
    /// An empty network namespace with its loopback interface up, made ahead: taken for a new one where the container
    /// lives in its maker's user namespace, which owns it.
    pub network: Option<OwnedFd>,
    /// Give it a session keyring of its own (as every container should have), or leave it the caller's.
    pub new_keyring: bool,
    /// Its program begins with all signals blocked, and takes them from signalfd(2): none is lost that comes before it is
    /// ready, when process 1 would ignore it (pid_namespaces(7)).
    pub signals_blocked: bool,
}

impl<'a> Create<'a> {
    /// A container with the caller's streams, no cgroup of its own and a private gate.
    #[must_use]
    pub fn new(id: &'a str, spec: &'a Spec, bundle: &'a Path, rootfs: Rootfs<'a>) -> Self {
        Self {
            id,
            spec,
            bundle,
            rootfs,
            stdio: Stdio::Inherit,
            cgroup: None,
            bare_cgroup: None,
            seccomp: None,
            preserve_fds: 0,
            gate: Gate::Private,
            network: None,
            new_keyring: true,
            signals_blocked: false,
        }
    }
}

/// Where a container's root file system comes from.
#[derive(Debug, Clone, Copy)]
pub enum Rootfs<'a> {
    /// A directory (the bundle's `rootfs`).
    Path(&'a Path),
    /// An overlay, mounted in the container's mount namespace alone: the host sees nothing and has nothing to unmount.
    Overlay {
        /// Read-only layers, the topmost first.
        lower: &'a [PathBuf],
        /// The writable layer.
        upper: &'a Path,
        /// overlayfs' scratch directory, on the file system of `upper`.
        work: &'a Path,
        /// More mount options: `volatile`, `metacopy=off` …
        options: &'a [String],
    },
}

/// Standard streams of a container's process.
#[derive(Debug)]
pub enum Stdio {
    /// The caller's own.
    Inherit,
    /// These.
    Fds {
        /// Standard input.
        stdin: OwnedFd,
        /// Standard output.
        stdout: OwnedFd,
        /// Standard error.
        stderr: OwnedFd,
    },
    /// A new pseudo-terminal from the container's own devpts, at /dev/console too; the caller gets the master.
    /// Its first size is `process.consoleSize`.
    Terminal,
}

/// How the first process, ready and waiting, is told to start.
#[derive(Debug, Clone, Copy)]
pub enum Gate<'a> {
    /// Through the [`Init`] in this process only; the container dies with it if it was not started.
    Private,
    /// Through a unix socket at this path, so that another process can start it: [`Init::detach`] here,
    /// [`Init::start_at`](crate::Init::start_at) there.
    Socket(&'a Path),
}

/// Makes a container up to the point where only the user's program has to be executed: namespaces, mounts, devices,
/// limits, hooks `prestart`, `createRuntime` and `createContainer`.
///
/// # Errors
/// The step and the thing it failed on. `NotFound` and `PermissionDenied` for the program itself carry Docker's words
/// (`exec: "x": executable file not found in $PATH`). After an error nothing of the container is left.
pub fn create(mut request: Create<'_>) -> Result<Init> {
    let mut plan = Plan::container(&mut request)?;
    let mut child = Child::bear(&mut plan, request.cgroup)?;
    child.until_ready(&plan, |pid| {
        let hooks = request.spec.hooks.as_ref();
        let state = state(&request, ContainerStatus::Creating, Some(pid));
        hooks::run_all("prestart", hooks.map(|hooks| hooks.prestart.as_slice()).unwrap_or_default(), &state)?;
        hooks::run_all("createRuntime", hooks.map(|hooks| hooks.create_runtime.as_slice()).unwrap_or_default(), &state)
    })?;
    let state = state(&request, ContainerStatus::Created, Some(child.pid));
    let remains = Remains::of(plan.world, plan.streams);
    Ok(Init::new(child, (plan.words, plan.warnings), Afterwards::of(request.spec, state), remains))
}
