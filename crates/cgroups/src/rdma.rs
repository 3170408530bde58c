//! RDMA handles and objects, by device; the same file on v1 and v2.

use std::collections::BTreeMap;

use dhow_errdefs::Result;
use dhow_oci::runtime::LinuxRdma;

use crate::cgroup::Member;

/// Writes the limits.
pub(crate) fn apply(member: &Member, devices: &BTreeMap<String, LinuxRdma>) -> Result<()> {
    for (device, limit) in devices {
        let mut line = device.clone();
        if let Some(handles) = limit.hca_handles {
            line.push_str(&format!(" hca_handle={handles}"));
        }
        if let Some(objects) = limit.hca_objects {
            line.push_str(&format!(" hca_object={objects}"));
        }
        member.directory.write("rdma.max", &line)?;
    }
    Ok(())
}
