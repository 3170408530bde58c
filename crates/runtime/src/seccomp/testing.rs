//! Tests of the compiler: programs are interpreted and compared with the rules read directly.

use std::collections::{BTreeMap, BTreeSet};

use dhow_oci::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};
use dhow_sys::seccomp::Instruction;
use proptest::prelude::*;

use super::action::Action;
use super::arch::Arch;
use super::condition::Condition;
use super::{Environment, KernelVersion, Profile, Program, compile, table};

/// What the kernel hands to a filter (`struct seccomp_data`), as words.
fn data(arch: Arch, number: u32, arguments: &[u64; 6]) -> Vec<u32> {
    let mut words = vec![number, arch.audit(), 0, 0];
    words.extend(arguments.iter().flat_map(|argument| [*argument as u32, (argument >> 32) as u32]));
    words
}

/// Runs a program as the kernel does; gives the return value and the number of instructions.
fn run(program: &[Instruction], data: &[u32]) -> (u32, usize) {
    let (mut accumulator, mut at, mut steps) = (0_u32, 0_usize, 0);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        let branch = |holds: bool| usize::from(if holds { jt } else { jf });
        at += 1;
        steps += 1;
        match code {
            0x20 => accumulator = data[k as usize / 4],
            0x54 => accumulator &= k,
            0x05 => at += k as usize,
            0x15 => at += branch(accumulator == k),
            0x25 => at += branch(accumulator > k),
            0x35 => at += branch(accumulator >= k),
            0x06 => return (k, steps),
            other => panic!("operation {other:#x} is none of ours"),
        }
    }
}

/// The rules, read directly: what [`compile`] promises in its words, without tables of decisions and without code.
struct Oracle<'a> {
    arch: Arch,
    default: u32,
    rules: Vec<Read<'a>>,
}

struct Read<'a> {
    args: &'a [LinuxSeccompArg],
    action: u32,
    direct: BTreeMap<u32, &'a str>,
    /// Calls with the number of a call in their first argument.
    selected: BTreeSet<(u32, u64)>,
}

impl<'a> Oracle<'a> {
    fn new(rules: &'a LinuxSeccomp, arch: Arch) -> Self {
        let default = Action::parse(&rules.default_action, rules.default_errno_ret).unwrap();
        let read = |rule: &'a LinuxSyscall| {
            let action = Action::parse(&rule.action, rule.errno_ret).unwrap();
            let names = || rule.names.iter().map(String::as_str);
            let direct = names().filter_map(|name| Some((table::number(arch, name)?, name))).collect();
            let mut selected: BTreeSet<_> = names().filter_map(|name| table::multiplexed(arch, name)).collect();
            if !rule.args.is_empty() && !action.is_stricter(default) {
                selected.clear();
            }
            Read { args: &rule.args, action: action.0, direct, selected }
        };
        let rules = rules.syscalls.iter().map(read).filter(|rule| rule.action != default.0).collect();
        Self { arch, default: default.0, rules }
    }

    fn decide(&self, number: u32, arguments: &[u64; 6]) -> u32 {
        let always = |read: &&Read<'_>| read.args.is_empty() && read.direct.contains_key(&number);
        let first = || self.rules.iter().find(|read| read.fits(self.arch, number, arguments));
        self.rules.iter().find(always).or_else(first).map_or(self.default, |read| read.action)
    }
}

impl Read<'_> {
    fn fits(&self, arch: Arch, number: u32, arguments: &[u64; 6]) -> bool {
        if self.selected.contains(&(number, arguments[0] & 0xffff_ffff)) {
            return true;
        }
        let Some(name) = self.direct.get(&number) else { return false };
        let indices: BTreeSet<u32> = self.args.iter().map(|arg| arg.index).collect();
        let mut held = self.args.iter().map(|arg| Condition::parse(arg).unwrap().seen_by(arch, name).holds(arguments));
        if indices.len() < self.args.len() { held.any(|one| one) } else { held.all(|one| one) }
    }
}

fn audit_only(arch: Arch) -> LinuxSeccomp {
    LinuxSeccomp {
        default_action: "SCMP_ACT_ALLOW".into(),
        architectures: vec![arch.spec_name().into()],
        ..LinuxSeccomp::default()
    }
}

fn numbers(arch: Arch) -> Vec<u32> {
    let bit = if arch == Arch::X32 { table::X32_BIT } else { 0 };
    let known = table::calls(arch).iter().flat_map(|(_, number)| [number | bit, (number + 1) | bit]);
    known.chain([bit, 600 | bit, 0xffff | bit]).collect()
}

fn environment<'a>(capabilities: &'a [String], arch: Arch) -> Environment<'a> {
    Environment { capabilities, arch, kernel: KernelVersion { major: 6, minor: 1 } }
}

#[test]
fn the_default_profile_decides_every_call_as_its_rules_say() {
    let sets: [&[&str]; 4] = [&[], &["CAP_CHOWN"], &["CAP_SYS_ADMIN"], &["CAP_SYS_PTRACE", "CAP_SYS_TIME", "CAP_BPF"]];
    let arguments: [[u64; 6]; 6] = [
        [0; 6],
        [1, 2, 0, 0, 0, 0],
        [38, 0, 0, 0, 0, 0],
        [40, 0, 0, 0, 0, 0],
        [0x7e02_0000, 0, 0, 0, 0, 0],
        [0x1_0000_0011, 5, 0, 0, 0, 0],
    ];
    for set in sets {
        let capabilities: Vec<String> = set.iter().map(|name| (*name).to_owned()).collect();
        let mut rules = Profile::standard().resolve(&environment(&capabilities, Arch::NATIVE));
        rules.architectures = Arch::ALL.map(|arch| arch.spec_name().to_owned()).to_vec();
        let program = compile(&rules).unwrap();
        for arch in Arch::ALL {
            let oracle = Oracle::new(&rules, arch);
            for number in numbers(arch) {
                for arguments in &arguments {
                    let (found, _) = run(program.instructions(), &data(arch, number, arguments));
                    let wanted = oracle.decide(number, arguments);
                    assert_eq!(found, wanted, "{set:?} {arch:?} {number} {arguments:x?}");
                }
            }
        }
    }
}

#[test]
fn the_default_profile_costs_few_instructions() {
    let rules = Profile::standard().resolve(&environment(&[], Arch::NATIVE));
    let program = compile(&rules).unwrap();
    let native = table::calls(Arch::NATIVE).iter().map(|(_, number)| data(Arch::NATIVE, *number, &[0; 6]));
    let worst = native.map(|data| run(program.instructions(), &data).1).max().unwrap();
    assert!(worst <= 24, "{worst} instructions for a call");
}

#[test]
fn what_docker_blocks_is_blocked_and_what_it_lets_through_passes() {
    let rules = Profile::standard().resolve(&environment(&[], Arch::NATIVE));
    let program = compile(&rules).unwrap();
    let answer = |name: &str, first: u64| {
        let number = table::number(Arch::NATIVE, name).unwrap();
        run(program.instructions(), &data(Arch::NATIVE, number, &[first, 0, 0, 0, 0, 0])).0
    };
    let [allow, refuse, not_known] = [0x7fff_0000, 0x0005_0001, 0x0005_0026];
    for name in ["mount", "unshare", "setns", "bpf", "keyctl", "add_key", "reboot", "io_uring_setup", "userfaultfd"] {
        assert_eq!(answer(name, 0), refuse, "{name}");
    }
    for name in ["read", "execve", "openat2", "ptrace", "futex_waitv", "statx"] {
        assert_eq!(answer(name, 0), allow, "{name}");
    }
    assert_eq!(answer("clone3", 0), not_known);
    assert_eq!((answer("clone", 0x11), answer("clone", 0x1000_0011)), (allow, refuse));
    assert_eq!((answer("socket", 2), answer("socket", 40), answer("socket", 38)), (allow, refuse, refuse));
    assert_eq!(answer("socket", 1 << 32 | 40), refuse, "the kernel throws the upper half away");
    assert_eq!((answer("personality", 0xffff_ffff), answer("personality", 4)), (allow, refuse));
}

#[test]
fn a_foreign_architecture_is_killed() {
    let program = compile(&audit_only(Arch::NATIVE)).unwrap();
    let foreign = if Arch::NATIVE == Arch::X86_64 { Arch::Aarch64 } else { Arch::X86_64 };
    assert_eq!(run(program.instructions(), &data(foreign, 0, &[0; 6])).0, 0x8000_0000);
    assert_eq!(run(program.instructions(), &data(Arch::NATIVE, 0, &[0; 6])).0, 0x7fff_0000);
    #[cfg(target_arch = "x86_64")]
    {
        let x32 = data(Arch::X32, table::X32_BIT | 1, &[0; 6]);
        assert_eq!(run(program.instructions(), &x32).0, 0x8000_0000, "x32 was not named");
    }
}

#[test]
fn calls_newer_than_the_rules_are_not_known_unless_the_profile_gives_a_number() {
    let mut rules = LinuxSeccomp {
        default_action: "SCMP_ACT_ERRNO".into(),
        syscalls: vec![LinuxSyscall {
            names: vec!["openat2".into(), "read".into()],
            action: "SCMP_ACT_ALLOW".into(),
            ..LinuxSyscall::default()
        }],
        ..LinuxSeccomp::default()
    };
    let answer = |rules: &LinuxSeccomp, number| {
        let program = compile(rules).unwrap();
        run(program.instructions(), &data(Arch::NATIVE, number, &[0; 6])).0
    };
    assert_eq!((answer(&rules, 436), answer(&rules, 438)), (0x0005_0001, 0x0005_0026));
    rules.default_errno_ret = Some(13);
    assert_eq!((answer(&rules, 436), answer(&rules, 438)), (0x0005_000d, 0x0005_000d));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn calls_through_socketcall_are_not_let_through_unseen() {
    let filter = |default: &str, action: &str| LinuxSeccomp {
        default_action: default.into(),
        architectures: vec![Arch::X86.spec_name().into()],
        syscalls: vec![LinuxSyscall {
            names: vec!["socket".into()],
            action: action.into(),
            args: vec![LinuxSeccompArg { index: 0, value: 2, op: "SCMP_CMP_EQ".into(), ..LinuxSeccompArg::default() }],
            ..LinuxSyscall::default()
        }],
        ..LinuxSeccomp::default()
    };
    let number = table::number(Arch::X86, "socketcall").unwrap();
    let answer = |rules| run(compile(&rules).unwrap().instructions(), &data(Arch::X86, number, &[1, 0, 0, 0, 0, 0])).0;
    assert_eq!(answer(filter("SCMP_ACT_KILL_PROCESS", "SCMP_ACT_ALLOW")), 0x8000_0000);
    assert_eq!(answer(filter("SCMP_ACT_ALLOW", "SCMP_ACT_KILL_PROCESS")), 0x8000_0000);
}

#[test]
fn flags_and_notifications_are_checked() {
    let flagged = |flags: &[&str], action: &str, name: &str| {
        compile(&LinuxSeccomp {
            default_action: "SCMP_ACT_ALLOW".into(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            syscalls: vec![LinuxSyscall { names: vec![name.into()], action: action.into(), ..LinuxSyscall::default() }],
            ..LinuxSeccomp::default()
        })
        .map(|program| program.flags())
    };
    assert_eq!(flagged(&[], "SCMP_ACT_KILL", "mount").unwrap(), 4);
    assert_eq!(flagged(&["SECCOMP_FILTER_FLAG_LOG"], "SCMP_ACT_KILL", "mount").unwrap(), 2);
    assert_eq!(flagged(&["SECCOMP_FILTER_FLAG_LOG"], "SCMP_ACT_NOTIFY", "mount").unwrap(), 2 | 8);
    let waits = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
    assert_eq!(flagged(&[waits], "SCMP_ACT_NOTIFY", "mount").unwrap(), 8 | 32);
    assert!(flagged(&[waits], "SCMP_ACT_KILL", "mount").is_err());
    assert!(flagged(&["LOUD"], "SCMP_ACT_KILL", "mount").is_err());
    assert!(flagged(&[], "SCMP_ACT_NOTIFY", "write").is_err());
}

fn argument() -> impl Strategy<Value = LinuxSeccompArg> {
    const OPS: &[&str] = &["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"];
    let value = prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX), Just(1 << 32), Just((1 << 32) - 1)];
    let value_two = prop_oneof![Just(None), (0..8_u64).prop_map(Some), any::<u64>().prop_map(Some)];
    (0..3_u32, value, value_two, prop::sample::select(OPS)).prop_map(|(index, value, value_two, op)| LinuxSeccompArg {
        index,
        value,
        value_two,
        op: format!("SCMP_CMP_{op}"),
    })
}

fn rule() -> impl Strategy<Value = LinuxSyscall> {
    const NAMES: &[&str] =
        &["read", "write", "socket", "clone", "personality", "ioctl", "semget", "socketcall", "no_such_call"];
    const ACTIONS: &[&str] = &["ALLOW", "ERRNO", "KILL_PROCESS", "LOG", "TRAP", "TRACE"];
    (
        prop::collection::vec(prop::sample::select(NAMES), 1..4),
        prop::sample::select(ACTIONS),
        prop::option::of(0..4096_u32),
        prop::collection::vec(argument(), 0..4),
    )
        .prop_map(|(names, action, errno_ret, args)| LinuxSyscall {
            names: names.into_iter().map(str::to_owned).collect(),
            action: format!("SCMP_ACT_{action}"),
            errno_ret,
            args,
        })
}

proptest! {
    #[test]
    fn any_rules_decide_as_they_say(
        syscalls in prop::collection::vec(rule(), 0..12),
        arguments in prop::collection::vec(prop_oneof![0..4_u64, any::<u64>(), Just(u64::MAX), Just(1 << 32)], 6),
    ) {
        let rules = LinuxSeccomp {
            default_action: "SCMP_ACT_ERRNO".into(),
            default_errno_ret: Some(99),
            architectures: Arch::ALL.map(|arch| arch.spec_name().to_owned()).to_vec(),
            syscalls,
            ..LinuxSeccomp::default()
        };
        let program = compile(&rules).unwrap();
        let arguments: [u64; 6] = arguments.try_into().unwrap();
        for arch in Arch::ALL {
            let oracle = Oracle::new(&rules, arch);
            let cut = if arch.narrow() { arguments.map(|argument| argument & 0xffff_ffff) } else { arguments };
            let named = ["read", "write", "socket", "clone", "personality", "ioctl", "semget", "socketcall", "ipc"];
            for number in named.iter().filter_map(|name| table::number(arch, name)) {
                let (found, _) = run(program.instructions(), &data(arch, number, &cut));
                prop_assert_eq!(found, oracle.decide(number, &cut), "{:?} {}", arch, number);
            }
        }
    }

    #[test]
    fn random_bytes_are_no_program_or_one_that_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(program) = Program::from_bytes(&bytes) {
            prop_assert_eq!(program.to_bytes(), bytes);
        }
    }
}

/// Set in the process that loads a filter: it cannot be taken off again, so it is a process of its own.
const LOADS: &str = "DHOW_SECCOMP_TEST_LOADS";

#[test]
fn the_kernel_takes_the_default_filter_and_it_holds() {
    use rustix::io::Errno;
    if std::env::var_os(LOADS).is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let name = "seccomp::testing::the_kernel_takes_the_default_filter_and_it_holds";
        let output = child.args(["--exact", name]).env(LOADS, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let mount = || rustix::mount::mount_bind("/no/such/source", "/no/such/target").unwrap_err();
    let socket = |family| rustix::net::socket(family, rustix::net::SocketType::STREAM, None).err();
    assert_ne!(socket(rustix::net::AddressFamily::VSOCK), Some(Errno::PERM));
    let program = compile(&Profile::standard().resolve(&Environment::host(&[]))).unwrap();
    rustix::thread::set_no_new_privs(true).unwrap();
    assert!(Program::from_bytes(&program.to_bytes()).unwrap().load().unwrap().is_none());
    assert_eq!(mount(), Errno::PERM);
    assert_eq!(socket(rustix::net::AddressFamily::VSOCK), Some(Errno::PERM));
    assert_eq!(socket(rustix::net::AddressFamily::UNIX), None);
    assert_eq!(std::fs::read("/proc/self/no_such_file").unwrap_err().kind(), std::io::ErrorKind::NotFound);
}
