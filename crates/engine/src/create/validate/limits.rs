//! Limits: what contradicts itself is refused, what the host lacks is taken out with a warning.

use dhow_errdefs::{Error, Result};

use super::Facts;
use crate::launch::rlimit;
use crate::spec::{HostSpec, Resources};

/// The least memory a container may be given.
const MINIMUM_MEMORY: i64 = 6 * 1024 * 1024;

/// What the kernel takes (`MIN_SHARES` and `MAX_SHARES` of kernel/sched/sched.h).
const LEAST_SHARES: i64 = 2;
const MOST_SHARES: i64 = 262_144;

/// Checks the limits of a container or of an update.
pub(crate) fn check(host: &mut HostSpec, facts: &Facts) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let resources = &mut host.resources;
    discard_missing(resources, facts, &mut warnings);
    memory(resources, &mut warnings)?;
    cpu(resources, facts)?;
    if resources.blkio_weight != 0 && !(10..=1000).contains(&resources.blkio_weight) {
        return Err(Error::invalid("Range of blkio weight is from 10 to 1000"));
    }
    for limit in &resources.ulimits {
        rlimit(limit)?;
        if limit.hard != -1 && (limit.soft == -1 || limit.soft > limit.hard) {
            let text =
                format!("ulimit soft limit must be less than or equal to hard limit: {} > {}", limit.soft, limit.hard);
            return Err(Error::invalid(text));
        }
    }
    Ok(warnings)
}

/// Takes out what this host cannot do, saying so as Docker does.
fn discard_missing(resources: &mut Resources, facts: &Facts, warnings: &mut Vec<String>) {
    let limits = facts.limits;
    let mut discard = |wanted: bool, supported: bool, text: &str| {
        let missing = wanted && !supported;
        if missing {
            warnings.push(format!("Your kernel does not support {text}"));
        }
        missing
    };
    let wanted = resources.memory > 0 || resources.memory_reservation > 0;
    if discard(wanted, limits.memory, "memory limit capabilities or the cgroup is not mounted. Limitation discarded.") {
        (resources.memory, resources.memory_swap, resources.memory_reservation) = (0, -1, 0);
    }
    let text = "swap limit capabilities or the cgroup is not mounted. Memory limited without swap.";
    if discard(resources.memory > 0 && resources.memory_swap != -1, limits.swap, text) {
        resources.memory_swap = -1;
    }
    let text = "OomKillDisable. OomKillDisable discarded.";
    if discard(resources.oom_kill_disable == Some(true), limits.oom_kill_disable, text) {
        resources.oom_kill_disable = None;
    }
    let text = "pids limit capabilities or the cgroup is not mounted. PIDs limit discarded.";
    if discard(resources.pids_limit.is_some_and(|limit| limit > 0), limits.pids, text) {
        resources.pids_limit = None;
    }
    let text = "Block I/O weight or the cgroup is not mounted. Weight discarded.";
    if discard(resources.blkio_weight > 0, limits.blkio_weight, text) {
        resources.blkio_weight = 0;
    }
    let text = "CPU shares or the cgroup is not mounted. Shares discarded.";
    if discard(resources.cpu_shares > 0, limits.cpu_shares, text) {
        resources.cpu_shares = 0;
    }
    let wanted = resources.cpu_quota > 0 || resources.cpu_period > 0 || resources.nano_cpus > 0;
    let text = "CPU CFS scheduler or the cgroup is not mounted. Period, quota and CPUs discarded.";
    if discard(wanted, limits.cpu_cfs, text) {
        (resources.cpu_quota, resources.cpu_period, resources.nano_cpus) = (0, 0, 0);
    }
    let wanted = !resources.cpuset_cpus.is_empty() || !resources.cpuset_mems.is_empty();
    if discard(wanted, limits.cpuset, "cpuset or the cgroup is not mounted. Cpuset discarded.") {
        resources.cpuset_cpus.clear();
        resources.cpuset_mems.clear();
    }
}

fn memory(resources: &mut Resources, warnings: &mut Vec<String>) -> Result<()> {
    let Resources { memory, memory_swap, memory_reservation, .. } = *resources;
    let text = if memory != 0 && memory < MINIMUM_MEMORY {
        "Minimum memory limit allowed is 6MB".to_owned()
    } else if memory > 0 && memory_swap > 0 && memory_swap < memory {
        "Minimum memoryswap limit should be larger than memory limit, see usage".to_owned()
    } else if memory == 0 && memory_swap > 0 {
        "You should always set the Memory limit when using Memoryswap limit, see usage".to_owned()
    } else if memory_reservation != 0 && memory_reservation < MINIMUM_MEMORY {
        "Minimum memory reservation allowed is 6MB".to_owned()
    } else if memory > 0 && memory_reservation > 0 && memory < memory_reservation {
        "Minimum memory limit can not be less than memory reservation limit, see usage".to_owned()
    } else if let Some(value) = resources.memory_swappiness.filter(|value| !(-1..=100).contains(value)) {
        format!("Invalid value: {value}, valid memory swappiness range is 0-100")
    } else {
        if resources.oom_kill_disable == Some(true) && memory == 0 {
            warnings.push(
                "OOM killer is disabled for the container, but no memory limit is set, this can result in the system \
                 running out of resources."
                    .to_owned(),
            );
        }
        return Ok(());
    };
    Err(Error::invalid(text))
}

fn cpu(resources: &Resources, facts: &Facts) -> Result<()> {
    let Resources { nano_cpus, cpu_period, cpu_quota, .. } = *resources;
    let cpus = i64::try_from(facts.cpus).unwrap_or(i64::MAX);
    let text = if nano_cpus > 0 && cpu_period > 0 {
        "Conflicting options: Nano CPUs and CPU Period cannot both be set".to_owned()
    } else if nano_cpus > 0 && cpu_quota > 0 {
        "Conflicting options: Nano CPUs and CPU Quota cannot both be set".to_owned()
    } else if nano_cpus < 0 || nano_cpus > cpus.saturating_mul(1_000_000_000) || (1..10_000_000).contains(&nano_cpus) {
        format!("Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    } else if cpu_period != 0 && !(1_000..=1_000_000).contains(&cpu_period) {
        "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)".to_owned()
    } else if cpu_quota > 0 && cpu_quota < 1_000 {
        "CPU cfs quota can not be less than 1ms (i.e. 1000)".to_owned()
    } else if resources.cpu_shares < 0 {
        format!("invalid CPU shares ({}): value must be a positive integer", resources.cpu_shares)
    } else if (1..LEAST_SHARES).contains(&resources.cpu_shares) {
        format!("the minimum allowed cpu-shares is {LEAST_SHARES}")
    } else if resources.cpu_shares > MOST_SHARES {
        format!("the maximum allowed cpu-shares is {MOST_SHARES}")
    } else {
        return cpuset(resources, facts);
    };
    Err(Error::invalid(text))
}

fn cpuset(resources: &Resources, facts: &Facts) -> Result<()> {
    let sets = [
        ("CPUs", "cpus", &resources.cpuset_cpus, facts.cpus.saturating_sub(1)),
        ("memory nodes", "mems", &resources.cpuset_mems, facts.last_node),
    ];
    for (what, name, given, last) in sets {
        let Some(highest) = highest(given) else {
            return Err(Error::invalid(format!("Invalid value {given} for cpuset {name}")));
        };
        if highest.is_some_and(|wanted| wanted > last) {
            let available = if last == 0 { "0".to_owned() } else { format!("0-{last}") };
            let text = format!("Requested {what} are not available - requested {given}, available: {available}");
            return Err(Error::invalid(text));
        }
    }
    Ok(())
}

/// The highest number of a list such as `0-2,7`: `Some(None)` for an empty list, `None` for something else.
pub(crate) fn highest(list: &str) -> Option<Option<usize>> {
    if list.is_empty() {
        return Some(None);
    }
    let mut highest = 0;
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (usize, usize) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
        if from > to {
            return None;
        }
        highest = highest.max(to);
    }
    Some(Some(highest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn facts() -> Facts {
        let limits = Limits {
            memory: true,
            swap: true,
            cpu_cfs: true,
            cpuset: true,
            cpu_shares: true,
            pids: true,
            ..Limits::default()
        };
        Facts { cpus: 2, limits, ..Facts::default() }
    }

    fn refusal(resources: Resources) -> String {
        let mut host = HostSpec { resources, ..HostSpec::default() };
        check(&mut host, &facts()).unwrap_err().to_string()
    }

    #[test]
    fn contradictions_are_refused_in_dockers_words() {
        let cases = [
            (Resources { memory: 1, ..Resources::default() }, "Minimum memory limit allowed is 6MB"),
            (
                Resources { memory_swap: 1, ..Resources::default() },
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (
                Resources { nano_cpus: 3_000_000_000, ..Resources::default() },
                "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                Resources { cpuset_cpus: "0-5".into(), ..Resources::default() },
                "Requested CPUs are not available - requested 0-5, available: 0-1",
            ),
            (
                Resources { cpuset_mems: "5".into(), ..Resources::default() },
                "Requested memory nodes are not available - requested 5, available: 0",
            ),
            (Resources { cpuset_cpus: "2-1".into(), ..Resources::default() }, "Invalid value 2-1 for cpuset cpus"),
        ];
        for (resources, text) in cases {
            assert_eq!(refusal(resources), text);
        }
    }

    #[test]
    fn what_the_host_lacks_is_discarded_with_a_warning() {
        let resources = Resources { memory: 1 << 30, pids_limit: Some(5), ..Resources::default() };
        let mut host = HostSpec { resources, ..HostSpec::default() };
        let warnings = check(&mut host, &Facts { cpus: 1, ..Facts::default() }).unwrap();
        assert_eq!((host.resources.memory, host.resources.pids_limit), (0, None));
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].starts_with("Your kernel does not support memory limit capabilities"));
    }
}
