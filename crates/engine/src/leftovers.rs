//! What a run of a container leaves behind when nobody cleans up after it.

use std::fs;
use std::io;

use dhow_cgroups::Cgroup;
use dhow_errdefs::Class;

use crate::core::Core;
use crate::link::Link;

/// Ends everything of a container by force: its shim, its processes, its cgroup, its run directory; the last hooks run, if
/// its shim has not run them. Goes on after each failure and tells it; blocks for as long as the processes take to go.
/// Says whether nothing is left.
///
/// Its cgroup is the one that its shim wrote down, wherever containers have theirs now, and whether there is still a record
/// that would say; `cgroup` where none did.
///
/// The run directory goes last, and only when everything else has gone: it is what tells a later engine that there is
/// something to sweep. A cgroup alone tells nothing, because another engine of this host may have made it.
pub(crate) fn sweep(core: &Core, id: &str, cgroup: Option<&str>) -> bool {
    let run_dir = core.run_dir(id);
    // A shim that nobody is connected to: of an engine that died, or one that did not hear us.
    if run_dir.exists() && Link::kill_shim_of(&run_dir) {
        tracing::debug!(id, "a shim that was left is killed");
    }
    let written = dhow_shim::cgroup_in(&run_dir);
    let swept = match (&core.host.cgroups, written.as_deref().or(cgroup)) {
        (Some(hierarchy), Some(path)) => Cgroup::open(hierarchy, path).and_then(|cgroup| cgroup.delete()),
        _ => dhow_shim::first::end(&run_dir),
    };
    if let Err(error) = swept
        && error.class() != Class::NotFound
    {
        tracing::warn!(id, %error, "what is left of a container could not be removed");
        return false;
    }
    for failure in dhow_shim::say_farewell(&run_dir) {
        tracing::warn!(id, failure, "a last hook of a container failed");
    }
    match fs::remove_dir_all(&run_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(id, %error, "the run directory could not be removed");
            false
        }
        _ => true,
    }
}
