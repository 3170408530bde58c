//! `diff`.

use dhow_errdefs::Error;

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static DIFF: Command = Command {
    names: &["container diff", "diff"],
    usage: "CONTAINER",
    summary: "Show what a container has changed in its file system",
    flags: &[],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    if flags.args[0].is_empty() {
        return Err(Error::invalid("Container name cannot be empty").into());
    }
    let changes = session.client().await?.container_changes(&flags.args[0]).await?;
    let letter = |kind| match kind {
        0 => 'C',
        1 => 'A',
        _ => 'D',
    };
    let lines = changes.iter().map(|change| format!("{} {}\n", letter(change.kind), change.path));
    output::text(&lines.collect::<String>())?;
    Ok(0)
}
