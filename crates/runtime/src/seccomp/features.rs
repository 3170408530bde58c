//! What the compiler understands, for `dhow runtime features`.

use dhow_oci::runtime::SeccompFeatures;

use super::arch::Arch;

const ACTIONS: [&str; 9] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
];

const OPERATORS: [&str; 7] =
    ["SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"];

const FLAGS: [&str; 4] = [
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// Actions, operators, architectures and flags (runtime-spec, features-linux.md). All flags that are known work on every
/// kernel that dhow runs on but the last, which needs Linux 5.19.
#[must_use]
pub fn features() -> SeccompFeatures {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    SeccompFeatures {
        enabled: Some(true),
        actions: owned(&ACTIONS),
        operators: owned(&OPERATORS),
        archs: owned(&Arch::ALL.map(Arch::spec_name)),
        known_flags: owned(&FLAGS),
        supported_flags: owned(&FLAGS),
    }
}

#[cfg(test)]
mod tests {
    use dhow_oci::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};

    use super::super::compile;
    use super::*;

    #[test]
    fn what_is_promised_compiles() {
        let features = features();
        let rule = |action: &String, op: &String| LinuxSyscall {
            names: vec!["mount".into()],
            action: action.clone(),
            args: vec![LinuxSeccompArg { op: op.clone(), ..LinuxSeccompArg::default() }],
            ..LinuxSyscall::default()
        };
        let pairs =
            features.actions.iter().flat_map(|action| features.operators.iter().map(move |op| rule(action, op)));
        let rules = LinuxSeccomp {
            default_action: "SCMP_ACT_ALLOW".into(),
            architectures: features.archs.clone(),
            flags: features.known_flags.clone(),
            syscalls: pairs.collect(),
            ..LinuxSeccomp::default()
        };
        compile(&rules).unwrap();
    }
}
