//! `wait`.

use dhow_errdefs::{Class, Error};

use super::interact::of_the_next_engine;
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output::for_each;
use crate::session::Session;

pub(super) static WAIT: Command = Command {
    names: &["container wait", "wait"],
    usage: "CONTAINER [CONTAINER...]",
    summary: "Wait for containers to end and print their exit codes",
    flags: &[],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// What is waited for.
const CONDITION: &str = "not-running";

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        let ended = match client.container_wait(name, CONDITION).await?.exit().await {
            Err(gone) if gone.class() == Class::Unavailable => {
                of_the_next_engine(session, name, CONDITION, gone).await?
            }
            ended => ended?,
        };
        match ended.error.filter(|error| !error.message.is_empty()) {
            Some(error) => Err(Error::internal(error.message).into()),
            None => Ok(ended.status_code.to_string()),
        }
    })
    .await
}
