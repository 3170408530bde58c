//! Which CPUs and which memory nodes.

use dhow_errdefs::Result;
use dhow_oci::runtime::LinuxCpu;

use crate::file::Directory;

/// Whether the section asks for a set.
pub(crate) fn is_wanted(cpu: &LinuxCpu) -> bool {
    given(cpu.cpus.as_deref()).is_some() || given(cpu.mems.as_deref()).is_some()
}

/// Writes the sets, the same on v1 and v2. A CPU that the host does not have is the kernel's `invalid argument`.
pub(crate) fn apply(directory: &Directory, cpu: &LinuxCpu) -> Result<()> {
    for (file, value) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(value) = given(value.as_deref()) {
            directory.write(file, value)?;
        }
    }
    Ok(())
}

/// On v1 a new cpuset is empty, and no process may enter an empty one: copy the parent's.
pub(crate) fn inherit(parent: &Directory, child: &Directory) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let own = child.read_if_there(file)?.unwrap_or_default();
        if own.trim().is_empty() {
            let theirs = parent.read_if_there(file)?.unwrap_or_default();
            if !theirs.trim().is_empty() {
                child.write(file, theirs.trim())?;
            }
        }
    }
    Ok(())
}

fn given(set: Option<&str>) -> Option<&str> {
    set.filter(|set| !set.is_empty())
}
