//! One more process in a running container.

use std::os::fd::OwnedFd;
use std::time::Instant;

use dhow_cgroups::Cgroup;
use dhow_errdefs::Result;
use dhow_oci::runtime::Process;

use crate::birth::Child;
use crate::create::Stdio;
use crate::plan::Plan;
use crate::seccomp;
use crate::target::Target;

/// A process to be run in a running container.
#[derive(Debug)]
pub struct Exec<'a> {
    /// Where to: usually the container's first process.
    pub target: &'a Target,
    /// What to run, and as whom. `terminal` is not looked at: `stdio` says it.
    pub process: &'a Process,
    /// Its standard streams.
    pub stdio: Stdio,
    /// The container's cgroup, which it joins. `None`: it stays in the caller's.
    pub cgroup: Option<&'a Cgroup>,
    /// The container's seccomp filter.
    pub seccomp: Option<&'a seccomp::Program>,
    /// How many of the caller's descriptors from 3 on the program gets.
    pub preserve_fds: u32,
    /// When it is given up, if the way to its program leads over something that does not answer.
    pub until: Option<Instant>,
}

impl<'a> Exec<'a> {
    /// A process with the caller's streams, in the caller's cgroup, without a filter.
    #[must_use]
    pub fn new(target: &'a Target, process: &'a Process) -> Self {
        Self { target, process, stdio: Stdio::Inherit, cgroup: None, seccomp: None, preserve_fds: 0, until: None }
    }
}

/// The process that [`exec`] made. It is a child of the caller, who has to reap it.
#[derive(Debug)]
pub struct ExecChild {
    /// Its process id on the host.
    pub pid: i32,
    /// A descriptor of it; polls readable when it ends.
    pub pidfd: OwnedFd,
    /// The terminal's master, if it has a terminal.
    pub pty: Option<OwnedFd>,
}

/// Enters the container and executes a program there; returns when it is running.
///
/// # Errors
/// As [`create`](crate::create) and [`Init::start`](crate::Init::start), and
/// [`DeadlineExceeded`](dhow_errdefs::Class::DeadlineExceeded). The process is then killed, and reaped unless it was given
/// up: then the caller reaps it.
pub fn exec(mut request: Exec<'_>) -> Result<ExecChild> {
    let mut plan = Plan::entering(&mut request)?;
    let mut child = Child::bear(&mut plan, request.cgroup)?;
    child.deadline = request.until;
    child.until_ready(&plan, |_| Ok(()))?;
    child.until_executed(&plan.words)?;
    let (pid, pidfd, pty) = child.release();
    Ok(ExecChild { pid, pidfd, pty })
}
