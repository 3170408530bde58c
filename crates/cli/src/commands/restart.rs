//! `restart`.

use super::stop::{FLAGS, timeout};
use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output::for_each;
use crate::session::Session;

pub(super) static RESTART: Command = Command {
    names: &["container restart", "restart"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Stop containers and start them again",
    flags: &[FLAGS],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        client.container_restart(name, flags.some("signal"), timeout(flags)).await?;
        Ok(name.to_owned())
    })
    .await
}
