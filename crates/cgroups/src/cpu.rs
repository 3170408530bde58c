//! CPU time.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::LinuxCpu;
use rustix::io::Errno;

use crate::cgroup::Member;
use crate::file::Directory;
use crate::hierarchy::Version;

/// The period that the kernel and Docker take when none is given: 100 ms, in µs.
const DEFAULT_PERIOD: u64 = 100_000;

/// Whether the section asks for CPU time (CPU sets are a controller of their own).
pub(crate) fn is_wanted(cpu: &LinuxCpu) -> bool {
    let unsigned = [cpu.shares, cpu.period, cpu.burst, cpu.realtime_period];
    let signed = [cpu.quota, cpu.realtime_runtime];
    unsigned.iter().any(|number| number.is_some_and(|n| n != 0))
        || signed.iter().any(|number| number.is_some_and(|n| n != 0))
        || cpu.idle.is_some()
}

/// Writes the limits.
pub(crate) fn apply(member: &Member, cpu: &LinuxCpu) -> Result<()> {
    match member.version {
        Version::V1 => apply_v1(&member.directory, cpu),
        Version::V2 => apply_v2(&member.directory, cpu),
    }
}

fn apply_v1(directory: &Directory, cpu: &LinuxCpu) -> Result<()> {
    if let Some(period) = given(cpu.realtime_period) {
        directory.write("cpu.rt_period_us", &period.to_string())?;
    }
    if let Some(runtime) = cpu.realtime_runtime.filter(|runtime| *runtime != 0) {
        directory.write("cpu.rt_runtime_us", &runtime.to_string())?;
    }
    if let Some(idle) = cpu.idle {
        directory.write("cpu.idle", &idle.to_string())?;
    }
    // Shares of an idle group are refused by the kernel.
    if let Some(shares) = given(cpu.shares).filter(|_| cpu.idle != Some(1)) {
        directory.write("cpu.shares", &shares.to_string())?;
    }
    quota_v1(directory, cpu)?;
    match given(cpu.burst) {
        Some(burst) => directory.write("cpu.cfs_burst_us", &burst.to_string()),
        None => Ok(()),
    }
}

/// Quota and period are two files, and the kernel refuses what exceeds the parent's share in between. So: the period
/// first, and if that is refused together with the old quota, again after the quota.
fn quota_v1(directory: &Directory, cpu: &LinuxCpu) -> Result<()> {
    let mut period = given(cpu.period);
    if let Some(value) = period {
        match directory.write_raw("cpu.cfs_period_us", &value.to_string()) {
            Ok(()) => period = None,
            Err(Errno::INVAL) if cpu.quota.is_some_and(|quota| quota != 0) => {}
            Err(_) => directory.write("cpu.cfs_period_us", &value.to_string())?,
        }
    }
    if let Some(quota) = cpu.quota.filter(|quota| *quota != 0) {
        directory.write("cpu.cfs_quota_us", &quota.to_string())?;
    }
    match period {
        Some(value) => directory.write("cpu.cfs_period_us", &value.to_string()),
        None => Ok(()),
    }
}

fn apply_v2(directory: &Directory, cpu: &LinuxCpu) -> Result<()> {
    if given(cpu.realtime_period).is_some() || cpu.realtime_runtime.is_some_and(|runtime| runtime != 0) {
        return Err(Error::invalid("cgroup v2 has no limits for real-time CPU")
            .with_hint("run without --cpu-rt-runtime and --cpu-rt-period"));
    }
    if let Some(idle) = cpu.idle {
        directory.write("cpu.idle", &idle.to_string())?;
    }
    if let Some(shares) = given(cpu.shares).filter(|_| cpu.idle != Some(1)) {
        directory.write("cpu.weight", &weight_of(shares).to_string())?;
    }
    let quota = cpu.quota.filter(|quota| *quota != 0);
    let period = given(cpu.period);
    if quota.is_some() || period.is_some() {
        directory.write("cpu.max", &max_line(directory, quota, period)?)?;
    }
    match given(cpu.burst) {
        Some(burst) => directory.write("cpu.max.burst", &burst.to_string()),
        None => Ok(()),
    }
}

/// `quota period`; a period alone keeps the quota that is set.
fn max_line(directory: &Directory, quota: Option<i64>, period: Option<u64>) -> Result<String> {
    let quota = match quota {
        Some(quota) if quota > 0 => quota.to_string(),
        Some(_) => "max".to_owned(),
        None => {
            let now = directory.read_if_there("cpu.max")?.unwrap_or_default();
            now.split_ascii_whitespace().next().unwrap_or("max").to_owned()
        }
    };
    Ok(format!("{quota} {}", period.unwrap_or(DEFAULT_PERIOD)))
}

/// `cpu.weight` (1 to 10,000, ordinarily 100) from `cpu.shares` (2 to 262,144, ordinarily 1,024).
///
/// A curve through the ends and through the ordinary value: 10 to the power of (l² + 125 l) / 612 − 7/34 with
/// l = log2(shares). It is what runc has since 1.4 and crun since 1.23; the straight line they had before gave an
/// ordinary container 39, less than half of what a process beside it has.
pub(crate) fn weight_of(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let logarithm = (shares as f64).log2();
            let exponent = (logarithm * logarithm + 125.0 * logarithm) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

fn given(value: Option<u64>) -> Option<u64> {
    value.filter(|value| *value != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinary_share_is_the_ordinary_weight() {
        let known = [(1, 1), (2, 1), (1024, 100), (262_144, 10_000), (1_000_000, 10_000)];
        for (shares, weight) in known {
            assert_eq!(weight_of(shares), weight, "{shares} shares");
        }
    }

    #[test]
    fn more_shares_never_weigh_less() {
        let weights: Vec<u64> = (2..20_000).map(weight_of).collect();
        assert!(weights.is_sorted());
    }

    #[test]
    fn an_empty_section_wants_nothing() {
        assert!(!is_wanted(&LinuxCpu { shares: Some(0), quota: Some(0), ..LinuxCpu::default() }));
        assert!(is_wanted(&LinuxCpu { quota: Some(-1), ..LinuxCpu::default() }));
    }
}
