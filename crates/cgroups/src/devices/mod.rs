//! Which device nodes may be made and opened: by the v1 controller, on v2 by an eBPF program.

mod program;
mod rules;

use std::os::fd::AsFd as _;

use dhow_errdefs::{Error, Result, ResultExt};
use dhow_oci::runtime::LinuxDeviceCgroup;
use rustix::io::Errno;

use crate::cgroup::Member;
use crate::file::Directory;
use crate::hierarchy::Version;
use rules::{Device, Kind, Policy, Rule};

/// Puts the rules into force. An empty list changes nothing.
///
/// In a user namespace the kernel lets nobody change them, and nobody there can make device nodes: they are passed
/// over, as runc does.
pub(crate) fn apply(member: &Member, rules: &[LinuxDeviceCgroup]) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let rules = rules.iter().map(convert).collect::<Result<Vec<Rule>>>()?;
    let policy = Policy::fold(&rules)?;
    let outcome = match member.version {
        Version::V1 => apply_v1(&member.directory, &policy),
        Version::V2 => apply_v2(&member.directory, &policy),
    };
    match outcome {
        Err(error) if error.os_error() == Some(Errno::PERM.raw_os_error()) && in_user_namespace() => Ok(()),
        other => other,
    }
}

fn apply_v1(directory: &Directory, policy: &Policy) -> Result<()> {
    let now = Policy::parse(&directory.read_if_there("devices.list")?.unwrap_or_default());
    let writes = now.transition(policy);
    // The rules of one file in a row: it is opened once.
    writes.chunk_by(|a, b| a.0 == b.0).try_for_each(|chunk| {
        let values: Vec<&str> = chunk.iter().map(|(_, value)| value.as_str()).collect();
        directory.write_each(chunk[0].0, &values)
    })
}

/// Attaches the new program before the old ones go: while there are two, both have to allow, so that there is no
/// moment without rules.
fn apply_v2(directory: &Directory, policy: &Policy) -> Result<()> {
    if directory.is_plain() {
        return Ok(());
    }
    let cgroup = directory.as_fd();
    let step = || format!("set the device rules of cgroup {}", directory.name());
    let old = dhow_sys::bpf::device_programs(cgroup).context(step)?;
    let program = dhow_sys::bpf::load_device_program(&program::assemble(policy)).context(step)?;
    dhow_sys::bpf::attach_device_program(cgroup, program.as_fd()).context(step)?;
    old.into_iter().try_for_each(|id| dhow_sys::bpf::detach_device_program(cgroup, id).context(step))
}

fn convert(rule: &LinuxDeviceCgroup) -> Result<Rule> {
    let access = rules::parse_access(rule.access.as_deref().filter(|letters| !letters.is_empty()).unwrap_or("rwm"))?;
    let kind = match rule.kind.as_deref() {
        None | Some("" | "a") => return Ok(Rule { allow: rule.allow, device: None, access }),
        Some("b") => Kind::Block,
        Some("c" | "u") => Kind::Char,
        Some(other) => return Err(Error::invalid(format!("invalid device type {other:?} in a device rule"))),
    };
    // -1 is how Docker writes "every number".
    let number = |number: Option<i64>| match number {
        None | Some(-1) => Ok(None),
        Some(number) => i32::try_from(number)
            .ok()
            .and_then(|number| u32::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| Error::invalid(format!("invalid device number {number} in a device rule"))),
    };
    let device = Device { kind, major: number(rule.major)?, minor: number(rule.minor)? };
    Ok(Rule { allow: rule.allow, device: Some(device), access })
}

/// Whether this process is in a user namespace of its own; the first one maps every id to itself.
fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_ascii_whitespace().ne(["0", "0", "4294967295"])
}
