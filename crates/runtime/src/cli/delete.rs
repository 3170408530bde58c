//! `delete`: everything that a container has left.

use std::fs;
use std::time::{Duration, Instant};

use clap::{ArgMatches, Command};
use dhow_errdefs::{Class, Error, Result, ResultExt};
use dhow_oci::runtime::{ContainerStatus, Spec};
use dhow_sys::process::ends_before;

use super::record::{self, Container};
use super::{Globals, flag, id, kill, text};
use crate::hooks;

const SIGKILL: i32 = 9;

/// How long a process that got SIGKILL may take, as with a cgroup. One that the kernel cannot end must not hold up whoever
/// calls.
const PATIENCE: Duration = Duration::from_secs(10);

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
        // What cannot be read says nothing of the container; what its creator wrote before says what is to be removed.
        Err(error) if error.class() == Class::DataLoss => {
            if !force {
                return Err(error.with_hint("delete --force removes what there is of it"));
            }
            remove_half_made(globals, id)?;
            return Ok(0);
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
    if process.is_some_and(|process| !ends_before(&process, Instant::now() + PATIENCE)) {
        let text = format!("process {} of the container does not end after SIGKILL", container.record.pid);
        return Err(Error::deadline(text).with_hint(
            "a process in uninterruptible sleep ends when its device or file server answers; delete it then",
        ));
    }
    Ok(())
}

/// Removes what a `create` that was killed has left: its id would be taken for good, and its first process wait for ever.
fn remove_half_made(globals: &Globals, id: &str) -> Result<()> {
    let Some(half) = record::half_made(globals, id)? else { return Ok(()) };
    let cgroup = half.cgroup()?.map_or(Ok(()), |cgroup| cgroup.kill(SIGKILL).and_then(|()| cgroup.delete()));
    // Last, because nothing else tells where the cgroup is.
    cgroup?;
    fs::remove_dir_all(&half.directory).context(|| format!("remove {}", half.directory.display()))
}

/// Removes cgroup and directory, and runs the hooks `poststop`. While the cgroup cannot be removed the directory stays:
/// it is what tells of the container, so that it can be deleted once more.
pub(crate) fn remove(globals: &Globals, container: &Container) -> Result<()> {
    let spec: Spec = container.spec().unwrap_or_default();
    if let Some(cgroup) = container.cgroup()? {
        // Helpers that outlived the first process go with the container.
        cgroup.kill(SIGKILL).and_then(|()| cgroup.delete())?;
    }
    let directory =
        fs::remove_dir_all(&container.directory).context(|| format!("remove {}", container.directory.display()));
    let state = container.state(&spec, ContainerStatus::Stopped);
    for error in hooks::run_last(&spec.hooks.unwrap_or_default().poststop, &state, None) {
        globals.log.warning(&error.to_string());
    }
    directory
}
