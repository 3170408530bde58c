//! `top`.

use crate::command::{Arguments, Command};
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::format::Table;
use crate::output;
use crate::session::Session;

pub(super) static TOP: Command = Command {
    names: &["container top", "top"],
    usage: "CONTAINER [ps OPTIONS]",
    summary: "Show the processes of a container",
    flags: &[],
    arguments: Arguments::AtLeast(1),
    interspersed: false,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let arguments = flags.args[1..].join(" ");
    let processes = session.client().await?.container_top(&flags.args[0], &arguments).await?;
    let mut table = Table::wide();
    table.row(processes.titles.iter().map(String::as_str));
    for process in &processes.processes {
        table.row(process.iter().map(String::as_str));
    }
    output::text(&table.finish())?;
    Ok(0)
}
