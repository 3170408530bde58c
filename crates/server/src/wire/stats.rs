//! What containers use: engine → wire.

use std::collections::BTreeMap;

use dhow_api::container::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats, Stats, ThrottlingData,
};
use dhow_engine::{IoEntry, NetworkCounters, Reading, Sample};

use super::time;

/// One answer of `stats`; without a sample only the names are in it.
pub(crate) fn stats(reading: &Reading) -> Stats {
    let previous = reading.previous.as_deref();
    let named = Stats {
        name: format!("/{}", reading.name),
        id: reading.id.clone(),
        os_type: "linux".to_owned(),
        read: time::text(reading.sample.as_ref().map(|sample| sample.read)),
        preread: time::text(previous.map(|sample| sample.read)),
        precpu_stats: previous.map(cpu).unwrap_or_default(),
        ..Stats::default()
    };
    let Some(sample) = reading.sample.as_deref() else { return named };
    Stats {
        pids_stats: pids(sample),
        blkio_stats: block_io(sample),
        cpu_stats: cpu(sample),
        memory_stats: memory(sample),
        networks: networks(&sample.networks),
        ..named
    }
}

fn pids(sample: &Sample) -> PidsStats {
    let pids = &sample.usage.pids;
    // Docker tells "no limit" as 0 on version 1 and as the greatest number on version 2.
    let none = if sample.unified { u64::MAX } else { 0 };
    PidsStats { current: pids.current, limit: pids.limit.unwrap_or(none) }
}

fn cpu(sample: &Sample) -> CpuStats {
    let cpu = &sample.usage.cpu;
    CpuStats {
        cpu_usage: CpuUsage {
            total_usage: cpu.usage_ns,
            percpu_usage: cpu.per_cpu_ns.clone(),
            usage_in_kernelmode: cpu.system_ns,
            usage_in_usermode: cpu.user_ns,
        },
        system_cpu_usage: sample.system_ns,
        online_cpus: sample.online_cpus,
        throttling_data: ThrottlingData {
            periods: cpu.periods,
            throttled_periods: cpu.throttled_periods,
            throttled_time: cpu.throttled_ns,
        },
    }
}

/// `max_usage` and `failcnt` are there on version 1 only, which Docker's clients know.
fn memory(sample: &Sample) -> MemoryStats {
    let memory = &sample.usage.memory;
    MemoryStats {
        usage: memory.usage,
        max_usage: memory.max_usage.filter(|_| !sample.unified).unwrap_or_default(),
        stats: memory.stat.clone(),
        failcnt: if sample.unified { 0 } else { memory.failures },
        limit: memory.limit.unwrap_or_default(),
    }
}

fn block_io(sample: &Sample) -> BlkioStats {
    let entry = |entry: &IoEntry| BlkioEntry {
        major: entry.major,
        minor: entry.minor,
        op: entry.operation.clone(),
        value: entry.value,
    };
    let io = &sample.usage.io;
    let bytes = Some(io.bytes.iter().map(entry).collect());
    if sample.unified {
        return BlkioStats { io_service_bytes_recursive: bytes, ..BlkioStats::default() };
    }
    // What only the CFQ scheduler counted, which no kernel since 5.0 has.
    let nobody_counts = || Some(Vec::new());
    BlkioStats {
        io_service_bytes_recursive: bytes,
        io_serviced_recursive: Some(io.requests.iter().map(entry).collect()),
        io_queue_recursive: nobody_counts(),
        io_service_time_recursive: nobody_counts(),
        io_wait_time_recursive: nobody_counts(),
        io_merged_recursive: nobody_counts(),
        io_time_recursive: nobody_counts(),
        sectors_recursive: nobody_counts(),
    }
}

fn networks(networks: &BTreeMap<String, NetworkCounters>) -> BTreeMap<String, NetworkStats> {
    let stats = |NetworkCounters { rx, tx }: &NetworkCounters| NetworkStats {
        rx_bytes: rx.bytes,
        rx_packets: rx.packets,
        rx_errors: rx.errors,
        rx_dropped: rx.dropped,
        tx_bytes: tx.bytes,
        tx_packets: tx.packets,
        tx_errors: tx.errors,
        tx_dropped: tx.dropped,
    };
    networks.iter().map(|(name, counters)| (name.clone(), stats(counters))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn sample(usage_ns: u64, unified: bool) -> Arc<Sample> {
        let mut sample = Sample { unified, system_ns: 9, ..Sample::default() };
        sample.usage.cpu.usage_ns = usage_ns;
        (sample.usage.memory.max_usage, sample.usage.memory.failures) = (Some(5), 3);
        Arc::new(sample)
    }

    fn reading(unified: bool) -> Reading {
        let (id, name) = ("ab".to_owned(), "c".to_owned());
        Reading { id, name, sample: Some(sample(7, unified)), previous: Some(sample(4, unified)) }
    }

    #[test]
    fn both_moments_are_told() {
        let stats = stats(&reading(false));
        assert_eq!((stats.cpu_stats.cpu_usage.total_usage, stats.precpu_stats.cpu_usage.total_usage), (7, 4));
        assert_eq!((stats.name.as_str(), stats.preread.as_str()), ("/c", "1970-01-01T00:00:00Z"));
    }

    #[test]
    fn what_only_version_1_has_is_left_out_on_version_2() {
        let (old, new) = (stats(&reading(false)), stats(&reading(true)));
        assert_eq!((old.memory_stats.max_usage, old.memory_stats.failcnt, old.pids_stats.limit), (5, 3, 0));
        assert_eq!((new.memory_stats.max_usage, new.memory_stats.failcnt, new.pids_stats.limit), (0, 0, u64::MAX));
        assert_eq!(old.blkio_stats.sectors_recursive, Some(Vec::new()));
        assert_eq!(
            (new.blkio_stats.io_service_bytes_recursive, new.blkio_stats.io_serviced_recursive),
            (Some(Vec::new()), None)
        );
    }

    #[test]
    fn one_that_does_not_run_is_only_named() {
        let stats = stats(&Reading { name: "c".to_owned(), ..Reading::default() });
        assert_eq!((stats.read.as_str(), stats.name.as_str()), ("0001-01-01T00:00:00Z", "/c"));
        assert_eq!(stats.blkio_stats, BlkioStats::default());
    }
}
