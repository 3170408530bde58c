//! `create`.

use super::new::{choose_image, create, prepare};
use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::Parsed;
use crate::options::CONTAINER;
use crate::output;
use crate::session::Session;

pub(super) static CREATE: Command = Command {
    names: &["container create", "create"],
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    summary: "Create a container and leave it for later",
    flags: &[CONTAINER],
    arguments: Arguments::AtLeast(1),
    interspersed: false,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let failed = |error| Failure::of_run(session.program, session.name, &error);
    let mut wanted = prepare(session, flags).map_err(failed)?;
    choose_image(flags, &mut wanted)?;
    let id = create(session, session.client().await?, flags, &wanted).await?;
    output::line(&id)?;
    Ok(0)
}
