//! `kill`.

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output::for_each;
use crate::session::Session;

pub(super) static KILL: Command = Command {
    names: &["container kill", "kill"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Send a signal to running containers",
    flags: &[&[Flag::text("signal", "Signal to send").short(b's')]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        client.container_kill(name, flags.some("signal").unwrap_or("KILL")).await?;
        Ok(name.to_owned())
    })
    .await
}
