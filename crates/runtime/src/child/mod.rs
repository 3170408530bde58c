//! The life of the child between `clone3` and `execve`.
//!
//! It is a copy of a process that may have had threads: a lock of theirs stays locked here for ever. So everything in
//! this module makes system calls, reads the plan and writes to the stack, and neither allocates nor panics. The order of
//! the steps is most of what keeps a container inside; each says why it stands where it stands.

mod copy_up;
mod devices;
mod gate;
mod home;
mod hooks;
mod mounts;
mod namespaces;
mod privileges;
mod program;
mod rootfs;
mod streams;
mod target;
mod terminal;

use std::convert::Infallible;
use std::os::fd::{AsFd, OwnedFd};

use dhow_sys::{exec, signal};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, set_dumpable_behavior, setsid, umask};

use crate::plan::{Container, Plan, World};
use crate::report::{At, Failure, Message, Outcome, Step, send, wait_for_go};
use crate::target::Target;

/// The line to the parent; the gate may replace it with the line to whoever starts the container.
type Line = OwnedFd;

/// Lives the child's life. Does not return.
pub(crate) fn run(plan: &mut Plan<'_>, mut line: Line) -> ! {
    let Err(failure) = live(plan, &mut line);
    // Nobody may be there to hear it; then nobody cares.
    let _ = send(line.as_fd(), Message::Failed(failure), None);
    exec::exit(1)
}

fn live(plan: &mut Plan<'_>, line: &mut Line) -> Outcome<Infallible> {
    begin(plan, line)?;
    match &plan.world {
        World::New(container) => set_up(plan, container, line)?,
        World::Entered(target) => enter(plan, target, line)?,
    }
    become_the_process(plan)?;
    send(line.as_fd(), Message::Ready, None).at(Step::Line)?;
    gate::pass(plan, line)?;
    program::execute(plan, line)
}

/// A clean start.
fn begin(plan: &Plan<'_>, line: &Line) -> Outcome {
    // What the parent ignores or blocks is its own affair.
    signal::reset();
    // Descriptors that the caller left open without close-on-exec must reach no hook and no program (CVE-2024-21626);
    // before anything else, so that all opened later are ours.
    program::close_on_exec(plan.first_closed)?;
    // The caller's other descriptors, which other threads may have made for other containers: a line of theirs held
    // here would keep them waiting for its end.
    program::keep_only(&plan.kept);
    // A session of its own: the parent's terminal is not the container's. It fails for a session leader only.
    let _ = setsid();
    // Modes given below are meant as they are.
    umask(Mode::empty());
    // While /proc/self belongs to this process' user on the host, and before it may change to one with less rights.
    privileges::set_oom_score(plan)?;
    // Id maps and raised limits are the parent's to write; it needs the same user here as there.
    if plan.parent_first { wait_for_go(line.as_fd()).at(Step::Line) } else { Ok(()) }
}

/// From new namespaces to a finished world with the container's root as `/`.
fn set_up(plan: &Plan<'_>, container: &Container, line: &Line) -> Outcome {
    // Before the cgroup namespace, whose root is the cgroup one is in; and before anything costs memory or time.
    join_cgroup(plan)?;
    // A user namespace first: the rights over the others come from it.
    namespaces::join(plan, container, line)?;
    namespaces::become_root(container)?;
    // From here on nobody in the container's namespaces may look into this process, which still has the host's
    // memory and descriptors (CVE-2016-9962). After the id maps: the parent has to reach /proc/<pid>.
    hide()?;
    namespaces::make_late_ones(plan, container)?;
    namespaces::bring_up(container)?;
    // prestart and createRuntime: everything of the namespaces is there, nothing of the root.
    if container.hooks.parent_waits {
        send(line.as_fd(), Message::Namespaces, None).at(Step::Line)?;
        wait_for_go(line.as_fd()).at(Step::Line)?;
    }
    set_up_root(plan, container, line)
}

/// Builds the root file system and moves into it.
fn set_up_root(plan: &Plan<'_>, container: &Container, line: &Line) -> Outcome {
    let root = rootfs::attach(&container.root)?;
    mounts::attach_all(&root, container)?;
    // After the mounts: /dev is one of them.
    devices::make_all(&root, container)?;
    // While the root is writable.
    rootfs::make_cwd(&root, plan)?;
    hooks::create_container(&container.hooks)?;
    // From here on the host's files are out of reach by any path.
    rootfs::pivot(&root)?;
    namespaces::write_sysctls(plan, container)?;
    // After pivot_root: the terminal is opened by the container's own paths. Before the masks and the read-only root:
    // /dev/console may have to be made.
    terminal::open_for_container(plan, container, line)?;
    rootfs::protect_paths(container)?;
    rootfs::seal(&root, &container.root)?;
    // Each is attached. By its descriptor it could be entered without a path.
    program::close_all(&plan.trees);
    Ok(())
}

/// Into the namespaces of a running container.
fn enter(plan: &Plan<'_>, target: &Target, line: &Line) -> Outcome {
    // Before its namespaces: a process that is inside already could be traced from there (CVE-2016-9962).
    hide()?;
    // By descriptors opened outside; inside there may be no path to them.
    join_cgroup(plan)?;
    namespaces::enter(plan, target, line)?;
    terminal::open_for_exec(plan, line)
}

/// Takes on what the program is to be: limits of rights last, because each step before may need one of them.
fn become_the_process(plan: &mut Plan<'_>) -> Outcome {
    // Keys of the engine must not be reachable; needs no privilege, so it may come first.
    privileges::leave_keyring(plan)?;
    // Real-time policies and classes need CAP_SYS_NICE.
    privileges::schedule(plan)?;
    // Lowering needs no right; what had to be raised the parent has raised.
    privileges::limit(plan)?;
    // While this process may still change the owner of the streams.
    streams::connect(plan)?;
    // Applies at execve and needs /proc as it was.
    privileges::label(plan)?;
    // As root first, because an engine may have made the directory for root alone.
    let arrived = program::change_directory(plan);
    privileges::drop_all(plan)?;
    // As the user, if root could not (a network file system that squashes root).
    arrived.or_else(|_| program::change_directory(plan))?;
    // After every chdir: a directory outside of the root must never become the program's (CVE-2024-21626).
    program::check_directory()?;
    // As the user who will execute it.
    program::look_up(plan)?;
    home::find(plan);
    umask(plan.process.umask);
    Ok(())
}

fn join_cgroup(plan: &Plan<'_>) -> Outcome {
    for tasks in &plan.cgroup {
        // "0" is the writing thread itself, whatever its number is in which namespace; this process has no other.
        rustix::io::write(tasks, b"0").at(Step::Cgroup)?;
    }
    Ok(())
}

fn hide() -> Outcome {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Step::Line)
}

/// An error number without a system call behind it.
fn fail<T>(step: Step, index: usize, errno: rustix::io::Errno) -> Outcome<T> {
    Err(Failure { step, index: index as u16, errno: errno.raw_os_error() })
}
