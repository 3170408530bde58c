//! Entering, making and furnishing namespaces.

use std::os::fd::{AsFd, OwnedFd};

use dhow_sys::clone::{Fork, Request, fork};
use dhow_sys::namespace::unshare;
use dhow_sys::{exec, loopback};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, setsid};
use rustix::system::{setdomainname, sethostname};
use rustix::thread::{
    ThreadNameSpaceType as Flags, move_into_thread_name_spaces, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::plan::{Container, Plan};
use crate::report::{At, Message, Outcome, Step, send, wait_for_go};
use crate::target::Target;

/// Enters the namespaces that the container shares with others.
pub(super) fn join(plan: &Plan<'_>, container: &Container, line: &OwnedFd) -> Outcome {
    let mut refused = 0u32;
    for (index, join) in container.namespaces.join.iter().enumerate() {
        match move_into_thread_name_spaces(join.file.as_fd(), join.kind) {
            // One that belongs to the host, when a user namespace was entered before; see below.
            Err(Errno::PERM) if container.namespaces.joins_user() && index > 0 => refused |= 1 << index,
            result => result.at_index(Step::JoinNamespace, index)?,
        }
    }
    if refused != 0 {
        return super::fail(Step::JoinNamespace, refused.trailing_zeros() as usize, Errno::PERM);
    }
    if plan.pid_by_child {
        let number = |index| container.namespaces.join.len() + index;
        for (index, join) in container.namespaces.around.iter().enumerate() {
            let entered = move_into_thread_name_spaces(join.file.as_fd(), join.kind);
            entered.at_index(Step::JoinNamespace, number(index))?;
        }
    }
    if container.namespaces.joins_user() {
        succeed(container.namespaces.create, line)
    } else if plan.pid_by_child {
        // The other new namespaces are this process', and so its successor's.
        succeed(Flags::empty(), line)
    } else {
        Ok(())
    }
}

/// Makes the real process from inside the joined namespaces: new ones belong to a joined user namespace, and only a child
/// is in a joined pid namespace. It is a sibling, so the caller of the runtime becomes its parent; this process has done
/// its work. The parent has to know the successor before it hears anything of it, so it says when.
fn succeed(namespaces: Flags, line: &OwnedFd) -> Outcome {
    let request = Request { namespaces, cgroup: None, sibling: true };
    match fork(&request).at(Step::Successor)? {
        Fork::Child => {
            // The session is the first process'; only who leads one may have a controlling terminal.
            let _ = setsid();
            wait_for_go(line.as_fd()).at(Step::Line)
        }
        Fork::Parent { pid, pidfd } => {
            send(line.as_fd(), Message::Successor(pid), Some(pidfd.as_fd())).at(Step::Line)?;
            exec::exit(0)
        }
    }
}

/// Becomes root of the user namespace; its maps are written.
pub(super) fn become_root(container: &Container) -> Outcome {
    let (uid, gid) = match &container.namespaces.id_maps {
        Some(maps) => maps.first_ids(),
        None if container.namespaces.joins_user() => (0, 0),
        None => return Ok(()),
    };
    // Where setgroups(2) is given up (an ordinary user with one id), the groups stay; the kernel allows nothing else.
    let _ = set_thread_groups(&[]);
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_thread_res_gid(gid, gid, gid).at(Step::BecomeRoot)?;
    set_thread_res_uid(uid, uid, uid).at(Step::BecomeRoot)
}

/// The namespaces that clone3 cannot make right: that of cgroups shows as its root the cgroup one is in when making it,
/// that of time takes its offsets only before somebody lives there.
pub(super) fn make_late_ones(plan: &Plan<'_>, container: &Container) -> Outcome {
    if container.namespaces.cgroup {
        unshare(Flags::CONTROL_GROUP).at(Step::CgroupNamespace)?;
    }
    let Some(offsets) = &container.namespaces.time else { return Ok(()) };
    unshare(Flags::TIME).at(Step::TimeNamespace)?;
    if !offsets.is_empty() {
        plan.proc.write(c"self/timens_offsets", offsets).at(Step::TimeNamespace)?;
    }
    let namespace = plan.proc.open_magic_link(c"self/ns/time_for_children").at(Step::TimeNamespace)?;
    move_into_thread_name_spaces(namespace.as_fd(), Flags::TIME).at(Step::TimeNamespace)
}

/// What a new network and a new UTS namespace need.
pub(super) fn bring_up(container: &Container) -> Outcome {
    if container.namespaces.new_network() {
        loopback::up().at(Step::Loopback)?;
    }
    if let Some(name) = &container.hostname {
        sethostname(name).at(Step::Hostname)?;
    }
    if let Some(name) = &container.domainname {
        setdomainname(name).at(Step::Domainname)?;
    }
    Ok(())
}

/// Writes the sysctls: through the host's procfs, which shows each process its own namespaces' values and in which no
/// image or volume can hide a file behind another (CVE-2025-52881).
pub(super) fn write_sysctls(plan: &Plan<'_>, container: &Container) -> Outcome {
    for (index, (path, value)) in container.sysctls.iter().enumerate() {
        plan.proc.write(path, value).at_index(Step::Sysctl, index)?;
    }
    Ok(())
}

/// Enters all namespaces of a running container at once: either all or none.
pub(super) fn enter(plan: &Plan<'_>, target: &Target, line: &OwnedFd) -> Outcome {
    let all = target.namespaces();
    let namespaces = if plan.pid_by_child { all } else { all.difference(Flags::PROCESS_ID) };
    if !namespaces.is_empty() {
        move_into_thread_name_spaces(target.as_fd(), namespaces).at(Step::Enter)?;
    }
    if namespaces.contains(Flags::USER) {
        // As in `become_root`.
        let _ = set_thread_groups(&[]);
        set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).at(Step::BecomeRoot)?;
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).at(Step::BecomeRoot)?;
    }
    if plan.pid_by_child { succeed(Flags::empty(), line) } else { Ok(()) }
}
