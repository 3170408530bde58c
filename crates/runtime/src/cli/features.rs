//! `features`: what this runtime can do (runtime-spec, features.md).

use clap::{ArgMatches, Command};
use dhow_errdefs::Result;
use dhow_oci::runtime::{CgroupFeatures, Enabled, Features, LinuxFeatures, MountExtensions, SeccompFeatures};

use super::{Globals, print_json};
use crate::plan::options::KNOWN;
use crate::{capability, seccomp};

pub(crate) fn command() -> Command {
    Command::new("features").about("show the enabled features")
}

pub(crate) fn run(_: &Globals, _: &ArgMatches) -> Result<u8> {
    print_json(&features())?;
    Ok(0)
}

fn features() -> Features {
    Features {
        oci_version_min: "1.0.0".into(),
        oci_version_max: "1.2.0".into(),
        hooks: strings(&["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]),
        mount_options: strings(&KNOWN),
        linux: Some(LinuxFeatures {
            namespaces: strings(&["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]),
            capabilities: strings(capability::names()),
            cgroup: Some(CgroupFeatures {
                v1: Some(true),
                v2: Some(true),
                systemd: Some(false),
                systemd_user: Some(false),
                rdma: Some(true),
            }),
            seccomp: Some(seccomp_features()),
            apparmor: Some(Enabled { enabled: Some(true) }),
            selinux: Some(Enabled { enabled: Some(true) }),
            intel_rdt: Some(Enabled { enabled: Some(false) }),
            mount_extensions: Some(MountExtensions { idmap: Some(Enabled { enabled: Some(true) }) }),
        }),
        ..Features::default()
    }
}

fn seccomp_features() -> SeccompFeatures {
    let flags = ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"];
    let actions = ["KILL", "KILL_PROCESS", "KILL_THREAD", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG", "NOTIFY"];
    let operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let prefixed = |prefix: &str, names: &[&str]| names.iter().map(|name| format!("{prefix}{name}")).collect();
    let flags: Vec<String> = prefixed("SECCOMP_FILTER_FLAG_", &flags);
    SeccompFeatures {
        enabled: Some(true),
        actions: prefixed("SCMP_ACT_", &actions),
        operators: prefixed("SCMP_CMP_", &operators),
        archs: seccomp::Arch::ALL.iter().map(|arch| arch.spec_name().to_owned()).collect(),
        known_flags: flags.clone(),
        supported_flags: flags,
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
