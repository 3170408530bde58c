//! `rename`.

use dhow_errdefs::Error;

use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome, with_hint};
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static RENAME: Command = Command {
    names: &["container rename", "rename"],
    usage: "CONTAINER NEW_NAME",
    summary: "Give a container another name",
    flags: &[],
    arguments: Arguments::Exactly(2),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (old, new) = (flags.args[0].trim(), flags.args[1].trim());
    if old.is_empty() || new.is_empty() {
        return Err(Error::invalid("Error: Neither old nor new names may be empty").into());
    }
    if let Err(error) = session.client().await?.container_rename(old, new).await {
        output::note(&with_hint(&error));
        return Err(Failure::text(format!("Error: failed to rename container named {old}")));
    }
    Ok(0)
}
