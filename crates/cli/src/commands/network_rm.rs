//! `network rm`.

use dhow_errdefs::Class;

use crate::command::{Arguments, Command};
use crate::failure::{Failure, Outcome};
use crate::flags::{Flag, Parsed};
use crate::output;
use crate::session::Session;

pub(super) static RM: Command = Command {
    names: &["network rm", "network remove"],
    usage: "NETWORK [NETWORK...]",
    summary: "Remove networks that no container uses",
    flags: &[&[Flag::bool("force", "One that is not there is no failure").short(b'f')]],
    arguments: Arguments::AtLeast(1),
    interspersed: true,
    run: |session, flags| Box::pin(run(session, flags)),
};

async fn run(session: &Session, flags: &Parsed) -> Outcome {
    let (client, mut code) = (session.client().await?, 0);
    for name in &flags.args {
        match client.network_remove(name).await {
            Ok(()) => output::line(name)?,
            // As Docker does: what is not there is not told either.
            Err(error) if flags.on("force") && error.class() == Class::NotFound => {}
            Err(error) => code = code.max(Failure::from(error).report()),
        }
    }
    Ok(code)
}
