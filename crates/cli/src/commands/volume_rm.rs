//! `volume rm`.

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output::for_each;
use crate::session::Session;

pub(super) static RM: Command = Command {
    names: &["volume rm", "volume remove"],
    usage: "[OPTIONS] VOLUME [VOLUME...]",
    summary: "Remove volumes that no container uses",
    flags: &[&[Flag::bool("force", "Forget one whose plugin cannot remove it; one that is not there is no failure")
        .since(25)
        .short(b'f')]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        client.volume_remove(name, flags.on("force")).await?;
        Ok(name.to_owned())
    })
    .await
}
