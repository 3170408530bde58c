//! `kill`: a signal to the first process, or to all.

use clap::{Arg, ArgMatches, Command};
use dhow_errdefs::{Error, Result, ResultExt};
use dhow_sys::signal;

use super::record::Container;
use super::{Globals, flag, id, text};

pub(crate) fn command() -> Command {
    Command::new("kill")
        .about("send a signal to a container (SIGTERM by default)")
        .arg(flag("all").short('a').help("to all processes of the container"))
        .arg(id())
        .arg(Arg::new("signal").default_value("SIGTERM"))
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    let name = text(matches, "signal");
    let number = signal::parse(name).ok_or_else(|| Error::invalid(format!("unknown signal {name:?}")))?;
    send(&container, number, matches.get_flag("all"))?;
    Ok(0)
}

/// Sends a signal.
pub(crate) fn send(container: &Container, number: i32, all: bool) -> Result<()> {
    if all && let Some(cgroup) = container.cgroup()? {
        return cgroup.kill(number);
    }
    let process = container.process().ok_or_else(|| Error::conflict("container not running"))?;
    signal::send(&process, number).context(|| format!("signal container {}", container.record.id))
}
