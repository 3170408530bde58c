//! `docker update`: other limits, another restart policy.

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::{LinuxPids, LinuxResources};

use crate::core::Core;
use crate::create::{check_health, check_limits, restart_policy};
use crate::spec::{ContainerSpec, HostSpec, Resources, RestartPolicy};

/// The spec with the changes, checked, and warnings. Zero fields stay as they are.
pub(crate) fn apply(
    id: &str,
    spec: &ContainerSpec,
    changes: &Resources,
    policy: Option<RestartPolicy>,
    core: &Core,
) -> Result<(ContainerSpec, Vec<String>)> {
    let (changes, warnings) = checked(changes, core)?;
    policy.as_ref().map_or(Ok(()), restart_policy)?;
    contradicts(&spec.host, &changes, policy.as_ref()).context(|| cannot(id))?;
    let mut spec = spec.clone();
    if let Some(policy) = policy {
        spec.host.restart_policy = policy;
        check_health(&spec)?;
    }
    merge(&mut spec.host.resources, &changes);
    Ok((spec, warnings))
}

/// What comes before the reason where the changes are good and the container cannot have them.
pub(crate) fn cannot(id: &str) -> String {
    format!("Cannot update container {id}")
}

/// What a running container is to be told. No limit of processes has to be said: it is not what was before.
pub(crate) fn live(spec: &ContainerSpec, changes: &Resources) -> LinuxResources {
    let limits = crate::launch::linux_resources(&spec.host.resources, Vec::new());
    match changes.pids_limit {
        Some(..=0) => LinuxResources { pids: Some(LinuxPids { limit: -1 }), ..limits },
        _ => limits,
    }
}

/// The changes as they can be made on this host.
fn checked(changes: &Resources, core: &Core) -> Result<(Resources, Vec<String>)> {
    let mut host = HostSpec { resources: changes.clone(), ..HostSpec::default() };
    // A limit of swap alone makes sense here: the one of memory is there already.
    let swap = std::mem::take(&mut host.resources.memory_swap);
    if changes.memory > 0 {
        host.resources.memory_swap = swap;
    }
    let warnings = check_limits(&mut host, &core.facts())?;
    if changes.memory <= 0 && core.host.limits.swap {
        host.resources.memory_swap = swap;
    }
    Ok((host.resources, warnings))
}

/// What cannot be together, in Docker's words.
fn contradicts(host: &HostSpec, changes: &Resources, policy: Option<&RestartPolicy>) -> Result<()> {
    let own = &host.resources;
    let starts_again = policy.is_some_and(|policy| !matches!(policy.name.as_str(), "" | "no"));
    let text = if changes.nano_cpus > 0 && own.cpu_period > 0 {
        "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set"
    } else if changes.nano_cpus > 0 && own.cpu_quota > 0 {
        "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set"
    } else if changes.cpu_period > 0 && own.nano_cpus > 0 {
        "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set"
    } else if changes.cpu_quota > 0 && own.nano_cpus > 0 {
        "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set"
    } else if changes.memory != 0 && changes.memory > own.memory_swap && changes.memory_swap == 0 {
        "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
    } else if host.auto_remove && starts_again {
        "Restart policy cannot be updated because AutoRemove is enabled for the container"
    } else {
        return Ok(());
    };
    Err(Error::conflict(text))
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
    number(&mut own.cpu_realtime_period, changes.cpu_realtime_period);
    number(&mut own.cpu_realtime_runtime, changes.cpu_realtime_runtime);
    text(&mut own.cpuset_cpus, &changes.cpuset_cpus);
    text(&mut own.cpuset_mems, &changes.cpuset_mems);
    if changes.blkio_weight != 0 {
        own.blkio_weight = changes.blkio_weight;
    }
    if changes.pids_limit.is_some() {
        own.pids_limit = changes.pids_limit;
    }
}

#[cfg(test)]
mod tests {
    use dhow_errdefs::Class;

    use super::*;

    fn refusal(own: Resources, changes: Resources) -> Option<String> {
        let host = HostSpec { resources: own, ..HostSpec::default() };
        contradicts(&host, &changes, None).err().map(|error| {
            assert_eq!(error.class(), Class::Conflict);
            error.to_string()
        })
    }

    #[test]
    fn a_quota_and_a_number_of_cpus_exclude_each_other() {
        let (cpus, quota) =
            (Resources { nano_cpus: 1, ..Resources::default() }, Resources { cpu_quota: 5000, ..Resources::default() });
        assert!(refusal(quota.clone(), cpus.clone()).unwrap().contains("as CPU Quota has already been set"));
        assert!(refusal(cpus.clone(), quota.clone()).unwrap().contains("as NanoCPUs has already been set"));
        assert_eq!(refusal(cpus.clone(), cpus), None);
        assert_eq!(refusal(quota.clone(), quota), None);
    }

    #[test]
    fn memory_stays_below_memory_and_swap() {
        let own = Resources { memory: 10 << 20, memory_swap: 20 << 20, ..Resources::default() };
        let memory = |memory, memory_swap| Resources { memory, memory_swap, ..Resources::default() };
        assert!(refusal(own.clone(), memory(30 << 20, 0)).unwrap().starts_with("Memory limit should be smaller than"));
        assert_eq!(refusal(own.clone(), memory(30 << 20, -1)), None);
        assert_eq!(refusal(own, memory(15 << 20, 0)), None);
    }

    #[test]
    fn what_is_not_given_stays() {
        let mut own = Resources { cpu_shares: 7, pids_limit: Some(9), cpuset_cpus: "0".into(), ..Resources::default() };
        merge(&mut own, &Resources { blkio_weight: 300, pids_limit: Some(0), ..Resources::default() });
        assert_eq!((own.cpu_shares, own.blkio_weight, own.pids_limit), (7, 300, Some(0)));
        assert_eq!(own.cpuset_cpus, "0");
    }

    #[test]
    fn a_limit_of_processes_that_is_taken_away_is_told_to_the_kernel() {
        let told = |pids_limit| {
            let changes = Resources { pids_limit, ..Resources::default() };
            let mut spec = ContainerSpec::default();
            merge(&mut spec.host.resources, &changes);
            live(&spec, &changes).pids.map(|pids| pids.limit)
        };
        assert_eq!((told(Some(0)), told(Some(5)), told(None)), (Some(-1), Some(5), None));
    }
}
