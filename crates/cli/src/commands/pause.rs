//! `pause` and `unpause`.

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output::for_each;
use crate::session::Session;

pub(super) static PAUSE: Command = Command {
    names: &["container pause", "pause"],
    usage: "CONTAINER [CONTAINER...]",
    summary: "Freeze containers",
    flags: &[],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(pause(session, flags)),
};

pub(super) static UNPAUSE: Command = Command {
    names: &["container unpause", "unpause"],
    usage: "CONTAINER [CONTAINER...]",
    summary: "Thaw containers",
    flags: &[],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(unpause(session, flags)),
};

async fn pause(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        client.container_pause(name).await?;
        Ok(name.to_owned())
    })
    .await
}

async fn unpause(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        client.container_unpause(name).await?;
        Ok(name.to_owned())
    })
    .await
}
