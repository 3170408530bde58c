//! Huge pages, by size.

use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::LinuxHugepageLimit;

use crate::cgroup::Member;
use crate::hierarchy::Version;

/// Writes the limits; the reservation limit (Linux 5.7) beside each, so that `mmap` fails early instead of the fault.
pub(crate) fn apply(member: &Member, limits: &[LinuxHugepageLimit]) -> Result<()> {
    let [plain, reserved] = match member.version {
        Version::V1 => ["limit_in_bytes", "rsvd.limit_in_bytes"],
        Version::V2 => ["max", "rsvd.max"],
    };
    for LinuxHugepageLimit { page_size, limit } in limits {
        if page_size.contains('/') {
            return Err(Error::invalid(format!("invalid huge page size {page_size:?}")));
        }
        member.directory.write(&format!("hugetlb.{page_size}.{plain}"), &limit.to_string())?;
        member.directory.write_if_there(&format!("hugetlb.{page_size}.{reserved}"), &limit.to_string())?;
    }
    Ok(())
}
