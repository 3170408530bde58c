//! `run`: create, start, wait, delete.

use clap::{ArgMatches, Command};
use dhow_errdefs::Result;

use super::create::{self, Request};
use super::foreground::Foreground;
use super::record::Container;
use super::{Globals, delete, flag};

pub(crate) fn command() -> Command {
    create::options(Command::new("run").about("create and run a container"))
        .arg(flag("detach").short('d'))
        .arg(flag("keep").help("do not delete the container when it has ended"))
        .arg(flag("no-subreaper").hide(true))
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let detach = matches.get_flag("detach");
    let request = Request::read(globals, matches, detach)?;
    let foreground = if detach { None } else { Some(Foreground::begin()?) };
    let (init, traces) = request.make(globals, false)?;
    let started = match init.start() {
        Ok(started) => started,
        Err(error) => {
            traces.remove(globals);
            return Err(error);
        }
    };
    let Some(foreground) = foreground else { return Ok(0) };
    let code = foreground.stay(&started.pidfd, started.pty)?;
    if !matches.get_flag("keep") {
        delete::remove(globals, &Container::load(globals, &request.id)?)?;
    }
    Ok(code)
}
