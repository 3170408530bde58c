//! `context use`.

use crate::command::{Arguments, Command};
use crate::context::{DEFAULT, Store, check_name};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static USE: Command = Command {
    names: &["context use"],
    usage: "CONTEXT",
    summary: "Make a context the one in force",
    flags: &[],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let name = &flags.args[0];
    if name != DEFAULT {
        check_name(name)?;
        Store::new(session.config().folder()).read(name)?;
    }
    session.config().set_current_context(Some(name.as_str()).filter(|name| *name != DEFAULT))?;
    output::line(name)?;
    output::note(&format!("Current context is now {name:?}"));
    if name != DEFAULT && session.host_variable() {
        output::note(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {name:?}, either set the \
             global --context flag, or unset DOCKER_HOST environment variable."
        ));
    }
    Ok(0)
}
