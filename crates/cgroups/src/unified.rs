//! Raw v2 files, as `linux.resources.unified` gives them.

use std::collections::BTreeMap;

use dhow_errdefs::{Error, Result};

use crate::cgroup::Cgroup;

/// Writes each value to the file of that name in the v2 tree.
///
/// # Errors
/// `InvalidArgument` when the host has no v2 tree, for a name that leaves the directory, and for a file that the
/// kernel does not have there.
pub(crate) fn apply(cgroup: &Cgroup, files: &BTreeMap<String, String>) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let Some(member) = cgroup.v2() else {
        return Err(Error::invalid("unified resources need cgroup v2, which this host does not have"));
    };
    for (file, value) in files {
        // The core's files move processes and controllers; only its limits are resources.
        let core = file.starts_with("cgroup.") && !file.starts_with("cgroup.max.");
        if file.contains('/') || core {
            return Err(Error::invalid(format!("invalid unified resource {file:?}")));
        }
        if !member.directory.write_if_there(file, value)? {
            return Err(Error::invalid(format!("unified resource {file:?} is not known to the kernel here")));
        }
    }
    Ok(())
}
