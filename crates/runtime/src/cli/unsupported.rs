//! Verbs of runc that dhow does not have, refused in so many words.

use clap::{Arg, ArgMatches, Command};
use dhow_errdefs::{Error, Result};

use super::Globals;

pub(crate) fn checkpoint_command() -> Command {
    any("checkpoint")
}

pub(crate) fn restore_command() -> Command {
    any("restore")
}

pub(crate) fn events_command() -> Command {
    any("events")
}

/// A verb with whatever arguments.
fn any(name: &'static str) -> Command {
    let rest = Arg::new("rest").num_args(0..).trailing_var_arg(true).allow_hyphen_values(true);
    Command::new(name).about("not supported").disable_help_flag(true).arg(rest)
}

pub(crate) fn refuse(_: &Globals, _: &ArgMatches) -> Result<u8> {
    Err(Error::not_implemented("dhow does not support this").with_hint("use runc for checkpoint, restore and events"))
}
