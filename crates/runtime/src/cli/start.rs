//! `start`: the program of a created container.

use std::fs;

use clap::{ArgMatches, Command};
use dhow_errdefs::{Error, Result};
use dhow_oci::runtime::ContainerStatus;

use super::record::Container;
use super::{Globals, id, text};
use crate::Init;

pub(crate) fn command() -> Command {
    Command::new("start").about("start a created container").arg(id())
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    match container.status()? {
        ContainerStatus::Created => {}
        ContainerStatus::Stopped => return Err(Error::conflict("cannot start a container that has stopped")),
        _ => return Err(Error::conflict("cannot start an already running container")),
    }
    let spec = container.spec()?;
    let state = container.state(&spec, ContainerStatus::Created);
    let started = Init::start_at(&container.gate(), &spec, state);
    // Started or not, nobody waits there any more.
    let _ = fs::remove_file(container.gate());
    started.map(|()| 0)
}
