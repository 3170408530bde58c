//! `docker update`: other limits, another restart policy.

use dhow_errdefs::{Error, Result};

use crate::core::Core;
use crate::create::{check_limits, restart_policy};
use crate::spec::{ContainerSpec, Resources, RestartPolicy};

/// The spec with the changes, checked, and warnings. Zero fields stay as they are.
pub(crate) fn apply(
    spec: &ContainerSpec,
    changes: &Resources,
    policy: Option<RestartPolicy>,
    core: &Core,
) -> Result<(ContainerSpec, Vec<String>)> {
    let mut spec = spec.clone();
    if let Some(policy) = policy {
        restart_policy(&policy)?;
        if spec.host.auto_remove && !matches!(policy.name.as_str(), "" | "no") {
            let text = "Restart policy cannot be updated because AutoRemove is enabled for the container";
            return Err(Error::invalid(text));
        }
        spec.host.restart_policy = policy;
    }
    merge(&mut spec.host.resources, changes);
    let warnings = check_limits(&mut spec.host, &core.facts())?;
    Ok((spec, warnings))
}

fn merge(own: &mut Resources, changes: &Resources) {
    let number = |own: &mut i64, change: i64| {
        if change != 0 {
            *own = change;
        }
    };
    let text = |own: &mut String, change: &String| {
        if !change.is_empty() {
            own.clone_from(change);
        }
    };
    number(&mut own.memory, changes.memory);
    number(&mut own.memory_swap, changes.memory_swap);
    number(&mut own.memory_reservation, changes.memory_reservation);
    number(&mut own.cpu_shares, changes.cpu_shares);
    number(&mut own.nano_cpus, changes.nano_cpus);
    number(&mut own.cpu_period, changes.cpu_period);
    number(&mut own.cpu_quota, changes.cpu_quota);
    text(&mut own.cpuset_cpus, &changes.cpuset_cpus);
    text(&mut own.cpuset_mems, &changes.cpuset_mems);
    if changes.blkio_weight != 0 {
        own.blkio_weight = changes.blkio_weight;
    }
    if changes.pids_limit.is_some() {
        own.pids_limit = changes.pids_limit;
    }
}
