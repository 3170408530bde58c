//! The parent's side of making a child: namespaces around the clone, id maps, the conversation until it is ready.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use dhow_cgroups::Cgroup;
use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_sys::clone::{Fork, Request, fork};
use dhow_sys::signal::Blocked;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};
use rustix::thread::{ThreadNameSpaceType as Flags, move_into_thread_name_spaces};

use crate::child;
use crate::plan::{Plan, World};
use crate::report::{Message, go, receive};

/// A child that lives, and what it has sent. Dropping it ends and reaps it.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: i32,
    pidfd: Option<OwnedFd>,
    pub(crate) line: OwnedFd,
    pub(crate) pty: Option<OwnedFd>,
    pub(crate) listener: Option<OwnedFd>,
    /// How long it may take to become what it is to be.
    pub(crate) deadline: Option<Instant>,
}

impl Child {
    /// Makes the child of a plan and does what only the parent can do for it.
    pub(crate) fn bear<'a>(plan: &mut Plan<'a>, cgroup: Option<&'a Cgroup>) -> Result<Self> {
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(io::Error::from)
            .context(|| "make a line to the container's first process")?;
        plan.keep(far.as_fd());
        let (pid, pidfd) = clone(plan, far, cgroup)?;
        let child = Self { pid, pidfd: Some(pidfd), line: near, pty: None, listener: None, deadline: None };
        if plan.parent_first {
            if let Some(maps) = plan.new_world().and_then(|container| container.namespaces.id_maps.as_ref()) {
                maps.write(pid)?;
            }
            plan.process.limits.raise(pid)?;
            child.go()?;
        }
        Ok(child)
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_ref().expect("taken by `release` only, which consumes").as_fd()
    }

    /// Lets the child go on.
    pub(crate) fn go(&self) -> Result<()> {
        // It has gone: the reason is still in the line.
        match go(&self.line) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error).context(|| "talk to the child"),
            _ => Ok(()),
        }
    }

    /// Hears the child out until it is ready; `hooks` runs when its namespaces are there.
    pub(crate) fn until_ready(&mut self, plan: &Plan<'_>, hooks: impl Fn(i32) -> Result<()>) -> Result<()> {
        loop {
            let (message, fd) = self.next()?;
            match message {
                Message::Ready => return Ok(()),
                Message::Failed(failure) => return Err(plan.explain(failure)),
                Message::Terminal => self.pty = fd,
                Message::Listener => self.listener = fd,
                Message::Namespaces => {
                    hooks(self.pid)?;
                    self.go()?;
                }
                Message::Successor(pid) => {
                    self.follow(pid, fd)?;
                    self.go()?;
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Message, Option<OwnedFd>)> {
        if !self.has_spoken()? {
            return Err(self.died());
        }
        match receive(&self.line).context(|| "listen to the container's first process")? {
            Some(next) => Ok(next),
            None => Err(self.died()),
        }
    }

    /// Waits for a word, or the end of the line. `false`: the child has ended without one, while a successor that nobody
    /// will tell of any more holds the line open.
    fn has_spoken(&mut self) -> Result<bool> {
        let pidfd = self.pidfd();
        let line = || PollFd::new(&self.line, PollFlags::IN);
        let mut ends = [line(), PollFd::new(&pidfd, PollFlags::IN)];
        if wait(&mut ends, self.rest())? == 0 {
            return Err(self.give_up());
        }
        // Its last word may have come after the line was looked at, and before its end was.
        Ok(!ends[0].revents().is_empty() || wait(&mut [line()], Some(Duration::ZERO))? > 0)
    }

    /// Its time is over. It is killed, but not waited for: no signal may end what waits for a dead file server.
    fn give_up(&mut self) -> Error {
        if let Some(pidfd) = self.pidfd.take() {
            let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        }
        Error::deadline("the way to the container's program does not answer in time")
            .with_hint("its working directory or a folder of its PATH may lie on a file server that is dead")
    }

    fn rest(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The error of a child that ended without a word: killed from outside, as a rule for want of memory.
    fn died(&mut self) -> Error {
        let status = self.end();
        let signal = status.and_then(|status| status.terminating_signal());
        match signal {
            Some(9) => Error::exhausted("the container's first process was killed before it was ready")
                .with_hint("the memory limit may be too small to start a process"),
            Some(signal) => Error::internal(format!("the container's first process ended by signal {signal}")),
            None => Error::internal("the container's first process ended before it was ready"),
        }
    }

    /// The first child has made the container's process from inside a user namespace, and ended.
    fn follow(&mut self, pid: i32, pidfd: Option<OwnedFd>) -> Result<()> {
        let pidfd = pidfd.ok_or_else(|| Error::internal("the successor came without its descriptor"))?;
        if let Some(first) = self.pidfd.replace(pidfd) {
            let _ = waitid(WaitId::PidFd(first.as_fd()), WaitIdOptions::EXITED);
        }
        self.pid = pid;
        Ok(())
    }

    /// Hears after the word to go whether the program was executed: the end of the line says yes.
    pub(crate) fn until_executed(&mut self, words: &crate::plan::explain::Words) -> Result<()> {
        loop {
            // Its end tells nothing here: it may have run, and children of other threads hold the line for a moment longer.
            if self.deadline.is_some() && wait(&mut [PollFd::new(&self.line, PollFlags::IN)], self.rest())? == 0 {
                return Err(self.give_up());
            }
            match receive(&self.line).context(|| "listen to the container's first process")? {
                None => return Ok(()),
                Some((Message::Failed(failure), _)) => return Err(words.explain(failure)),
                Some((Message::Listener, fd)) => self.listener = fd,
                Some(_) => {}
            }
        }
    }

    /// Lets the child live on; the caller reaps it.
    pub(crate) fn release(mut self) -> (i32, OwnedFd, Option<OwnedFd>) {
        let pidfd = self.pidfd.take().expect("taken here only, and this consumes");
        (self.pid, pidfd, self.pty.take())
    }

    fn end(&mut self) -> Option<rustix::process::WaitIdStatus> {
        let pidfd = self.pidfd.take()?;
        // Gone already, or a zombie; either way it is reaped.
        let _ = pidfd_send_signal(&pidfd, Signal::KILL);
        waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).ok().flatten()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.end();
    }
}

/// Makes the process; only the parent returns.
fn clone<'a>(plan: &mut Plan<'a>, line: OwnedFd, cgroup: Option<&'a Cgroup>) -> Result<(i32, OwnedFd)> {
    let visit = Visit::begin(plan)?;
    plan.pid_by_child = visit.pid_refused;
    let namespaces = match plan.new_world().map(|container| &container.namespaces) {
        // From inside the user namespace, by the child.
        Some(namespaces) if namespaces.joins_user() => Flags::empty(),
        Some(namespaces) => namespaces.create,
        None => Flags::empty(),
    };
    let blocked = Blocked::all();
    let born = fork_into(plan, namespaces, cgroup);
    let fork = match born {
        Ok(Fork::Child) => child::run(plan, line),
        other => other,
    };
    drop(blocked);
    drop(visit);
    match fork.map_err(refused)? {
        Fork::Parent { pid, pidfd } => Ok((pid, pidfd)),
        Fork::Child => unreachable!("the child never returns from its life"),
    }
}

/// Makes the process in the v2 cgroup, as far as kernel and cgroup allow it.
fn fork_into<'a>(plan: &mut Plan<'a>, namespaces: Flags, cgroup: Option<&'a Cgroup>) -> io::Result<Fork> {
    let v2 = cgroup.and_then(Cgroup::v2_fd);
    let request = Request { namespaces, cgroup: v2, sibling: false };
    let mut born = fork(&request);
    // A container that made cgroups of its own keeps no process in the uppermost; its first process' is as good.
    let inner = match (&born, &plan.world, cgroup) {
        (Err(error), World::Entered(target), Some(cgroup)) if Errno::from_io_error(error) == Some(Errno::BUSY) => {
            cgroup_of(target.pid(), cgroup)
        }
        _ => None,
    };
    if let Some(inner) = &inner {
        born = fork(&Request { cgroup: Some(inner.as_fd()), ..request });
    }
    // Before Linux 5.7, or a cgroup that takes no process that way.
    if born.is_err()
        && let Some(procs) = cgroup.filter(|_| v2.is_some()).and_then(Cgroup::v2_procs_fd)
    {
        plan.join_cgroup(procs);
        born = fork(&Request { cgroup: None, ..request });
    }
    born
}

/// The v2 cgroup that a process is in.
fn cgroup_of(pid: i32, cgroup: &Cgroup) -> Option<OwnedFd> {
    let table = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = table.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let directory = cgroup.hierarchy().unified_mount_point()?.join(path);
    openat(CWD, &directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn refused(error: io::Error) -> Error {
    let class = Class::from(error.kind());
    let hint = match Errno::from_io_error(&error) {
        Some(Errno::NOSPC | Errno::USERS) => Some("a limit in /proc/sys/user/max_*_namespaces is reached"),
        Some(Errno::PERM) => Some("this user may not make namespaces; see /proc/sys/kernel/unprivileged_userns_clone"),
        _ => None,
    };
    let error = Error::new(class, "make the container's first process").with_cause(error);
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// Waits for one of these, and says how many are ready.
fn wait(ends: &mut [PollFd<'_>], most: Option<Duration>) -> Result<usize> {
    let most = most.map(|most| Timespec { tv_sec: most.as_secs() as i64, tv_nsec: most.subsec_nanos().into() });
    retry_on_intr(|| poll(ends, most.as_ref()))
        .map_err(io::Error::from)
        .context(|| "listen to the container's first process")
}

fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// A stay of the calling thread in namespaces that its child is to be born in.
struct Visit {
    home: Vec<(OwnedFd, Flags)>,
    /// The pid namespace is another user namespace's, which has to be entered first; or there is no way back from it.
    pid_refused: bool,
}

impl Visit {
    fn begin(plan: &Plan<'_>) -> Result<Self> {
        let mut visit = Self { home: Vec::new(), pid_refused: false };
        match &plan.world {
            World::New(container) => {
                let namespaces = &container.namespaces;
                for join in &namespaces.around {
                    match visit.enter(join.file.as_fd(), join.kind) {
                        Err(error) if is_refused(&error) && namespaces.child_can_enter(join) => {
                            visit.pid_refused = true
                        }
                        result => result.context(|| format!("enter namespace {}", join.path))?,
                    }
                }
            }
            // A process never changes its own pid namespace, only that of its children.
            World::Entered(target) if target.namespaces().contains(Flags::PROCESS_ID) => {
                match visit.enter(target.as_fd(), Flags::PROCESS_ID) {
                    Err(error) if is_refused(&error) => visit.pid_refused = true,
                    result => result.context(|| format!("enter the pid namespace of process {}", target.pid()))?,
                }
            }
            World::Entered(_) => {}
        }
        Ok(visit)
    }

    fn enter(&mut self, namespace: BorrowedFd<'_>, kind: Flags) -> io::Result<()> {
        let path = match kind {
            Flags::PROCESS_ID => c"/proc/thread-self/ns/pid_for_children",
            Flags::NETWORK => c"/proc/thread-self/ns/net",
            Flags::INTER_PROCESS_COMMUNICATION => c"/proc/thread-self/ns/ipc",
            Flags::HOST_NAME_AND_NIS_DOMAIN_NAME => c"/proc/thread-self/ns/uts",
            Flags::CONTROL_GROUP => c"/proc/thread-self/ns/cgroup",
            _ => c"/proc/thread-self/ns/time_for_children",
        };
        let home = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // Whether there is a way back: in a user namespace of our own, home belongs to somebody else.
        move_into_thread_name_spaces(home.as_fd(), kind)?;
        move_into_thread_name_spaces(namespace, kind)?;
        self.home.push((home, kind));
        Ok(())
    }
}

impl Drop for Visit {
    /// Goes home. A thread that cannot must not go on: it would act for the host from inside a container.
    fn drop(&mut self) {
        for (home, kind) in self.home.drain(..).rev() {
            if move_into_thread_name_spaces(home.as_fd(), kind).is_err() {
                std::process::abort();
            }
        }
    }
}
