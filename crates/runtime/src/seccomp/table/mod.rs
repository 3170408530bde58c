//! System calls by name, for each architecture.

mod aarch64;
mod arm;
mod x32;
mod x86;
mod x86_64;

use super::arch::Arch;

/// Marks a call of x32; it shares its audit number with x86-64 (`__X32_SYSCALL_BIT`).
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// Where ARM's private calls begin (`__ARM_NR_BASE`): they are not newer than the others, only elsewhere.
pub(super) const ARM_PRIVATE: u32 = 0xf_0000;

/// The number of a call; `None` where the architecture does not have it.
pub(super) fn number(arch: Arch, name: &str) -> Option<u32> {
    let find = |calls: &[(&str, u32)]| {
        let at = calls.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(calls[at].1)
    };
    match arch {
        Arch::X86_64 => find(x86_64::CALLS),
        Arch::X86 => find(x86::CALLS),
        Arch::X32 => find(x32::CALLS).map(|number| number | X32_BIT),
        Arch::Aarch64 => find(aarch64::CALLS),
        Arch::Arm => find(arm::CALLS),
    }
}

/// Every call of an architecture.
#[cfg(test)]
pub(super) fn calls(arch: Arch) -> &'static [(&'static str, u32)] {
    match arch {
        Arch::X86_64 => x86_64::CALLS,
        Arch::X86 => x86::CALLS,
        Arch::X32 => x32::CALLS,
        Arch::Aarch64 => aarch64::CALLS,
        Arch::Arm => arm::CALLS,
    }
}

/// Whether the kernel takes an argument as a 32-bit number and throws the rest of the register away; for the calls whose
/// arguments profiles look at.
pub(super) fn takes_int(call: &str, argument: u32) -> bool {
    match call {
        "socket" | "socketpair" => argument < 3,
        "ioctl" => argument < 2,
        "fcntl" | "futex" => argument == 1,
        "personality" | "clone" | "prctl" | "arch_prctl" | "keyctl" | "bpf" | "seccomp" => argument == 0,
        _ => false,
    }
}

/// On 32-bit x86 many calls can also be made through a call that takes their number as its first argument
/// (socketcall(2), ipc(2)): which call, and which number.
pub(super) fn multiplexed(arch: Arch, name: &str) -> Option<(u32, u64)> {
    if arch != Arch::X86 {
        return None;
    }
    let through = |call: &str, list: &[(&str, u64)]| {
        let (_, selector) = list.iter().find(|(member, _)| *member == name)?;
        Some((number(arch, call)?, *selector))
    };
    through("socketcall", SOCKETCALL).or_else(|| through("ipc", IPC))
}

/// `SYS_…` of `linux/net.h`.
const SOCKETCALL: &[(&str, u64)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

/// The calls of `linux/ipc.h`.
const IPC: &[(&str, u64)] = &[
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_sorted_and_know_each_name_once() {
        for arch in Arch::ALL {
            assert!(calls(arch).is_sorted_by(|a, b| a.0 < b.0), "{arch:?}");
        }
    }

    #[test]
    fn the_native_table_agrees_with_the_c_library() {
        #[cfg(target_arch = "x86_64")]
        let known = [("read", 0), ("openat2", 437), ("clone3", 435), ("pidfd_open", 434), ("mseal", 462)];
        #[cfg(target_arch = "aarch64")]
        let known = [("read", 63), ("openat2", 437), ("clone3", 435), ("pidfd_open", 434), ("mseal", 462)];
        for (name, expected) in known {
            assert_eq!(number(Arch::NATIVE, name), Some(expected), "{name}");
        }
    }

    #[test]
    fn calls_that_came_late_have_one_number_everywhere() {
        for arch in [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm] {
            assert_eq!(number(arch, "file_setattr"), Some(469));
        }
        assert_eq!(number(Arch::X32, "execve"), Some(X32_BIT | 520));
        assert_eq!(number(Arch::Aarch64, "open"), None);
    }
}
