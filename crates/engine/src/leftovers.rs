//! What a run of a container leaves behind when nobody cleans up after it.

use std::fs;
use std::io;

use dhow_cgroups::Cgroup;
use dhow_errdefs::Class;

use crate::core::Core;
use crate::link::Link;

/// Ends everything of a container by force: its shim, its processes, its cgroup, its run directory. Goes on after each
/// failure and tells it; blocks for as long as the processes take to go.
///
/// The run directory goes last, and only when the cgroup has gone: it is what tells a later engine that there is
/// something to sweep. A cgroup alone tells nothing, because another engine of this host may have made it.
pub(crate) fn sweep(core: &Core, id: &str, cgroup: Option<&str>) {
    let run_dir = core.run_dir(id);
    // A shim that nobody is connected to: of an engine that died, or one that did not hear us.
    if run_dir.exists() && Link::kill_shim_of(&run_dir) {
        tracing::debug!(id, "a shim that was left is killed");
    }
    if let (Some(hierarchy), Some(path)) = (&core.host.cgroups, cgroup)
        && let Err(error) = Cgroup::open(hierarchy, path).and_then(|cgroup| cgroup.delete())
        && error.class() != Class::NotFound
    {
        tracing::warn!(id, %error, "the cgroup could not be removed");
        return;
    }
    if let Err(error) = fs::remove_dir_all(&run_dir)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(id, %error, "the run directory could not be removed");
    }
}
