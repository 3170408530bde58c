//! `pause` and `resume`.

use clap::{ArgMatches, Command};
use dhow_cgroups::Cgroup;
use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::ContainerStatus;

use super::record::Container;
use super::{Globals, id, text};

pub(crate) fn pause_command() -> Command {
    Command::new("pause").about("suspend all processes of a container").arg(id())
}

pub(crate) fn resume_command() -> Command {
    Command::new("resume").about("resume all processes of a container").arg(id())
}

pub(crate) fn pause(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    match container.status()? {
        ContainerStatus::Running | ContainerStatus::Created => cgroup(&container)?.freeze()?,
        _ => return Err(Error::conflict("container not running or created")),
    }
    Ok(0)
}

pub(crate) fn resume(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    match container.status()? {
        ContainerStatus::Paused => cgroup(&container)?.thaw()?,
        _ => return Err(Error::conflict("container not paused")),
    }
    Ok(0)
}

/// The container's cgroup, which it needs to have.
pub(crate) fn cgroup(container: &Container) -> Result<Cgroup> {
    container.cgroup()?.ok_or_else(|| Error::conflict(format!("container {} has no cgroup", container.record.id)))
}
