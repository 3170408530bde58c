//! Capability names and the five sets of a process (capabilities(7)).

use std::sync::OnceLock;

use dhow_oci::runtime::LinuxCapabilities;
use rustix::thread::{CapabilitySet, capability_is_in_bounding_set};

/// The names in the order of their numbers.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Every name this version knows, with `CAP_`, in the order of their numbers.
#[must_use]
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// The highest capability the running kernel knows: it answers for no higher one (PR_CAPBSET_READ(2const)). Mostly it is the
/// one that is known here, too, so that two questions are enough.
fn last() -> u32 {
    static LAST: OnceLock<u32> = OnceLock::new();
    *LAST.get_or_init(|| {
        let newest = NAMES.len() as u32 - 1;
        let is_known =
            |number: &u32| capability_is_in_bounding_set(CapabilitySet::from_bits_retain(1 << number)).is_ok();
        (newest + 1..64).take_while(is_known).last().or_else(|| (0..=newest).rev().find(is_known)).unwrap_or(newest)
    })
}

/// The five sets as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sets {
    /// The highest capability there is. The child must not look it up: it may not allocate, and its /proc is the
    /// container's.
    pub(crate) last: u32,
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
}

impl Sets {
    /// The sets a process asks for, as far as `available` has them. What is unknown or not available is left out with
    /// a warning: the container then has less, never more.
    pub(crate) fn plan(wanted: &LinuxCapabilities, available: u64, warnings: &mut Vec<String>) -> Self {
        let mut bits = |names: &[String]| parse(names, available, warnings);
        let bounding = bits(&wanted.bounding);
        let permitted = bits(&wanted.permitted);
        let inheritable = bits(&wanted.inheritable);
        let effective = bits(&wanted.effective) & permitted;
        // The kernel raises an ambient capability only if it is permitted and inheritable.
        let ambient = bits(&wanted.ambient) & permitted & inheritable;
        Self { last: last(), bounding, effective, permitted, inheritable, ambient }
    }
}

fn parse(names: &[String], available: u64, warnings: &mut Vec<String>) -> u64 {
    let mut bits = 0;
    for name in names {
        let number = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name));
        let warning = match number {
            Some(number) if number as u32 > last() => format!("capability {name}: this kernel does not know it"),
            Some(number) if available & (1 << number) == 0 => format!("capability {name}: not held by this process"),
            Some(number) => {
                bits |= 1 << number;
                continue;
            }
            None => format!("capability {name}: unknown"),
        };
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn numbers_are_those_of_the_kernel() {
        let number = |name| NAMES.iter().position(|known| *known == name);
        assert_eq!(number("CAP_SYS_ADMIN"), Some(21));
        assert_eq!(number("CAP_SYS_RESOURCE"), Some(24));
        assert_eq!(number("CAP_CHECKPOINT_RESTORE"), Some(40));
    }

    #[test]
    fn unknown_and_missing_ones_are_left_out_with_one_warning_each() {
        let names = strings(&["CAP_KILL", "CAP_NOPE", "CAP_SYS_RESOURCE"]);
        let wanted = LinuxCapabilities { bounding: names.clone(), permitted: names, ..Default::default() };
        let mut warnings = Vec::new();
        let sets = Sets::plan(&wanted, !(1 << 24), &mut warnings);
        assert_eq!((sets.bounding, sets.permitted, sets.effective), (1 << 5, 1 << 5, 0));
        assert_eq!(warnings.len(), 2);
    }

    #[test]
    fn ambient_needs_permitted_and_inheritable() {
        let kill = strings(&["CAP_KILL"]);
        let wanted = LinuxCapabilities { permitted: kill.clone(), ambient: kill, ..Default::default() };
        assert_eq!(Sets::plan(&wanted, !0, &mut Vec::new()).ambient, 0);
    }
}
