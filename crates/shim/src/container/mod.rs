//! The container of a shim: its first process, its cgroup, and what is done with them.

mod ahead;
mod builtin;
mod children;
mod ending;
mod external;
mod family;
mod farewell;
pub mod first;
mod overlay;
mod place;

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dhow_cgroups::{Cgroup, Hierarchy};
use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_logs::{Timestamp, Writer};
use dhow_oci::runtime::{LinuxResources, Mount, Spec};
use rustix::io::Errno;
use rustix::process::Signal;

use crate::protocol::{Exec, Exit, Launch};
use crate::streams::Ends;
pub(crate) use ahead::Ahead;
use builtin::BuiltIn;
use external::External;
use farewell::Farewell;
pub use farewell::say_farewell;
pub(crate) use place::Place;
pub use place::cgroup_in;

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Born {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    /// Our ends of its streams.
    pub(crate) ends: Ends,
    /// What the host could not do.
    pub(crate) warnings: Vec<String>,
}

/// A process that is to be.
pub(crate) enum Birth {
    Done(Born),
    /// What makes it, for a thread of its own: the way into the container may lead over a file server that does not answer.
    Aside(Box<dyn FnOnce() -> Result<Born> + Send>),
}

/// A running container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) pid: i32,
    pub(crate) started_at: Timestamp,
    pub(crate) paused: bool,
    container_dir: PathBuf,
    pidfd: OwnedFd,
    cgroup: Option<Arc<Cgroup>>,
    runtime: Runtime,
    /// Of the first process: what an exec gets that does not say. The shim's own would protect it from the kernel.
    oom_score_adj: Option<i32>,
}

/// Who makes the processes.
#[derive(Debug)]
enum Runtime {
    BuiltIn(BuiltIn, Farewell),
    External(External),
}

/// The container's log, made with its directory; `None` for the driver that neither keeps nor sends anything.
pub(crate) fn open_log(launch: &Launch) -> Result<Option<Writer>> {
    let path = launch.log.path(&launch.container_dir, &launch.id);
    if path.is_none() && launch.log.target.is_none() {
        return Ok(None);
    }
    Writer::open(path.as_deref(), &launch.log).map(Some)
}

impl Container {
    /// Makes the container and starts its program. After an error nothing of it is left.
    ///
    /// # Errors
    /// The step that failed; `NotFound` or `PermissionDenied` in Docker's words for the program.
    pub(crate) fn launch(launch: Launch, ahead: Option<Ahead>) -> Result<(Self, Ends, Vec<String>)> {
        if launch.cgroup.is_none() {
            // The cgroup would say what a shim that was killed has left.
            first::end(&launch.run_dir)?;
        }
        match launch.external_runtime.clone() {
            None => Self::launch_built_in(launch, ahead),
            Some(program) => Self::launch_external(launch, &program),
        }
    }

    fn launch_built_in(launch: Launch, ahead: Option<Ahead>) -> Result<(Self, Ends, Vec<String>)> {
        let (network, hierarchy) = ahead.map(Ahead::into_parts).unwrap_or_default();
        let (cgroup, mut warnings) = make_cgroup(&launch, hierarchy)?;
        let farewell = Farewell::of(&launch).inspect_err(|_| undo_cgroup(cgroup.as_ref()))?;
        let started = BuiltIn::start(&launch, cgroup.as_ref(), network);
        let (runtime, born) = started.inspect_err(|_| {
            undo_cgroup(cgroup.as_ref());
            // Its first hooks may have run; the error that led here is the one to be told.
            farewell.run();
        })?;
        warnings.extend(born.warnings);
        let container = Self {
            pid: born.pid,
            pidfd: born.pidfd,
            started_at: Timestamp::now(),
            paused: false,
            cgroup: cgroup.map(Arc::new),
            runtime: Runtime::BuiltIn(runtime, farewell),
            oom_score_adj: oom_score_adj(&launch),
            id: launch.id,
            container_dir: launch.container_dir,
        };
        Ok((container, born.ends, warnings))
    }

    fn launch_external(launch: Launch, program: &Path) -> Result<(Self, Ends, Vec<String>)> {
        let started = External::start(&launch, program);
        // One that was ended has not undone what it had made.
        let (runtime, born) = started.inspect_err(|_| undo_cgroup(external_cgroup(&launch).as_ref()))?;
        let container = Self {
            pid: born.pid,
            pidfd: born.pidfd,
            started_at: Timestamp::now(),
            paused: false,
            // The runtime has made it. One that keeps its cgroups elsewhere ends its processes itself.
            cgroup: external_cgroup(&launch).map(Arc::new),
            runtime: Runtime::External(runtime),
            oom_score_adj: oom_score_adj(&launch),
            id: launch.id,
            container_dir: launch.container_dir,
        };
        Ok((container, born.ends, born.warnings))
    }

    /// Begins to run one more process.
    pub(crate) fn exec(&mut self, mut exec: Exec) -> Result<Birth> {
        if self.paused {
            return Err(Error::conflict(format!("Container {} is paused, unpause the container before exec", self.id)));
        }
        if exec.process.oom_score_adj.is_none() {
            exec.process.oom_score_adj = self.oom_score_adj;
        }
        match &mut self.runtime {
            Runtime::BuiltIn(runtime, _) => {
                Ok(Birth::Aside(runtime.exec(exec, self.pid, &self.pidfd, self.cgroup.clone())?))
            }
            // It is run by a program that this waits for, and for no other.
            Runtime::External(runtime) => runtime.exec(&exec).map(Birth::Done),
        }
    }

    /// Signals the first process, or all of them.
    pub(crate) fn kill(&mut self, signal: i32, all: bool) -> Result<()> {
        match &self.cgroup {
            Some(cgroup) if all => cgroup.kill(signal)?,
            _ => send(&self.pidfd, signal).context(|| format!("signal container {}", self.id))?,
        }
        // A frozen process does not die (on v1); Docker wakes it as well.
        if signal == Signal::KILL.as_raw() && self.paused {
            self.resume()?;
        }
        Ok(())
    }

    /// Kills a process of the container that leads a session, and everything that comes from it.
    pub(crate) fn kill_family(&self, pid: i32) {
        family::kill(pid, || match &self.cgroup {
            Some(cgroup) => cgroup.pids().unwrap_or_default(),
            None => family::all_processes(),
        });
    }

    /// Stops all processes.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.cgroup_for("pause")?.freeze()?;
        self.paused = true;
        Ok(())
    }

    /// Lets them go on.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.cgroup_for("resume")?.thaw()?;
        self.paused = false;
        Ok(())
    }

    /// Changes limits; gives what the host cannot keep.
    pub(crate) fn update(&self, resources: &LinuxResources) -> Result<Vec<String>> {
        self.cgroup_for("update")?.apply(resources)
    }

    fn cgroup_for(&self, what: &str) -> Result<&Cgroup> {
        self.cgroup
            .as_deref()
            .ok_or_else(|| Error::not_implemented(format!("cannot {what} container {}: it has no cgroup", self.id)))
    }

    /// A descriptor that becomes readable when the kernel may have killed for lack of memory.
    pub(crate) fn oom_watch(&self) -> Option<OwnedFd> {
        self.cgroup.as_ref()?.oom_watch().ok()
    }

    /// How many processes the kernel has killed for lack of memory.
    pub(crate) fn oom_kills(&self) -> u64 {
        self.cgroup.as_ref().and_then(|cgroup| cgroup.oom_kills().ok()).unwrap_or(0)
    }

    /// The first process has ended: ends all others, and returns when they have ended or will not within seconds.
    pub(crate) fn end_others(&self) {
        match &self.cgroup {
            Some(cgroup) => ending::end_cgroup(cgroup),
            None => children::end_all(),
        }
    }

    /// Writes the exit record for who asks later. It survives a killed shim, and a power cut no worse than the engine's
    /// own record of the start does.
    pub(crate) fn record_exit(&self, exit: &Exit) -> Result<()> {
        let path = self.container_dir.join("exit.json");
        let json = serde_json::to_vec(exit).map_err(|error| Error::internal("encode exit.json").with_cause(error))?;
        dhow_sys::atomic::write(&path, &json, 0o600, dhow_sys::atomic::Sync::No)
            .context(|| format!("write {}", path.display()))
    }

    /// Takes away what can be taken away at once, while the file systems are unmounted.
    pub(crate) fn clear_away(&self) {
        if let (Runtime::BuiltIn(..), Some(cgroup)) = (&self.runtime, &self.cgroup) {
            // What is left is removed, and told, by `clean_up`.
            let _ = Cgroup::delete_empty(cgroup.hierarchy(), cgroup.path());
        }
    }

    /// Undoes the cgroup and what an external runtime keeps. Goes on after a failure and gives the first.
    pub(crate) fn clean_up(&self) -> Result<()> {
        let runtime = match &self.runtime {
            Runtime::BuiltIn(..) => Ok(()),
            Runtime::External(runtime) => runtime.delete(),
        };
        runtime.and(self.cgroup.as_deref().map_or(Ok(()), Cgroup::delete))
    }

    /// Runs the last hooks, when everything is undone; gives what went wrong. An external runtime runs its own.
    pub(crate) fn say_farewell(&self) -> Vec<String> {
        match &self.runtime {
            Runtime::BuiltIn(_, farewell) => farewell.run(),
            Runtime::External(_) => Vec::new(),
        }
    }
}

/// The mount namespace of a process. It may have ended, or be one that is not looked into by whoever runs this.
pub(crate) fn mount_namespace(pid: i32) -> Option<OwnedFd> {
    File::open(format!("/proc/{pid}/ns/mnt")).ok().map(OwnedFd::from)
}

/// Sends a signal to the process behind a descriptor.
pub(crate) fn send(pidfd: &OwnedFd, signal: i32) -> Result<()> {
    match dhow_sys::signal::send(pidfd, signal) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {
            Err(Error::conflict("the process has ended"))
        }
        result => result.context(|| format!("send signal {signal}")),
    }
}

fn make_cgroup(launch: &Launch, hierarchy: Option<Hierarchy>) -> Result<(Option<Cgroup>, Vec<String>)> {
    let Some(path) = &launch.cgroup else { return Ok((None, Vec::new())) };
    let hierarchy = hierarchy.map_or_else(Hierarchy::detect, Ok)?;
    let cgroup = match Cgroup::create(&hierarchy, path) {
        // Left by a shim that was killed: the engine lets no two shims have one container.
        Err(error) if error.class() == Class::AlreadyExists => {
            Cgroup::open(&hierarchy, path)?.delete()?;
            Cgroup::create(&hierarchy, path)?
        }
        result => result?,
    };
    let resources = launch.spec.linux.as_ref().and_then(|linux| linux.resources.as_ref());
    let applied = resources.map_or(Ok(Vec::new()), |resources| cgroup.apply(resources));
    let joined = if makes_cgroups(&launch.spec) { cgroup.join_all() } else { Ok(()) };
    let warnings =
        applied.and_then(|warnings| joined.map(|()| warnings)).inspect_err(|_| undo_cgroup(Some(&cgroup)))?;
    Ok((Some(cgroup), warnings))
}

/// Whether the container may make cgroups of its own (a privileged one may), or mount trees: then it is in every tree, and
/// finds its own cgroup as the root of each.
fn makes_cgroups(spec: &Spec) -> bool {
    let capabilities = spec.process.as_ref().and_then(|process| process.capabilities.as_ref());
    if capabilities.is_some_and(|sets| sets.bounding.iter().any(|name| name == "CAP_SYS_ADMIN")) {
        return true;
    }
    let is_writable = |mount: &Mount| {
        matches!(mount.kind.as_deref(), Some("cgroup" | "cgroup2"))
            && !mount.options.iter().any(|option| option == "ro")
    };
    spec.mounts.iter().any(is_writable)
}

fn external_cgroup(launch: &Launch) -> Option<Cgroup> {
    Cgroup::open(&Hierarchy::detect().ok()?, launch.cgroup.as_deref()?).ok()
}

fn undo_cgroup(cgroup: Option<&Cgroup>) {
    // The error that led here is the one to be told.
    let _ = cgroup.map(Cgroup::delete);
}

fn oom_score_adj(launch: &Launch) -> Option<i32> {
    launch.spec.process.as_ref().and_then(|process| process.oom_score_adj)
}

/// What the shim inherited from its engine, before it asks for its own.
pub(crate) fn own_oom_score_adj() -> i32 {
    fs::read_to_string("/proc/self/oom_score_adj").ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Asks the kernel to spare this process, as far as it is allowed to.
pub(crate) fn protect_from_oom() {
    // Without CAP_SYS_RESOURCE it cannot be lowered; then the shim is as likely to be killed as any other process.
    let _ = fs::write("/proc/self/oom_score_adj", "-999");
}
