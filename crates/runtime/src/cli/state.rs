//! `state`: what is known about a container.

use clap::{ArgMatches, Command};
use dhow_errdefs::Result;
use dhow_oci::runtime::{ContainerStatus, Spec, State};
use serde::Serialize;

use super::record::Container;
use super::{Globals, id, print_json, text};

pub(crate) fn command() -> Command {
    Command::new("state").about("output the state of a container").arg(id())
}

pub(crate) fn run(globals: &Globals, matches: &ArgMatches) -> Result<u8> {
    let container = Container::load(globals, text(matches, "id"))?;
    print_json(&Document::of(&container)?)?;
    Ok(0)
}

/// The specification's state with what runc adds.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    #[serde(flatten)]
    pub(crate) state: State,
    pub(crate) rootfs: std::path::PathBuf,
    pub(crate) created: String,
    pub(crate) owner: String,
}

impl Document {
    pub(crate) fn of(container: &Container) -> Result<Self> {
        let spec: Spec = container.spec()?;
        let status = container.status()?;
        let mut state = container.state(&spec, status);
        if status == ContainerStatus::Stopped {
            // runc says 0, and its callers expect a number.
            state.pid = Some(0);
        }
        let record = &container.record;
        let owner = if record.owner == 0 { "root".to_owned() } else { String::new() };
        Ok(Self { state, rootfs: record.rootfs.clone(), created: record.created.clone(), owner })
    }
}
