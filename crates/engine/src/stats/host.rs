//! What all samples of one moment have in common.

use std::fs;

/// Nanoseconds of a clock tick as /proc counts them (`USER_HZ`, time(7)); 100 a second on every architecture Linux has.
const TICK_NS: u64 = 1_000_000_000 / 100;
/// Columns of the first line of /proc/stat that Docker adds up: user, nice, system, idle, iowait, irq, softirq. What
/// guests used is in `user` already.
const COLUMNS: usize = 7;

/// The host at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Host {
    /// CPU time of all CPUs, idle or not, in nanoseconds.
    pub cpu_ns: u64,
    pub online_cpus: u32,
    /// Bytes of memory.
    pub memory: u64,
}

impl Host {
    /// Reads /proc/stat and asks sysinfo(2).
    pub(super) fn read() -> Self {
        let memory = rustix::system::sysinfo();
        let memory = memory.totalram as u64 * u64::from(memory.mem_unit);
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self { memory, ..Self::parse(&stat) }
    }

    fn parse(stat: &str) -> Self {
        let mut host = Self::default();
        for line in stat.lines().map_while(|line| line.strip_prefix("cpu")) {
            if let Some(all) = line.strip_prefix(' ') {
                let ticks = all.split_ascii_whitespace().take(COLUMNS).filter_map(|word| word.parse::<u64>().ok());
                host.cpu_ns = ticks.sum::<u64>() * TICK_NS;
            } else {
                host.online_cpus += 1;
            }
        }
        host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_added_up_and_the_others_are_counted() {
        let host = Host::parse("cpu  1 2 3 4 5 6 7 100 100 100\ncpu0 1 1 1\ncpu1 1 1 1\nintr 5\ncpu9 1\n");
        assert_eq!(host, Host { cpu_ns: 28 * 10_000_000, online_cpus: 2, memory: 0 });
    }

    #[test]
    fn this_host_has_cpus_and_memory() {
        let host = Host::read();
        assert!(host.cpu_ns > 0 && host.online_cpus > 0 && host.memory > 0, "{host:?}");
    }
}
