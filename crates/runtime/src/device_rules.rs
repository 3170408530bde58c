//! The devices that every container may use, as rules for its cgroup.

use dhow_oci::runtime::LinuxDeviceCgroup;

/// Rules to be put behind those of a spec: making nodes of any kind, the default devices, and terminals. Without them a
/// spec that denies everything, as all do, gives a container without /dev/null.
///
/// Source: runtime-spec, "Default Devices"; the wildcard for terminals because each has a number of its own.
#[must_use]
pub fn default_device_rules() -> Vec<LinuxDeviceCgroup> {
    let rule = |kind: &str, major, minor, access: &str| LinuxDeviceCgroup {
        allow: true,
        kind: Some(kind.into()),
        major,
        minor,
        access: Some(access.into()),
    };
    let character = |major, minor| rule("c", Some(major), minor, "rwm");
    vec![
        rule("c", None, None, "m"),
        rule("b", None, None, "m"),
        character(1, Some(3)),
        character(1, Some(5)),
        character(1, Some(7)),
        character(1, Some(8)),
        character(1, Some(9)),
        character(5, Some(0)),
        character(5, Some(2)),
        character(136, None),
    ]
}
