//! `context rm`.

use dhow_errdefs::Error;

use crate::command::{Arguments, Command};
use crate::context::{DEFAULT, Store};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::session::Session;

pub(super) static RM: Command = Command {
    names: &["context rm", "context remove"],
    usage: "CONTEXT [CONTEXT...]",
    summary: "Remove contexts",
    flags: &[&[Flag::bool("force", "Remove it even if it is in force").short(b'f')]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let store = Store::new(session.config().folder());
    let mut code = 0;
    for name in &flags.args {
        match remove(session, &store, name, flags.on("force")) {
            Ok(()) => output::line(name)?,
            Err(failure) => code = failure.report(),
        }
    }
    Ok(code)
}

fn remove(session: &Session, store: &Store, name: &str, force: bool) -> Result<(), Failure> {
    if name == DEFAULT {
        return Err(Error::invalid("context \"default\" cannot be removed").into());
    }
    let in_force = session.config().current_context() == Some(name);
    if in_force && !force {
        return Err(Error::conflict(format!("context {name:?} is in use, set -f flag to force remove")).into());
    }
    if !force && !store.exists(name) {
        return Err(Error::not_found(format!("context {name:?} does not exist")).into());
    }
    if in_force {
        session.config().set_current_context(None)?;
    }
    Ok(store.remove(name)?)
}
