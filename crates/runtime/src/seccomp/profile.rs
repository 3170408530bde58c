//! Profiles in Docker's form: rules with conditions on capabilities, architecture and kernel, from which the rules for
//! one container are chosen.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{LinuxSeccomp, LinuxSeccompArg, LinuxSyscall};
use serde::Deserialize;

use super::arch::Arch;

/// A profile, as `--security-opt seccomp=FILE` gives it. A plain runtime-spec filter is one too.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Profile {
    pub(super) default_action: String,
    pub(super) default_errno_ret: Option<u32>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) architectures: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) arch_map: Vec<ArchMap>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) flags: Vec<String>,
    pub(super) listener_path: Option<String>,
    pub(super) listener_metadata: Option<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) syscalls: Vec<Rule>,
}

/// An architecture with those that the same machine runs besides.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ArchMap {
    pub(super) architecture: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) sub_architectures: Vec<String>,
}

/// A rule and when it counts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Rule {
    /// The old form, for one call.
    pub(super) name: String,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) names: Vec<String>,
    pub(super) action: String,
    pub(super) errno_ret: Option<u32>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) args: Vec<LinuxSeccompArg>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) includes: Condition,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) excludes: Condition,
}

/// What a container or its host may have.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Condition {
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) caps: Vec<String>,
    #[serde(deserialize_with = "null_is_empty")]
    pub(super) arches: Vec<String>,
    pub(super) min_kernel: Option<KernelVersion>,
}

/// Go writes an absent list as `null`.
fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Version and patch level of a kernel, which is all that profiles compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct KernelVersion {
    /// The `6` of `6.18`.
    pub major: u32,
    /// The `18` of `6.18`.
    pub minor: u32,
}

impl KernelVersion {
    /// The kernel that runs.
    #[must_use]
    pub fn running() -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        Self::parse(&release).unwrap_or(Self { major: 0, minor: 0 })
    }

    /// The first two numbers of a release such as `6.18.44-cloud`.
    #[must_use]
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
        Some(Self { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
    }
}

impl TryFrom<String> for KernelVersion {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("invalid kernel version {text:?}"))
    }
}

/// What a profile is evaluated for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment<'a> {
    /// The container's bounding set, by name: `CAP_SYS_ADMIN`.
    pub capabilities: &'a [String],
    /// The machine.
    pub arch: Arch,
    /// Its kernel.
    pub kernel: KernelVersion,
}

impl<'a> Environment<'a> {
    /// This machine, and a container with these capabilities.
    #[must_use]
    pub fn host(capabilities: &'a [String]) -> Self {
        Self { capabilities, arch: Arch::NATIVE, kernel: KernelVersion::running() }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// `InvalidArgument` for what is no profile, in Docker's words where it has some.
    pub fn parse(json: &str) -> Result<Self> {
        let profile: Self = serde_json::from_str(json)
            .map_err(|error| Error::invalid("Decoding seccomp profile failed").with_cause(error))?;
        if !profile.architectures.is_empty() && !profile.arch_map.is_empty() {
            return Err(Error::invalid(
                "use either 'architectures' or 'archMap' in the seccomp profile, not both of them",
            ));
        }
        if profile.syscalls.iter().any(|rule| !rule.name.is_empty() && !rule.names.is_empty()) {
            return Err(Error::invalid("use either 'name' or 'names' in a rule of the seccomp profile, not both"));
        }
        Ok(profile)
    }

    /// The rules for one container.
    #[must_use]
    pub fn resolve(&self, environment: &Environment<'_>) -> LinuxSeccomp {
        let chosen = self.syscalls.iter().filter(|rule| rule.counts(environment));
        LinuxSeccomp {
            default_action: self.default_action.clone(),
            default_errno_ret: self.default_errno_ret,
            architectures: self.architectures_for(environment.arch),
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls: chosen.map(Rule::to_spec).collect(),
        }
    }

    fn architectures_for(&self, arch: Arch) -> Vec<String> {
        match self.arch_map.iter().find(|entry| entry.architecture == arch.spec_name()) {
            Some(entry) => [std::slice::from_ref(&entry.architecture), &entry.sub_architectures].concat(),
            None => self.architectures.clone(),
        }
    }
}

impl Rule {
    /// Every part of "includes" must fit, any part of "excludes" rules it out.
    fn counts(&self, environment: &Environment<'_>) -> bool {
        let Environment { capabilities, arch, kernel } = environment;
        let has = |capability: &String| capabilities.contains(capability);
        let here = |arches: &[String]| arches.iter().any(|name| name == arch.go_name());
        let Condition { caps, arches, min_kernel } = &self.excludes;
        let excluded = caps.iter().any(has) || here(arches) || min_kernel.is_some_and(|least| *kernel >= least);
        let Condition { caps, arches, min_kernel } = &self.includes;
        let included = caps.iter().all(has)
            && (arches.is_empty() || here(arches))
            && min_kernel.is_none_or(|least| *kernel >= least);
        included && !excluded
    }

    fn to_spec(&self) -> LinuxSyscall {
        let names = if self.name.is_empty() { self.names.clone() } else { vec![self.name.clone()] };
        LinuxSyscall { names, action: self.action.clone(), errno_ret: self.errno_ret, args: self.args.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
            {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}
        ],
        "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": null, "includes": {}, "excludes": {}},
            {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}},
            {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "excludes": {"caps": ["CAP_SYS_ADMIN"]}},
            {"name": "modify_ldt", "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64", "x86"]}}
        ]}"#;

    fn names(capabilities: &[String], arch: Arch, kernel: &str) -> Vec<String> {
        let environment = Environment { capabilities, arch, kernel: KernelVersion::parse(kernel).unwrap() };
        let rules = Profile::parse(PROFILE).unwrap().resolve(&environment);
        rules.syscalls.into_iter().flat_map(|rule| rule.names).collect()
    }

    #[test]
    fn rules_are_chosen_by_capability_architecture_and_kernel() {
        let admin = ["CAP_SYS_ADMIN".to_owned()];
        assert_eq!(names(&[], Arch::X86_64, "6.1.0"), ["read", "ptrace", "clone3", "modify_ldt"]);
        assert_eq!(names(&admin, Arch::Aarch64, "4.7.9-x"), ["read", "bpf"]);
    }

    #[test]
    fn the_machine_brings_its_sub_architectures() {
        let profile = Profile::parse(PROFILE).unwrap();
        let kernel = KernelVersion { major: 6, minor: 1 };
        let rules = profile.resolve(&Environment { capabilities: &[], arch: Arch::X86_64, kernel });
        assert_eq!(rules.architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        for bad in ["", "7", r#"{"architectures": ["x"], "archMap": [{"architecture": "y"}]}"#] {
            assert!(Profile::parse(bad).is_err(), "{bad}");
        }
        assert!(Profile::parse(r#"{"syscalls": [{"name": "a", "names": ["b"]}]}"#).is_err());
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(KernelVersion::parse("4.18").unwrap() > KernelVersion::parse("4.8.0-rc1").unwrap());
        assert_eq!(KernelVersion::parse("six"), None);
    }
}
