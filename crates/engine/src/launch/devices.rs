//! Devices of the host in a container, and the rules of the device controller.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::{LinuxDevice, LinuxDeviceCgroup};

use crate::spec::HostSpec;

/// A device node of the host as a container shall have it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HostDevice {
    /// In the container.
    pub path: String,
    pub block: bool,
    pub major: i64,
    pub minor: i64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Some of `r`, `w`, `m`.
    pub access: String,
}

/// The devices that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HostDevices(pub Vec<HostDevice>);

impl HostDevices {
    pub(super) fn nodes(&self) -> Vec<LinuxDevice> {
        self.0
            .iter()
            .map(|device| LinuxDevice {
                kind: device.kind().to_owned(),
                path: device.path.clone().into(),
                major: device.major,
                minor: device.minor,
                file_mode: Some(device.mode & 0o7777),
                uid: Some(device.uid),
                gid: Some(device.gid),
            })
            .collect()
    }
}

impl HostDevice {
    fn kind(&self) -> &'static str {
        if self.block { "b" } else { "c" }
    }
}

/// What every container may use, as Docker has it: making any node, and the harmless ones.
const DEFAULT: [(&str, Option<i64>, Option<i64>, &str); 11] = [
    ("c", None, None, "m"),
    ("b", None, None, "m"),
    ("c", Some(1), Some(3), "rwm"), // null
    ("c", Some(1), Some(5), "rwm"), // zero
    ("c", Some(1), Some(7), "rwm"), // full
    ("c", Some(1), Some(8), "rwm"), // random
    ("c", Some(1), Some(9), "rwm"), // urandom
    ("c", Some(5), Some(0), "rwm"), // tty
    ("c", Some(5), Some(1), "rwm"), // console
    ("c", Some(5), Some(2), "rwm"), // ptmx
    ("c", Some(136), None, "rwm"),  // pseudo-terminals
];

/// The rules of the device controller, in the order in which they are applied.
///
/// # Errors
/// Docker's words for a rule that cannot be read.
pub(super) fn rules(host: &HostSpec, devices: &HostDevices) -> Result<Vec<LinuxDeviceCgroup>> {
    if host.privileged {
        return Ok(vec![rule(true, "a", None, None, "rwm")]);
    }
    let mut rules = vec![rule(false, "a", None, None, "rwm")];
    rules.extend(DEFAULT.iter().map(|(kind, major, minor, access)| rule(true, kind, *major, *minor, access)));
    for device in &devices.0 {
        rules.push(rule(true, device.kind(), Some(device.major), Some(device.minor), &device.access));
    }
    for text in &host.resources.device_cgroup_rules {
        rules.push(parse(text)?);
    }
    Ok(rules)
}

fn rule(allow: bool, kind: &str, major: Option<i64>, minor: Option<i64>, access: &str) -> LinuxDeviceCgroup {
    LinuxDeviceCgroup { allow, kind: Some(kind.to_owned()), major, minor, access: Some(access.to_owned()) }
}

/// `c 1:3 rwm`, with `*` for any number.
fn parse(text: &str) -> Result<LinuxDeviceCgroup> {
    let invalid = || Error::invalid(format!("invalid device cgroup rule format: '{text}'"));
    let words: Vec<&str> = text.split(' ').collect();
    let [kind @ ("a" | "b" | "c"), numbers, access] = words[..] else { return Err(invalid()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    let number = |digits: &str| match digits {
        "*" => Ok(None),
        digits => digits.parse::<u32>().map(|number| Some(i64::from(number))).map_err(|_| invalid()),
    };
    if access.is_empty() || access.len() > 3 || !access.bytes().all(|byte| matches!(byte, b'r' | b'w' | b'm')) {
        return Err(invalid());
    }
    Ok(rule(true, kind, number(major)?, number(minor)?, access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_and_a_bad_one_named() {
        assert_eq!(parse("c 7:* rmw").unwrap(), rule(true, "c", Some(7), None, "rmw"));
        for bad in ["", "c", "x 1:3 r", "c 1 r", "c 1:3 x", "c -1:3 r", "c 1:3  r"] {
            assert_eq!(parse(bad).unwrap_err().to_string(), format!("invalid device cgroup rule format: '{bad}'"));
        }
    }

    #[test]
    fn everything_is_denied_first() {
        let rules = rules(&HostSpec::default(), &HostDevices::default()).unwrap();
        assert_eq!(rules[0], rule(false, "a", None, None, "rwm"));
        assert!(rules[1..].iter().all(|rule| rule.allow));
    }
}
