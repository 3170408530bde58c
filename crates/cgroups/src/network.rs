//! Classes and priorities of packets; v1 only. On v2 the same is done by eBPF programs, which the specification does not
//! describe, so the section is passed over there, as runc does.

use dhow_errdefs::Result;
use dhow_oci::runtime::LinuxNetwork;

use crate::Controller;
use crate::cgroup::Cgroup;
use crate::hierarchy::Version;

/// Writes class and priorities where the host has the controllers.
pub(crate) fn apply(cgroup: &Cgroup, network: &LinuxNetwork) -> Result<()> {
    if let Some(class) = network.class_id
        && let Some(member) = cgroup.join(Controller::NetCls)?.filter(|member| member.version == Version::V1)
    {
        member.directory.write("net_cls.classid", &class.to_string())?;
    }
    if network.priorities.is_empty() {
        return Ok(());
    }
    let Some(member) = cgroup.join(Controller::NetPrio)?.filter(|member| member.version == Version::V1) else {
        return Ok(());
    };
    // One interface by write: the file takes one line at a time.
    network.priorities.iter().try_for_each(|interface| {
        member.directory.write("net_prio.ifpriomap", &format!("{} {}", interface.name, interface.priority))
    })
}
