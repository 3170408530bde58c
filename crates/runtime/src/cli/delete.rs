//! `delete`: everything that a container has left.

use std::fs;
use std::os::fd::AsFd;

use clap::{ArgMatches, Command};
use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::runtime::{ContainerStatus, Spec};
use rustix::event::{PollFd, PollFlags, poll};

use super::record::{self, Container};
use super::{Globals, flag, id, kill, text};
use crate::hooks;

const SIGKILL: i32 = 9;

pub(crate) fn command() -> Command {
    Command::new("delete").about("delete a container").arg(flag("force").short('f').help("kill it first")).arg(id())
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let force = matches.get_flag("force");
    let id = text(matches, "id");
    let container = match Container::load(globals, id) {
        Err(error) if error.class() == Class::NotFound => {
            remove_half_made(globals, id)?;
            return if force { Ok(0) } else { Err(error) };
        }
        container => container?,
    };
    match container.status()? {
        ContainerStatus::Stopped => {}
        // It has run nothing; runc deletes it without being forced to, and so do its callers.
        ContainerStatus::Created => end(&container)?,
        _ if force => end(&container)?,
        status => {
            let (id, status) = (&container.record.id, name(status));
            return Err(Error::conflict(format!("cannot delete container {id} that is not stopped: {status}")));
        }
    }
    remove(globals, &container)?;
    Ok(0)
}

/// The word of a status.
pub(crate) fn name(status: ContainerStatus) -> &'static str {
    match status {
        ContainerStatus::Creating => "creating",
        ContainerStatus::Created => "created",
        ContainerStatus::Running => "running",
        ContainerStatus::Paused => "paused",
        ContainerStatus::Stopped => "stopped",
    }
}

/// Kills all processes and waits until the first has ended.
fn end(container: &Container) -> Result<()> {
    let process = container.process();
    if let Err(error) = kill::send(container, SIGKILL, true)
        && error.class() != Class::Conflict
        && container.process().is_some()
    {
        return Err(error);
    }
    if let Some(process) = process {
        // A pidfd is readable when its process has ended, reaped or not.
        poll(&mut [PollFd::new(&process.as_fd(), PollFlags::IN)], None)
            .map_err(std::io::Error::from)
            .context(|| "wait for the container's end")?;
    }
    Ok(())
}

/// Removes what a `create` that was killed has left: its id would be taken for good, and its first process wait for ever.
fn remove_half_made(globals: &Globals, id: &str) -> Result<()> {
    let Some(half) = record::half_made(globals, id)? else { return Ok(()) };
    let cgroup = half.cgroup()?.map_or(Ok(()), |cgroup| cgroup.kill(SIGKILL).and_then(|()| cgroup.delete()));
    let directory = fs::remove_dir_all(&half.directory).context(|| format!("remove {}", half.directory.display()));
    cgroup.and(directory)
}

/// Removes cgroup and directory, and runs the hooks `poststop`. Goes on after a failure and tells the first.
pub(crate) fn remove(globals: &Globals, container: &Container) -> Result<()> {
    let spec: Spec = container.spec().unwrap_or_default();
    let cgroup = match container.cgroup() {
        // Helpers that outlived the first process go with the container.
        Ok(Some(cgroup)) => cgroup.kill(SIGKILL).and_then(|()| cgroup.delete()),
        other => other.map(drop),
    };
    let directory =
        fs::remove_dir_all(&container.directory).context(|| format!("remove {}", container.directory.display()));
    let state = container.state(&spec, ContainerStatus::Stopped);
    for hook in spec.hooks.iter().flat_map(|hooks| &hooks.poststop) {
        // The specification: an error is a warning, and the others are run all the same.
        if let Err(error) = hooks::run_all("poststop", std::slice::from_ref(hook), &state) {
            globals.log.warning(&error.to_string());
        }
    }
    cgroup.and(directory)
}
