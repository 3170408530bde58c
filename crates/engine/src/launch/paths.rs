//! Paths below /proc and /sys that a container must not read or write, as Docker has them.

const MASKED: [&str; 10] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
];
const MASKED_SYS: [&str; 2] = ["/sys/devices/virtual/powercap", "/sys/firmware"];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Hidden.
pub(crate) fn masked() -> Vec<String> {
    MASKED.iter().chain(&MASKED_SYS).map(ToString::to_string).collect()
}

/// Not to be written.
pub(crate) fn read_only() -> Vec<String> {
    READ_ONLY.iter().map(ToString::to_string).collect()
}
