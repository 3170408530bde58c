//! Memory and swap.
//!
//! The runtime-spec speaks v1: `swap` is memory and swap together. v2 counts swap alone, so it gets the difference.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::LinuxMemory;
use rustix::io::Errno;

use crate::cgroup::Member;
use crate::file::{Directory, failure};
use crate::hierarchy::Version;
use crate::warning;

const UNLIMITED: i64 = -1;

/// Whether the section asks for anything.
pub(crate) fn is_wanted(memory: &LinuxMemory) -> bool {
    let LinuxMemory { limit, reservation, swap, kernel_tcp, swappiness, disable_oom_killer, .. } = memory;
    let numbers = [limit, reservation, swap, kernel_tcp];
    numbers.iter().any(|number| number.is_some_and(|n| n != 0))
        || swappiness.is_some()
        || *disable_oom_killer == Some(true)
}

/// Writes the limits.
pub(crate) fn apply(member: &Member, memory: &LinuxMemory, warnings: &mut Vec<String>) -> Result<()> {
    match member.version {
        Version::V1 => apply_v1(&member.directory, memory, warnings),
        Version::V2 => apply_v2(&member.directory, memory, warnings),
    }
}

fn apply_v1(directory: &Directory, memory: &LinuxMemory, warnings: &mut Vec<String>) -> Result<()> {
    limit_v1(directory, memory, warnings)?;
    if let Some(reservation) = set(memory.reservation) {
        directory.write("memory.soft_limit_in_bytes", &reservation.to_string())?;
    }
    if let Some(tcp) = set(memory.kernel_tcp) {
        directory.write("memory.kmem.tcp.limit_in_bytes", &tcp.to_string())?;
    }
    if memory.disable_oom_killer == Some(true) {
        directory.write("memory.oom_control", "1")?;
    }
    if let Some(swappiness) = memory.swappiness {
        if swappiness > 100 {
            return Err(Error::invalid(format!("invalid memory swappiness {swappiness}: valid is 0 to 100")));
        }
        directory.write("memory.swappiness", &swappiness.to_string())?;
    }
    Ok(())
}

/// Limit and limit with swap have to be written in the order in which the second is never below the first.
fn limit_v1(directory: &Directory, memory: &LinuxMemory, warnings: &mut Vec<String>) -> Result<()> {
    let [plain, with_swap] = ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
    let swap_counted = directory.has(with_swap);
    let limit = set(memory.limit);
    let mut swap = set(memory.swap);
    if swap.is_some_and(|swap| swap != UNLIMITED) && !swap_counted {
        warnings.push(warning::SWAP_LIMIT.to_owned());
    }
    if limit == Some(UNLIMITED) && swap.is_none() {
        swap = Some(UNLIMITED);
    }
    let swap = swap.filter(|_| swap_counted);
    let raise_swap_first = match (limit, swap) {
        (Some(_), Some(UNLIMITED)) => true,
        (Some(_), Some(swap)) => directory.read_number(plain)?.is_none_or(|now| now < swap.cast_unsigned()),
        _ => false,
    };
    let mut writes = [(plain, limit), (with_swap, swap)];
    if raise_swap_first {
        writes.reverse();
    }
    for (file, value) in writes {
        if let Some(value) = value {
            write_limit(directory, file, value)?;
        }
    }
    Ok(())
}

/// The kernel answers EBUSY for a limit below what is in use and cannot be freed.
fn write_limit(directory: &Directory, file: &str, value: i64) -> Result<()> {
    directory.write_raw(file, &value.to_string()).map_err(|errno| {
        let error = failure(errno, format!("write {value} to {file} of cgroup {}", directory.name()));
        if errno != Errno::BUSY {
            return error;
        }
        let usage = directory.read_number("memory.usage_in_bytes").ok().flatten().unwrap_or(0);
        error.with_hint(format!("the container uses {usage} bytes now"))
    })
}

fn apply_v2(directory: &Directory, memory: &LinuxMemory, warnings: &mut Vec<String>) -> Result<()> {
    let swap = swap_alone(memory)?;
    if memory.check_before_update == Some(true) {
        check_usage(directory, memory)?;
    }
    if let Some(swap) = swap {
        let written = directory.write_if_there("memory.swap.max", &bytes(swap))?;
        if !written && swap != UNLIMITED {
            warnings.push(warning::SWAP_LIMIT.to_owned());
        }
    }
    if let Some(limit) = set(memory.limit) {
        directory.write("memory.max", &bytes(limit))?;
    }
    if let Some(reservation) = set(memory.reservation) {
        directory.write("memory.low", &bytes(reservation))?;
    }
    if memory.swappiness.is_some() {
        warnings.push(warning::SWAPPINESS.to_owned());
    }
    if memory.disable_oom_killer == Some(true) {
        warnings.push(warning::OOM_KILL_DISABLE.to_owned());
    }
    Ok(())
}

/// `memory.swap.max` from the limit of v1 for memory and swap together.
///
/// # Errors
/// `InvalidArgument` when there is no memory limit to take off, or when it is the greater one.
pub(crate) fn swap_alone(memory: &LinuxMemory) -> Result<Option<i64>> {
    match (set(memory.limit), set(memory.swap)) {
        (Some(UNLIMITED), None) | (_, Some(UNLIMITED)) => Ok(Some(UNLIMITED)),
        (_, None) => Ok(None),
        (None | Some(UNLIMITED), Some(_)) => Err(Error::invalid("unable to set swap limit without memory limit")),
        (Some(limit), Some(swap)) if swap < limit => {
            Err(Error::invalid("memory+swap limit should be larger than or equal to memory limit"))
        }
        (Some(limit), Some(swap)) => Ok(Some(swap - limit)),
    }
}

fn check_usage(directory: &Directory, memory: &LinuxMemory) -> Result<()> {
    let Some(limit) = set(memory.limit).filter(|limit| *limit > 0) else { return Ok(()) };
    let usage = directory.read_number("memory.current")?.unwrap_or(0);
    if usage > limit.cast_unsigned() {
        return Err(Error::conflict(format!("the memory limit {limit} is below the {usage} bytes in use")));
    }
    Ok(())
}

/// Zero means "not given", as everywhere in Docker and runc.
fn set(value: Option<i64>) -> Option<i64> {
    value.filter(|value| *value != 0)
}

fn bytes(value: i64) -> String {
    if value == UNLIMITED { "max".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: i64, swap: i64) -> LinuxMemory {
        LinuxMemory { limit: Some(limit), swap: Some(swap), ..LinuxMemory::default() }
    }

    #[test]
    fn v2_counts_swap_alone() {
        assert_eq!(swap_alone(&memory(100, 300)).unwrap(), Some(200));
        assert_eq!(swap_alone(&memory(100, 100)).unwrap(), Some(0));
        assert_eq!(swap_alone(&memory(100, -1)).unwrap(), Some(-1));
        assert_eq!(swap_alone(&memory(-1, 0)).unwrap(), Some(-1));
        assert_eq!(swap_alone(&memory(100, 0)).unwrap(), None);
        assert!(swap_alone(&memory(0, 100)).is_err());
        assert!(swap_alone(&memory(200, 100)).is_err());
    }

    #[test]
    fn an_empty_section_wants_nothing() {
        assert!(!is_wanted(&memory(0, 0)));
        assert!(is_wanted(&memory(1, 0)));
        assert!(is_wanted(&LinuxMemory { disable_oom_killer: Some(true), ..LinuxMemory::default() }));
        assert!(!is_wanted(&LinuxMemory { disable_oom_killer: Some(false), ..LinuxMemory::default() }));
    }
}
