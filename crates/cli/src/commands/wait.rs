//! `wait`.

use dhow_errdefs::Error;

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

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        let ended = client.container_wait(name, "not-running").await?.exit().await?;
        match ended.error.filter(|error| !error.message.is_empty()) {
            Some(error) => Err(Error::internal(error.message).into()),
            None => Ok(ended.status_code.to_string()),
        }
    })
    .await
}
