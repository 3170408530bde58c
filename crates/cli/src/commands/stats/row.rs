//! One line of `stats`.

use dhow_api::container::{BlkioStats, Stats};

use crate::format::{Column, Row, binary, decimal_3, short_id};

/// What a container uses, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Usage {
    /// As it was asked for.
    pub(super) container: String,
    id: String,
    name: String,
    full: bool,
    /// Something, good or bad, has come.
    pub(super) told: bool,
    /// Why nothing can be known.
    pub(super) failure: Option<String>,
    /// `None` while nothing is known.
    numbers: Option<Numbers>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Numbers {
    cpu_percent: f64,
    memory: f64,
    memory_limit: f64,
    received: f64,
    sent: f64,
    read: f64,
    written: f64,
    pids: u64,
}

impl Usage {
    pub(super) fn of(container: &str, full: bool) -> Self {
        Self { container: container.to_owned(), full, ..Self::default() }
    }

    pub(super) fn tell(&mut self, stats: &Stats) {
        (self.id, self.name) = (stats.id.clone(), stats.name.clone());
        self.told = true;
        self.numbers = Some(Numbers::of(stats));
    }

    pub(super) fn forget(&mut self) {
        self.told = true;
        self.numbers = None;
    }
}

impl Numbers {
    #[allow(clippy::cast_precision_loss, reason = "a few digits are shown")]
    fn of(stats: &Stats) -> Self {
        let (read, written) = block_io(&stats.blkio_stats);
        let sum = |one: fn(&dhow_api::container::NetworkStats) -> u64| stats.networks.values().map(one).sum::<u64>();
        Self {
            cpu_percent: cpu_percent(stats),
            memory: memory_without_cache(stats) as f64,
            memory_limit: stats.memory_stats.limit as f64,
            received: sum(|network| network.rx_bytes) as f64,
            sent: sum(|network| network.tx_bytes) as f64,
            read: read as f64,
            written: written as f64,
            pids: stats.pids_stats.current,
        }
    }

    fn memory_percent(&self) -> f64 {
        if self.memory_limit == 0.0 { 0.0 } else { self.memory / self.memory_limit * 100.0 }
    }
}

/// The container's share of the host's time between the two readings; one whole CPU is 100.
#[allow(clippy::cast_precision_loss, reason = "two digits behind the point are shown")]
fn cpu_percent(stats: &Stats) -> f64 {
    let (now, before) = (&stats.cpu_stats, &stats.precpu_stats);
    let own = now.cpu_usage.total_usage as f64 - before.cpu_usage.total_usage as f64;
    let all = now.system_cpu_usage as f64 - before.system_cpu_usage as f64;
    let cpus = match now.online_cpus {
        0 => now.cpu_usage.percpu_usage.len() as f64,
        online => f64::from(online),
    };
    if own > 0.0 && all > 0.0 { own / all * cpus * 100.0 } else { 0.0 }
}

/// Page cache that could be dropped at once is no use of memory. Version 1 of cgroups counts the children in
/// `total_inactive_file` only.
fn memory_without_cache(stats: &Stats) -> u64 {
    let memory = &stats.memory_stats;
    let cache = memory.stats.get("total_inactive_file").or_else(|| memory.stats.get("inactive_file"));
    match cache {
        Some(cache) if *cache < memory.usage => memory.usage - cache,
        _ => memory.usage,
    }
}

/// Bytes read and written, on all devices.
fn block_io(stats: &BlkioStats) -> (u64, u64) {
    let sum = |operation: &str| {
        let entries = stats.io_service_bytes_recursive.iter().flatten();
        entries.filter(|entry| entry.op.eq_ignore_ascii_case(operation)).map(|entry| entry.value).sum()
    };
    (sum("read"), sum("write"))
}

impl Row for Usage {
    const KIND: &'static str = "*container.statsContext";
    const COLUMNS: &'static [Column] = &[
        Column { name: "Container", header: "CONTAINER" },
        Column { name: "ID", header: "CONTAINER ID" },
        Column { name: "Name", header: "NAME" },
        Column { name: "CPUPerc", header: "CPU %" },
        Column { name: "MemUsage", header: "MEM USAGE / LIMIT" },
        Column { name: "MemPerc", header: "MEM %" },
        Column { name: "NetIO", header: "NET I/O" },
        Column { name: "BlockIO", header: "BLOCK I/O" },
        Column { name: "PIDs", header: "PIDS" },
    ];

    fn field(&self, name: &str) -> String {
        let id = if self.id.is_empty() { &self.container } else { &self.id };
        match (name, &self.numbers) {
            ("Container", _) => self.container.clone(),
            ("ID", _) if self.full => id.clone(),
            ("ID", _) => short_id(id).to_owned(),
            ("Name", _) if self.name.len() > 1 => self.name[1..].to_owned(),
            ("Name" | "CPUPerc" | "MemPerc" | "NetIO" | "BlockIO" | "PIDs", None) | ("Name", _) => "--".to_owned(),
            ("MemUsage", None) => "-- / --".to_owned(),
            ("CPUPerc", Some(numbers)) => format!("{:.2}%", numbers.cpu_percent),
            ("MemUsage", Some(numbers)) => format!("{} / {}", binary(numbers.memory), binary(numbers.memory_limit)),
            ("MemPerc", Some(numbers)) => format!("{:.2}%", numbers.memory_percent()),
            ("NetIO", Some(numbers)) => format!("{} / {}", decimal_3(numbers.received), decimal_3(numbers.sent)),
            ("BlockIO", Some(numbers)) => format!("{} / {}", decimal_3(numbers.read), decimal_3(numbers.written)),
            ("PIDs", Some(numbers)) => numbers.pids.to_string(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = br#"{"name":"/box","id":"0123456789abcdef","pids_stats":{"current":3},
        "cpu_stats":{"cpu_usage":{"total_usage":300},"system_cpu_usage":2000,"online_cpus":2},
        "precpu_stats":{"cpu_usage":{"total_usage":100},"system_cpu_usage":1000},
        "memory_stats":{"usage":3145728,"limit":4194304,"stats":{"inactive_file":1048576}},
        "blkio_stats":{"io_service_bytes_recursive":[{"op":"Read","value":1000},{"op":"write","value":5},{"op":"Total","value":9}]},
        "networks":{"eth0":{"rx_bytes":1500,"tx_bytes":1},"eth1":{"rx_bytes":500}}}"#;

    fn field(usage: &Usage, name: &str) -> String {
        usage.field(name)
    }

    #[test]
    fn fields_are_dockers() {
        let mut usage = Usage::of("box", false);
        usage.tell(&dhow_api::json::from_slice(TEXT).unwrap());
        for (name, text) in [
            ("Container", "box"),
            ("ID", "0123456789ab"),
            ("Name", "box"),
            ("CPUPerc", "40.00%"),
            ("MemUsage", "2MiB / 4MiB"),
            ("MemPerc", "50.00%"),
            ("NetIO", "2kB / 1B"),
            ("BlockIO", "1kB / 5B"),
            ("PIDs", "3"),
        ] {
            assert_eq!(field(&usage, name), text, "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_two_dashes() {
        let mut usage = Usage::of("box", false);
        assert_eq!((field(&usage, "Name"), field(&usage, "MemUsage")), ("--".into(), "-- / --".into()));
        usage.tell(&Stats::default());
        assert_eq!((field(&usage, "CPUPerc"), field(&usage, "MemUsage")), ("0.00%".into(), "0B / 0B".into()));
        usage.forget();
        assert_eq!(field(&usage, "PIDs"), "--");
    }
}
