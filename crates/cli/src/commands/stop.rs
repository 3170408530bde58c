//! `stop`.

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::{Flag, Parsed};
use crate::output::for_each;
use crate::session::Session;

pub(super) static STOP: Command = Command {
    names: &["container stop", "stop"],
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    summary: "Stop running containers",
    flags: &[FLAGS],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

/// The flags that `restart` has too.
pub(super) const FLAGS: &[Flag] = &[
    Flag::text("signal", "Signal to send").short(b's'),
    Flag::int("time", "Seconds to wait before it is killed").deprecated("timeout"),
    Flag::int("timeout", "Seconds to wait before it is killed").short(b't'),
];

/// What the flags say about the time to wait.
pub(super) fn timeout(flags: &Parsed) -> Option<i64> {
    ["timeout", "time"].into_iter().find(|name| flags.has(name)).map(|name| flags.number(name))
}

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let client = session.client().await?;
    for_each(&flags.args, async |name| {
        client.container_stop(name, flags.some("signal"), timeout(flags)).await?;
        Ok(name.to_owned())
    })
    .await
}
