//! Processes made by our own runtime.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use dhow_cgroups::Cgroup;
use dhow_errdefs::{Result, ResultExt};
use dhow_runtime::seccomp::Program;
use dhow_runtime::{Create, Rootfs, Stdio, Target};

use super::{Born, first};
use crate::protocol::{self, Exec, Launch, Moment};
use crate::streams::Ends;

/// What is kept for execs.
#[derive(Debug)]
pub(super) struct BuiltIn {
    seccomp: Option<Arc<Program>>,
    /// Made with the first exec.
    target: Option<Arc<Target>>,
}

impl BuiltIn {
    pub(super) fn start(launch: &Launch, cgroup: Option<&Cgroup>, network: Option<OwnedFd>) -> Result<(Self, Born)> {
        let seccomp = launch.seccomp.as_deref().map(Program::from_bytes).transpose()?.map(Arc::new);
        let (stdio, ours) = first_streams(launch)?;
        let mut request = Create::new(&launch.id, &launch.spec, &launch.run_dir, rootfs(&launch.rootfs));
        request.signals_blocked = launch.init;
        request.stdio = stdio;
        request.cgroup = cgroup;
        request.bare_cgroup = launch.bare_cgroup.as_deref();
        request.seccomp = seccomp.as_deref();
        request.network = network;
        let init = dhow_runtime::create(request)?;
        let warnings = init.warnings().to_vec();
        if cgroup.is_none() {
            first::record(&launch.run_dir, init.pid())?;
        }
        let started = init.start()?;
        let ends = ends(ours, started.pty)?;
        let born = Born { pid: started.pid, pidfd: started.pidfd, ends, warnings };
        Ok((Self { seccomp, target: None }, born))
    }

    /// Gives what makes one more process.
    pub(super) fn exec(
        &mut self,
        exec: Exec,
        pid: i32,
        pidfd: &OwnedFd,
        cgroup: Option<Arc<Cgroup>>,
    ) -> Result<Box<dyn FnOnce() -> Result<Born> + Send>> {
        let target = match &mut self.target {
            Some(target) => target,
            none => {
                let pidfd = pidfd.try_clone().context(|| "copy a descriptor")?;
                none.insert(Arc::new(Target::of(pid, pidfd)?))
            }
        };
        let (target, seccomp) = (Arc::clone(target), self.seccomp.clone().filter(|_| !exec.unconfined));
        Ok(Box::new(move || {
            let (stdio, ours) = exec_streams(&exec)?;
            let mut request = dhow_runtime::Exec::new(&target, &exec.process);
            request.stdio = stdio;
            request.cgroup = cgroup.as_deref();
            request.seccomp = seccomp.as_deref();
            request.until = exec.until.map(Moment::instant);
            let child = dhow_runtime::exec(request)?;
            let ends = ends(ours, child.pty)?;
            Ok(Born { pid: child.pid, pidfd: child.pidfd, ends, warnings: Vec::new() })
        }))
    }
}

fn rootfs(rootfs: &protocol::Rootfs) -> Rootfs<'_> {
    match rootfs {
        protocol::Rootfs::Path(path) => Rootfs::Path(path),
        protocol::Rootfs::Overlay { lower, upper, work, options } => Rootfs::Overlay { lower, upper, work, options },
    }
}

fn first_streams(launch: &Launch) -> Result<(Stdio, Ends)> {
    if launch.tty {
        return Ok((Stdio::Terminal, Ends::default()));
    }
    let (theirs, ours) = Ends::pipes(launch.stdin_open)?;
    Ok((fds(theirs), ours))
}

/// An exec without a client writes to nowhere, as with Docker.
fn exec_streams(exec: &Exec) -> Result<(Stdio, Ends)> {
    match &exec.attach {
        _ if exec.process.terminal => Ok((Stdio::Terminal, Ends::default())),
        Some(attach) => {
            let (theirs, ours) = Ends::pipes(attach.stdin)?;
            Ok((fds(theirs), ours))
        }
        None => Ok((fds(Ends::nowhere()?), Ends::default())),
    }
}

fn fds([stdin, stdout, stderr]: [OwnedFd; 3]) -> Stdio {
    Stdio::Fds { stdin, stdout, stderr }
}

fn ends(ours: Ends, pty: Option<OwnedFd>) -> Result<Ends> {
    pty.map_or(Ok(ours), Ends::terminal)
}
