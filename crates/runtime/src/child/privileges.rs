//! Giving up rights: keyring, scheduling, label, capabilities, user.

use dhow_sys::{keyring, personality, scheduling};
use rustix::fs::OFlags;
use rustix::io::{Errno, read, write};
use rustix::process::setrlimit;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::capability::Sets;
use crate::plan::Plan;
use crate::report::{At, Outcome, Step, errno_of};

/// A session keyring of the container's own, lest it see the keys of whoever starts the engine.
pub(super) fn leave_keyring(plan: &Plan<'_>) -> Outcome {
    if !plan.process.new_keyring {
        return Ok(());
    }
    match keyring::new_session().map_err(errno_of) {
        // A kernel without keyrings has no keys, and a filter around the engine that forbids the call forbids it to
        // the container too.
        Err(error) if [Errno::NOSYS, Errno::PERM, Errno::ACCESS].contains(&error) => Ok(()),
        result => result.at(Step::Keyring),
    }
}

/// The badness with which the kernel looks for victims when memory is out; children inherit it.
pub(super) fn set_oom_score(plan: &Plan<'_>) -> Outcome {
    let Some(score) = &plan.process.oom_score else { return Ok(()) };
    let mut current = [0; 8];
    let file = plan.proc.open_file(c"self/oom_score_adj", OFlags::RDWR).at(Step::OomScore)?;
    let length = read(&file, &mut current).at(Step::OomScore)?;
    // Writing the same would fail where the right to lower is missing, and for nothing.
    if current.get(..length).is_some_and(|current| current.trim_ascii() == score.as_slice()) {
        return Ok(());
    }
    write(&file, score).at(Step::OomScore).map(|_| ())
}

/// Resource limits that are not above the present ones.
pub(super) fn limit(plan: &Plan<'_>) -> Outcome {
    for (index, limit) in plan.process.limits.lowered.iter().enumerate() {
        setrlimit(limit.resource, limit.value).at_index(Step::Limit, index)?;
    }
    Ok(())
}

/// Personality, scheduling policy and I/O priority.
pub(super) fn schedule(plan: &Plan<'_>) -> Outcome {
    if let Some(persona) = plan.process.personality {
        personality::set(persona).at(Step::Personality)?;
    }
    if let Some(attributes) = plan.process.scheduler {
        scheduling::set_attributes(attributes).at(Step::Scheduler)?;
    }
    match plan.process.io_priority {
        Some((class, level)) => scheduling::set_io_priority(class, level).at(Step::IoPriority),
        None => Ok(()),
    }
}

/// The security label of the program, written to this very process' file in a checked procfs (CVE-2019-19921,
/// CVE-2025-52881): a label that went elsewhere would leave the container without one.
pub(super) fn label(plan: &Plan<'_>) -> Outcome {
    match &plan.process.label {
        Some(label) => plan.proc.write(&label.file, &label.value).at(Step::Label),
        None => Ok(()),
    }
}

/// Becomes the program's user with the program's capabilities; where the seccomp filter has still to be loaded and needs
/// CAP_SYS_ADMIN for that, with that one more.
pub(super) fn drop_all(plan: &Plan<'_>) -> Outcome {
    let sets = &plan.process.capabilities;
    // The bounding set goes while CAP_SETPCAP is still there.
    bound(sets).at(Step::Capabilities)?;
    // Groups before the user: an ordinary user may change neither.
    change_user(plan)?;
    let filter = if needs_admin(plan) { CapabilitySet::SYS_ADMIN.bits() } else { 0 };
    set(sets, filter).at(Step::Capabilities)?;
    raise_ambient(sets).at(Step::Capabilities)?;
    if plan.process.no_new_privileges {
        set_no_new_privs(true).at(Step::NoNewPrivileges)?;
    }
    Ok(())
}

/// Loads the filter as late as can be: every system call after it has to be in the profile.
pub(super) fn drop_filter_right(plan: &Plan<'_>) -> Outcome {
    if needs_admin(plan) {
        set(&plan.process.capabilities, 0).at(Step::Capabilities)?;
    }
    Ok(())
}

/// Without `no_new_privs` only CAP_SYS_ADMIN may load a filter (seccomp(2)).
fn needs_admin(plan: &Plan<'_>) -> bool {
    let has = plan.process.capabilities.effective & CapabilitySet::SYS_ADMIN.bits() != 0;
    plan.seccomp.is_some() && !plan.process.no_new_privileges && !has
}

fn bound(sets: &Sets) -> Result<(), Errno> {
    for number in 0..=sets.last {
        if sets.bounding & (1 << number) == 0 {
            remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number))?;
        }
    }
    Ok(())
}

fn change_user(plan: &Plan<'_>) -> Outcome {
    let process = &plan.process;
    match set_thread_groups(&process.groups) {
        // Given up in this user namespace; then nothing was asked for, or it is an error.
        Err(Errno::PERM) if process.groups.is_empty() => {}
        result => result.at(Step::User)?,
    }
    set_thread_res_gid(process.gid, process.gid, process.gid).at(Step::User)?;
    // Permitted capabilities are kept over the change of user, for `set` to choose from.
    set_keep_capabilities(true).at(Step::User)?;
    set_thread_res_uid(process.uid, process.uid, process.uid).at(Step::User)?;
    set_keep_capabilities(false).at(Step::User)
}

fn set(sets: &Sets, extra: u64) -> Result<(), Errno> {
    let bits = CapabilitySet::from_bits_retain;
    let sets = CapabilitySets {
        effective: bits(sets.effective | extra),
        permitted: bits(sets.permitted | extra),
        inheritable: bits(sets.inheritable),
    };
    set_capabilities(None, sets)
}

fn raise_ambient(sets: &Sets) -> Result<(), Errno> {
    clear_ambient_capability_set()?;
    for number in 0..=sets.last {
        if sets.ambient & (1 << number) != 0 {
            configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(1 << number), true)?;
        }
    }
    Ok(())
}
