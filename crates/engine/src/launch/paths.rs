//! Paths below /proc and /sys that a container must not read or write, as Docker has them.

/// In Docker's order, which clients see.
const MASKED: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Hidden.
pub(crate) fn masked() -> Vec<String> {
    MASKED.iter().map(ToString::to_string).collect()
}

/// Not to be written.
pub(crate) fn read_only() -> Vec<String> {
    READ_ONLY.iter().map(ToString::to_string).collect()
}
