//! `completion`.

use dhow_errdefs::Error;

use crate::command::{Arguments, Command};
use crate::completion::script;
use crate::failure::Outcome;
use crate::flags::Parsed;
use crate::output;
use crate::session::Session;

pub(super) static COMPLETION: Command = Command {
    names: &["completion"],
    usage: "bash|zsh|fish",
    summary: "Print the script that lets a shell complete command lines",
    flags: &[],
    arguments: Arguments::Exactly(1),
    interspersed: true,
    run: |session, flags| Box::pin(async { run(session, flags) }),
};

fn run(session: &Session, flags: &Parsed) -> Outcome {
    let shell = &flags.args[0];
    let text = script(shell, session.program)
        .ok_or_else(|| Error::invalid(format!("no completion for {shell:?}: it is one of bash, zsh, fish")))?;
    output::text(&text)?;
    Ok(0)
}
