//! What a cgroup has used so far.

use std::collections::BTreeMap;

use dhow_errdefs::Result;

use crate::cgroup::{Cgroup, Member};
use crate::file::{Directory, keyed};
use crate::hierarchy::Version;
use crate::{Controller, oom, pids};

/// One reading of every counter. What the host does not count is zero, empty or `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Tasks.
    pub pids: PidsStats,
    /// Block I/O.
    pub io: IoStats,
}

/// CPU time in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// In all.
    pub usage_ns: u64,
    /// In user mode.
    pub user_ns: u64,
    /// In kernel mode.
    pub system_ns: u64,
    /// By CPU; v1 only.
    pub per_cpu_ns: Vec<u64>,
    /// Periods in which the quota was looked at.
    pub periods: u64,
    /// Periods in which the quota was used up.
    pub throttled_periods: u64,
    /// Time spent waiting for the next period.
    pub throttled_ns: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// What is charged now, the page cache included.
    pub usage: u64,
    /// The most there ever was; v2 tells since Linux 5.19.
    pub max_usage: Option<u64>,
    /// The limit, if there is one.
    pub limit: Option<u64>,
    /// How often the limit was met.
    pub failures: u64,
    /// Swap in use.
    pub swap: Option<u64>,
    /// `memory.stat` as the kernel writes it: its keys differ between v1 and v2, and Docker's API hands them on.
    pub stat: BTreeMap<String, u64>,
    /// Processes killed for lack of memory.
    pub oom_kills: u64,
}

impl MemoryStats {
    /// The usage without page cache that can be dropped at once, which is what `docker stats` shows.
    #[must_use]
    pub fn without_inactive_file(&self) -> u64 {
        // v1 counts the children only in the keys that begin with `total_`.
        let cache = self.stat.get("total_inactive_file").or_else(|| self.stat.get("inactive_file")).copied();
        match cache {
            Some(cache) if cache < self.usage => self.usage - cache,
            _ => self.usage,
        }
    }
}

/// Numbers of tasks (threads).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PidsStats {
    /// Now.
    pub current: u64,
    /// At most, if there is a limit.
    pub limit: Option<u64>,
}

/// Block I/O, by device and operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IoStats {
    /// Bytes transferred.
    pub bytes: Vec<IoEntry>,
    /// Requests served.
    pub requests: Vec<IoEntry>,
}

/// One counter of block I/O.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IoEntry {
    /// Major number of the device.
    pub major: u64,
    /// Minor number of the device.
    pub minor: u64,
    /// The operation: `Read`, `Write`, `Sync`, `Async`, `Discard` and `Total` on v1, `read` and `write` on v2.
    pub operation: String,
    /// The count.
    pub value: u64,
}

impl Cgroup {
    /// Reads every counter.
    ///
    /// # Errors
    /// What reading the files gives; `NotFound` when the cgroup is removed meanwhile.
    pub fn stats(&self) -> Result<Stats> {
        Ok(Stats {
            cpu: self.cpu_stats()?,
            memory: self.memory_stats()?,
            pids: self.pids_stats()?,
            io: self.io_stats()?,
        })
    }

    /// Whether memory is counted by version 2, whose `memory.stat` has other keys than that of version 1.
    #[must_use]
    pub fn counts_memory_by_v2(&self) -> bool {
        self.member(Controller::Memory).map_or(self.v2().is_some(), |member| member.version == Version::V2)
    }

    fn cpu_stats(&self) -> Result<CpuStats> {
        let mut stats = CpuStats::default();
        if let Some(member) = self.member(Controller::CpuAcct) {
            accounting_v1(&member.directory, &mut stats)?;
        } else if let Some(member) = self.v2() {
            // Every v2 cgroup counts CPU time, also where the controller is off or in a v1 tree.
            let text = member.directory.read_if_there("cpu.stat")?.unwrap_or_default();
            let micros = |key| keyed(&text, key).unwrap_or(0) * 1000;
            stats.usage_ns = micros("usage_usec");
            stats.user_ns = micros("user_usec");
            stats.system_ns = micros("system_usec");
        }
        if let Some(member) = self.member(Controller::Cpu) {
            let text = member.directory.read_if_there("cpu.stat")?.unwrap_or_default();
            let value = |key| keyed(&text, key).unwrap_or(0);
            stats.periods = value("nr_periods");
            stats.throttled_periods = value("nr_throttled");
            stats.throttled_ns = match member.version {
                Version::V1 => value("throttled_time"),
                Version::V2 => value("throttled_usec") * 1000,
            };
        }
        Ok(stats)
    }

    fn memory_stats(&self) -> Result<MemoryStats> {
        let Some(member) = self.member(Controller::Memory) else { return Ok(MemoryStats::default()) };
        let directory = &member.directory;
        let mut stats = match member.version {
            Version::V1 => memory_v1(directory)?,
            Version::V2 => memory_v2(directory)?,
        };
        stats.stat = table(&directory.read("memory.stat")?);
        stats.oom_kills = self.oom_kills()?;
        Ok(stats)
    }

    fn pids_stats(&self) -> Result<PidsStats> {
        if let Some(member) = self.member(Controller::Pids) {
            let current = member.directory.read_number("pids.current")?.unwrap_or(0);
            return Ok(PidsStats { current, limit: member.directory.read_number("pids.max")? });
        }
        let Some(member) = self.main() else { return Ok(PidsStats::default()) };
        let file = if member.version == Version::V1 { "tasks" } else { "cgroup.threads" };
        Ok(PidsStats { current: pids::count_threads(&member.directory, file)?, limit: None })
    }

    fn io_stats(&self) -> Result<IoStats> {
        match self.member(Controller::BlkIo) {
            Some(Member { directory, version: Version::V1, .. }) => io_v1(directory),
            Some(Member { directory, .. }) => Ok(io_v2(&directory.read_if_there("io.stat")?.unwrap_or_default())),
            None => Ok(IoStats::default()),
        }
    }
}

fn accounting_v1(directory: &Directory, stats: &mut CpuStats) -> Result<()> {
    stats.usage_ns = directory.read_number("cpuacct.usage")?.unwrap_or(0);
    stats.user_ns = directory.read_number("cpuacct.usage_user")?.unwrap_or(0);
    stats.system_ns = directory.read_number("cpuacct.usage_sys")?.unwrap_or(0);
    let by_cpu = directory.read_if_there("cpuacct.usage_percpu")?.unwrap_or_default();
    stats.per_cpu_ns = by_cpu.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect();
    Ok(())
}

fn memory_v1(directory: &Directory) -> Result<MemoryStats> {
    // Without a limit the kernel writes the greatest number of pages in bytes.
    let unlimited = |limit: &u64| *limit < 1 << 62;
    let usage = directory.read_number("memory.usage_in_bytes")?.unwrap_or(0);
    let with_swap = directory.read_number("memory.memsw.usage_in_bytes")?;
    Ok(MemoryStats {
        usage,
        max_usage: directory.read_number("memory.max_usage_in_bytes")?,
        limit: directory.read_number("memory.limit_in_bytes")?.filter(unlimited),
        failures: directory.read_number("memory.failcnt")?.unwrap_or(0),
        swap: with_swap.map(|both| both.saturating_sub(usage)),
        ..MemoryStats::default()
    })
}

fn memory_v2(directory: &Directory) -> Result<MemoryStats> {
    Ok(MemoryStats {
        usage: directory.read_number("memory.current")?.unwrap_or(0),
        max_usage: directory.read_number("memory.peak")?,
        limit: directory.read_number("memory.max")?,
        failures: directory.read_keyed(oom::EVENTS_V2, "max")?.unwrap_or(0),
        swap: directory.read_number("memory.swap.current")?,
        ..MemoryStats::default()
    })
}

fn table(text: &str) -> BTreeMap<String, u64> {
    let entry = |line: &str| {
        let (key, value) = line.split_once(' ')?;
        Some((key.to_owned(), value.trim().parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

/// BFQ counts in files of its own; otherwise the throttling layer counts.
fn io_v1(directory: &Directory) -> Result<IoStats> {
    let read = |kind: &str| -> Result<Vec<IoEntry>> {
        for prefix in ["blkio.bfq", "blkio.throttle"] {
            let text = directory.read_if_there(&format!("{prefix}.{kind}_recursive"))?.unwrap_or_default();
            let entries: Vec<IoEntry> = text.lines().filter_map(entry_v1).collect();
            if !entries.is_empty() {
                return Ok(entries);
            }
        }
        Ok(Vec::new())
    };
    Ok(IoStats { bytes: read("io_service_bytes")?, requests: read("io_serviced")? })
}

/// A line `8:0 Read 4096`; the last line, a total over all devices, has no device and is left out.
fn entry_v1(line: &str) -> Option<IoEntry> {
    let mut words = line.split_ascii_whitespace();
    let (major, minor) = device(words.next()?)?;
    let operation = words.next()?.to_owned();
    Some(IoEntry { major, minor, operation, value: words.next()?.parse().ok()? })
}

/// Lines `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`.
fn io_v2(text: &str) -> IoStats {
    let mut stats = IoStats::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else { continue };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, operation) = match key {
                "rbytes" => (&mut stats.bytes, "read"),
                "wbytes" => (&mut stats.bytes, "write"),
                "rios" => (&mut stats.requests, "read"),
                "wios" => (&mut stats.requests, "write"),
                _ => continue,
            };
            let value = value.parse().unwrap_or(0);
            list.push(IoEntry { major, minor, operation: operation.to_owned(), value });
        }
    }
    stats
}

fn device(word: &str) -> Option<(u64, u64)> {
    let (major, minor) = word.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_cache_that_can_go_is_taken_off() {
        let stat = table("inactive_file 30\nanon 5\n");
        let memory = MemoryStats { usage: 100, stat, ..MemoryStats::default() };
        assert_eq!(memory.without_inactive_file(), 70);
        let stat = table("inactive_file 1\ntotal_inactive_file 200\n");
        assert_eq!(MemoryStats { stat, ..memory }.without_inactive_file(), 100);
    }

    #[test]
    fn block_io_is_read_by_device_and_operation() {
        let stats = io_v2("8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n");
        assert_eq!(stats.bytes[1], IoEntry { major: 8, minor: 0, operation: "write".into(), value: 8192 });
        assert_eq!(stats.requests.len(), 2);
        assert_eq!(entry_v1("253:1 Sync 7").unwrap().operation, "Sync");
        assert_eq!(entry_v1("Total 7"), None);
    }
}
