//! What went through a container's network interfaces.

use std::collections::BTreeMap;
use std::fs;

use dhow_errdefs::ResultExt;

use super::{NetworkCounters, Traffic};
use crate::container::{Process, View};
use crate::launch::Sharing;

/// Devices that the kernel puts into every network namespace: loopback, and those of tunnel modules.
const NOT_A_CONTAINERS: [&str; 10] =
    ["lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "ip6tnl0", "ip6gre0", "sit0"];

/// The counters by interface. /proc shows each process its own network namespace, so that reading them there needs no
/// process in the container and no visit to its namespace.
pub(super) fn counters(view: &View, process: &Process) -> BTreeMap<String, NetworkCounters> {
    if Sharing::of(&view.spec.host.network_mode) == Sharing::Host && !view.spec.network_disabled {
        return BTreeMap::new();
    }
    let read = process.look(|pid| fs::read_to_string(format!("/proc/{pid}/net/dev")).context(|| "read net/dev"));
    parse(&read.unwrap_or_default())
}

/// Two lines of heads, then `name: ` and sixteen numbers, eight for each direction (proc_pid_net(5)).
fn parse(text: &str) -> BTreeMap<String, NetworkCounters> {
    let interface = |line: &str| {
        let (name, numbers) = line.trim_start().split_once(':')?;
        let numbers: Vec<u64> = numbers.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
        let traffic = |from: usize| {
            let [bytes, packets, errors, dropped] = *numbers.get(from..from + 4)? else { return None };
            Some(Traffic { bytes, packets, errors, dropped })
        };
        Some((name.to_owned(), NetworkCounters { rx: traffic(0)?, tx: traffic(8)? }))
    };
    text.lines().skip(2).filter_map(interface).filter(|(name, _)| !NOT_A_CONTAINERS.contains(&name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_not_counted() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes\n\
            \x20   lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0\n\
            \x20 eth0:1296     16    2    3    0     0          0         0   648      8    4    5    0     0       0          0\n";
        let rx = Traffic { bytes: 1296, packets: 16, errors: 2, dropped: 3 };
        let tx = Traffic { bytes: 648, packets: 8, errors: 4, dropped: 5 };
        assert_eq!(parse(text), [("eth0".to_owned(), NetworkCounters { rx, tx })].into());
    }

    #[test]
    fn a_namespace_that_has_gone_has_no_interfaces() {
        assert_eq!(parse(""), BTreeMap::new());
    }
}
