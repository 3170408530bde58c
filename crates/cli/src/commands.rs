//! The commands, one file each.

mod attach;
mod create;
mod events;
mod exec;
mod history;
mod images;
mod import;
mod info;
mod inspect;
mod interact;
mod kill;
mod load;
mod logs;
mod new;
mod pause;
mod port;
mod ps;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod save;
mod start;
mod stop;
mod system_df;
mod tag;
mod top;
mod version;
mod wait;

use crate::command::Command;

/// What `--version` calls the build.
pub(crate) const BUILD: &str = match option_env!("DHOW_BUILD") {
    Some(build) => build,
    None => "unknown",
};

/// Groups of commands and what they are about.
pub(crate) const GROUPS: &[(&str, &str)] =
    &[("container", "Manage containers"), ("image", "Manage images"), ("system", "Manage the engine")];

/// Commands that help shows first, in this order.
pub(crate) const COMMON: &[&str] = &["run", "exec", "ps", "images", "version", "info"];

/// Every command, in the order of help.
pub(crate) static ALL: &[&Command] = &[
    &attach::ATTACH,
    &create::CREATE,
    &exec::EXEC,
    &inspect::CONTAINER_INSPECT,
    &kill::KILL,
    &logs::LOGS,
    &ps::PS,
    &pause::PAUSE,
    &port::PORT,
    &rename::RENAME,
    &restart::RESTART,
    &rm::RM,
    &run::RUN,
    &start::START,
    &stop::STOP,
    &top::TOP,
    &pause::UNPAUSE,
    &wait::WAIT,
    &history::HISTORY,
    &import::IMPORT,
    &inspect::IMAGE_INSPECT,
    &load::LOAD,
    &images::IMAGES,
    &rmi::RMI,
    &save::SAVE,
    &tag::TAG,
    &system_df::SYSTEM_DF,
    &events::EVENTS,
    &info::INFO,
    &inspect::INSPECT,
    &version::VERSION,
];
